#include "io/multimedia_device.h"

#include <algorithm>
#include <cstring>

#include "abi/file_info.h"
#include "abi/multimedia_device.h"
#include "io/file_object.h"
#include "io/info_buffer.h"
#include "io/io_manager.h"

namespace vitrine::io {
namespace {

namespace control = abi::multimedia_control;

constexpr std::size_t kMaximumNameBytes = 2 * 2 * 260;  // two names of a registry key's length

// The names in a request; empty: they are not as they should be.
std::vector<std::u16string> names_of(std::span<const u8> input) {
  std::vector<std::u16string> names;
  if (input.size() % 2 != 0 || input.size() > kMaximumNameBytes) return names;
  std::u16string text(input.size() / 2, u'\0');
  std::memcpy(text.data(), input.data(), input.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find(u'\0', at);
    if (end == std::u16string::npos) return {};
    names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

Status answer(Irp& irp, u32 value) {
  if (irp.length < sizeof value) return Status::buffer_too_small;
  irp.output.resize(sizeof value);
  std::memcpy(irp.output.data(), &value, sizeof value);
  irp.information = sizeof value;
  return Status::success;
}

}  // namespace

struct MultimediaDevice::Registration : FileContext {
  ke::Thread* thread = nullptr;  // null: none yet, or it is over
};

MultimediaDevice::~MultimediaDevice() { on_.manager.abandon_device(*this); }

Result<abi::CreateAction> MultimediaDevice::create(FileObject& file, const CreateParameters& parameters) {
  if (!parameters.path.empty()) return Failure(Status::object_path_not_found);
  if ((parameters.options & abi::kFileDirectoryFile) != 0) return Failure(Status::not_a_directory);
  file.context = std::make_unique<Registration>();
  return abi::CreateAction::opened;
}

void MultimediaDevice::end(Registration& registration) {
  if (registration.thread == nullptr) return;
  on_.scheduler.leave(*registration.thread);
  registration.thread = nullptr;
  std::erase(active_, &registration);
}

void MultimediaDevice::cleanup(FileObject& file) { end(static_cast<Registration&>(*file.context)); }

void MultimediaDevice::thread_ends(ke::Thread& thread) {
  const auto found = std::ranges::find(active_, &thread, [](const Registration* r) { return r->thread; });
  if (found != active_.end()) end(**found);
}

// Of two tasks the thread gets the better one [Microsoft: AvSetMmMaxThreadCharacteristics].
Status MultimediaDevice::join(Irp& irp, Registration& registration) {
  const auto names = names_of(irp.input);
  if (names.empty() || names.size() > 2 || irp.requester.thread == nullptr) return Status::invalid_parameter;
  if (registration.thread != nullptr) return Status::object_name_collision;
  std::optional<ke::MultimediaTask> best;
  for (const std::u16string& name : names) {
    const auto task = on_.find_task(name);
    if (!task) return Status::object_name_not_found;
    const auto level = [](const ke::MultimediaTask& t) { return ke::MultimediaScheduler::priority_of(t, 0); };
    if (!best || level(*task) > level(*best)) best = task;
  }
  if (irp.length < sizeof(u32)) return Status::buffer_too_small;
  if (!std::exchange(started_, true)) {
    if (const Status status = on_.start(); !is_success(status)) {
      started_ = false;
      return status;
    }
  }
  if (!on_.scheduler.join(*irp.requester.thread, *best)) return Status::object_name_collision;
  registration.thread = irp.requester.thread;
  active_.push_back(&registration);
  return answer(irp, next_index_++);
}

Status MultimediaDevice::dispatch(Irp& irp) {
  if (irp.function != MajorFunction::device_control) return Status::invalid_device_request;
  auto& registration = static_cast<Registration&>(*irp.file->context);
  switch (irp.control_code) {
    case control::kJoin:
      return join(irp, registration);
    case control::kSetPriority: {
      i32 relative = 0;
      if (irp.input.size() != sizeof relative) return Status::invalid_parameter;
      std::memcpy(&relative, irp.input.data(), sizeof relative);
      if (relative < -2 || relative > 2 || registration.thread == nullptr) return Status::invalid_parameter;
      return on_.scheduler.set_relative_priority(*registration.thread, relative) ? Status::success
                                                                                 : Status::invalid_parameter;
    }
    case control::kQueryResponsiveness:
      return answer(irp, on_.scheduler.responsiveness());
    default:
      return Status::invalid_device_request;
  }
}

Status MultimediaDevice::query_volume(FileObject&, abi::VolumeInformationClass information_class, std::span<u8> out,
                                      u32* written) {
  if (information_class != abi::VolumeInformationClass::device) return Status::invalid_info_class;
  return put(out, abi::FileFsDeviceInformation{static_cast<u32>(abi::DeviceType::unknown), characteristics()}, written);
}

}  // namespace vitrine::io
