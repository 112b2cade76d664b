#include "win32k/subsystem.h"

#include "win32k/services.h"

namespace vitrine::win32k {
namespace {

constexpr std::u16string_view kStationDirectory = u"\\Windows\\WindowStations";
// WINSTA_ALL_ACCESS with the standard rights, and the rights of a desktop [winuser.h].
constexpr u32 kStationAccess = 0xF'037F, kDesktopAccess = 0xF'01FF;
// Bodies of 64-bit win32k, the order of their sizes in public symbols of 6.1; the profile does not have them: assumed.
constexpr u32 kStationBytes = 0x98, kDesktopBytes = 0xE0;

ob::TypeTraits traits(std::u16string_view name, u32 bytes, u32 access) {
  namespace sa = se::access;
  ob::TypeTraits made{.name = name, .pool = ex::PoolType::nonpaged, .body_bytes = bytes, .valid_access = access};
  made.mapping = {sa::kReadControl | 1, sa::kReadControl | 2, sa::kReadControl, access};
  return made;
}

}  // namespace

Result<std::unique_ptr<Subsystem>> Subsystem::create(const Dependencies& dependencies) {
  std::unique_ptr<Subsystem> made(new Subsystem(dependencies));
  if (const Status status = made->make_objects(); !is_success(status)) return Failure(status);
  return made;
}

Status Subsystem::make_objects() {
  ob::ObjectManager& objects = on_.objects;
  station_type_ = &objects.register_type(traits(u"WindowStation", kStationBytes, kStationAccess));
  desktop_type_ = &objects.register_type(traits(u"Desktop", kDesktopBytes, kDesktopAccess));
  if (const auto made = objects.make_directory(kStationDirectory); !made) return made.error();
  ob::CreateRequest request;
  request.attributes.name = std::u16string(kStationDirectory) + u"\\WinSta0";
  request.attributes.attributes = abi::obj::kCaseInsensitive | abi::obj::kPermanent;
  request.kernel_object = true;
  auto station = objects.create<StationObject>(*station_type_, request);
  if (!station) return station.error();
  station_ = std::move(*station);
  station_->name = u"WinSta0";
  if (const auto inserted = objects.insert(station_, request.attributes, {}); !inserted) return inserted.error();
  // NT: a desktop's name lies in its station, which is a directory of its own kind; nobody opens it by path here.
  auto desktop = objects.create<DesktopObject>(*desktop_type_, {.kernel_object = true});
  if (!desktop) return desktop.error();
  desktop_ = std::move(*desktop);
  desktop_->name = u"Default";
  return Status::success;
}

std::span<const nt::Service> Subsystem::services() const { return all_services(); }

// NT: xxxCreateThreadInfo; a process is connected to the interactive station with its first GUI thread.
Status Subsystem::thread_begins(ps::Thread& thread, bool first) {
  if (first) {
    ob::ObjectHandles& table = *thread.process->handles;
    const auto station = table.insert(*station_, kStationAccess, 0);
    if (!station) return station.error();
    const auto desktop = table.insert(*desktop_, kDesktopAccess, 0);
    if (!desktop) {
      (void)table.close(*station, se::Mode::kernel);
      return desktop.error();
    }
    processes_[thread.process->id] = {*station, *desktop};
  }
  queues_[thread.id] = std::make_unique<MessageQueue>(on_.kernel);
  return Status::success;
}

void Subsystem::thread_ends(const ps::Thread& thread, bool last) {
  queues_.erase(thread.id);
  if (last) processes_.erase(thread.process->id);
}

MessageQueue* Subsystem::queue_of(u32 thread_id) {
  const auto found = queues_.find(thread_id);
  return found == queues_.end() ? nullptr : found->second.get();
}

bool Subsystem::post_quit_message(const ps::Thread& thread, i32 exit_code) {
  MessageQueue* const queue = queue_of(thread.id);
  if (queue != nullptr) queue->post_quit(exit_code);
  return queue != nullptr;
}

Subsystem::ProcessHandles Subsystem::handles_of(const ps::Process& process) const {
  const auto found = processes_.find(process.id);
  return found == processes_.end() ? ProcessHandles{} : found->second;
}

}  // namespace vitrine::win32k
