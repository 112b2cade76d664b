#include "io/stream.h"

#include <algorithm>

#include "abi/file_info.h"
#include "ex/unicode.h"
#include "io/info_buffer.h"
#include "io/io_manager.h"

namespace vitrine::io {
namespace {

enum class Which : u8 { input, output, error };
struct StreamContext final : FileContext {
  explicit StreamContext(Which which_) : which(which_) {}
  Which which;
};
Which which_of(const FileObject& file) { return static_cast<const StreamContext&>(*file.context).which; }

constexpr u64 kMaximumStreamRead = 64 << 10;  // one read returns what has arrived, at most this

}  // namespace

HostStream::HostStream(IoManager& manager, HostInput& input, HostOutput& output, StreamKinds kinds)
    : manager_(manager), input_(input), output_(output), kinds_(kinds) {}

HostStream::~HostStream() { manager_.abandon_device(*this); }

abi::DeviceType HostStream::type(const FileObject& file) const {
  const Which which = which_of(file);
  const StreamKind kind = which == Which::input ? kinds_.input : which == Which::output ? kinds_.output : kinds_.error;
  switch (kind) {
    case StreamKind::file: return abi::DeviceType::disk;
    case StreamKind::pipe: return abi::DeviceType::named_pipe;
    case StreamKind::terminal: return abi::DeviceType::console;
    case StreamKind::null: return abi::DeviceType::null;
  }
  return abi::DeviceType::unknown;
}

Result<abi::CreateAction> HostStream::create(FileObject& file, const CreateParameters& parameters) {
  struct Name { std::u16string_view path; Which which; };
  constexpr Name kNames[] = {{u"\\Input", Which::input}, {u"\\Output", Which::output}, {u"\\Error", Which::error}};
  for (const Name& name : kNames) {
    if (!ex::equal_ignoring_case(parameters.path, name.path)) continue;
    file.context = std::make_unique<StreamContext>(name.which);
    file.name = name.path;
    return abi::CreateAction::opened;
  }
  return Failure(Status::object_name_not_found);
}

Status HostStream::dispatch(Irp& irp) {
  switch (irp.function) {
    case MajorFunction::read: return read(irp);
    case MajorFunction::write: return write(irp);
    case MajorFunction::flush: return Status::success;  // nothing is held back
    case MajorFunction::fs_control: return pipe_control(irp);
    default: return Status::invalid_device_request;
  }
}

namespace {

// What a request can have now; nullopt: nothing has arrived.
std::optional<Status> take_input(HostInput& input, StreamKind kind, Irp& irp) {
  irp.output.resize(std::min(irp.length, kMaximumStreamRead));
  const auto taken = input.take(InputSource::standard_input, irp.output);
  if (!taken || !*taken) {
    irp.output.clear();
    if (!taken) return taken.error();
    return std::nullopt;
  }
  irp.output.resize(**taken);
  irp.information = **taken;
  if (**taken != 0) return Status::success;
  // NT: the end of a pipe is a broken pipe, that of a file the end of file.
  return kind == StreamKind::pipe ? Status::pipe_broken : Status::end_of_file;
}

}  // namespace

Status HostStream::read(Irp& irp) {
  if (which_of(*irp.file) != Which::input) return Status::invalid_device_request;
  if (irp.length == 0) return Status::success;
  // Reads are answered in order: one that comes while others wait queues behind them.
  if (readers_.empty()) {
    if (const auto status = take_input(input_, kinds_.input, irp)) return *status;
    input_.want(InputSource::standard_input, true);
  }
  readers_.push_back(irp);
  return Status::pending;
}

void HostStream::input_arrived() {
  if (readers_.empty()) return;
  while (Irp* irp = readers_.front()) {
    const auto status = take_input(input_, kinds_.input, *irp);
    if (!status) return;
    irp->device_link.unlink();
    manager_.complete(*irp, *status, irp->information);
  }
  input_.want(InputSource::standard_input, false);
}

void HostStream::cancel(Irp& irp) {
  if (!irp.device_link.is_linked()) return;
  irp.device_link.unlink();
  if (readers_.empty()) input_.want(InputSource::standard_input, false);
}

Status HostStream::write(Irp& irp) {
  const Which which = which_of(*irp.file);
  if (which == Which::input) return Status::invalid_device_request;
  const auto sink = which == Which::output ? HostOutput::Sink::standard_output : HostOutput::Sink::standard_error;
  if (!irp.input.empty()) VITRINE_TRY(output_.write(sink, irp.input));
  irp.information = irp.input.size();
  return Status::success;
}

// A standard stream that is a pipe of the host answers what programs ask pipes for: how much can be read.
Status HostStream::pipe_control(Irp& irp) {
  if (type(*irp.file) != abi::DeviceType::named_pipe) return Status::invalid_device_request;
  if (static_cast<abi::FsControl>(irp.control_code) != abi::FsControl::pipe_peek) return Status::invalid_device_request;
  if (which_of(*irp.file) != Which::input) return Status::invalid_parameter;
  if (irp.length < sizeof(abi::FilePipePeekBuffer)) return Status::info_length_mismatch;
  // Only the count: bytes enter the machine when they are read. An empty take makes the host look.
  const auto looked = input_.take(InputSource::standard_input, {});
  if (!looked) return looked.error();
  const u64 available = std::min<u64>(input_.available(InputSource::standard_input), UINT32_MAX);
  if (available == 0 && *looked) return Status::pipe_broken;  // it has ended
  const abi::FilePipePeekBuffer peek{static_cast<u32>(abi::PipeState::connected), static_cast<u32>(available), 0, 0};
  irp.output.resize(sizeof(peek));
  u32 written = 0;
  VITRINE_TRY(put(irp.output, peek, &written));
  irp.information = written;
  return available == 0 ? Status::success : Status::buffer_overflow;
}

Status HostStream::query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                                     u32* written) {
  switch (information_class) {
    case abi::FileInformationClass::standard:
      return put(out, abi::FileStandardInformation{0, 0, 1, 0, 0, 0}, written);
    case abi::FileInformationClass::basic:
      return put(out, abi::FileBasicInformation{0, 0, 0, 0, abi::kFileAttributeNormal, 0}, written);
    case abi::FileInformationClass::network_open:
      return put(out, abi::FileNetworkOpenInformation{0, 0, 0, 0, 0, 0, abi::kFileAttributeNormal, 0}, written);
    case abi::FileInformationClass::internal:
      return put(out, abi::FileInternalInformation{1u + static_cast<u64>(which_of(file))}, written);
    case abi::FileInformationClass::ea: return put(out, abi::FileEaInformation{0}, written);
    case abi::FileInformationClass::pipe:
      if (type(file) != abi::DeviceType::named_pipe) return Status::invalid_device_request;
      return put(out, abi::FilePipeInformation{abi::kPipeByteStreamMode, abi::kPipeQueueOperation}, written);
    default: return Status::invalid_device_request;
  }
}

Status HostStream::set_information(FileObject& file, abi::FileInformationClass information_class,
                                   std::span<const u8> in) {
  if (information_class != abi::FileInformationClass::pipe || type(file) != abi::DeviceType::named_pipe) {
    return Status::invalid_device_request;
  }
  const auto pipe = take<abi::FilePipeInformation>(in);
  if (!pipe) return Status::info_length_mismatch;
  return pipe->read_mode == abi::kPipeByteStreamMode ? Status::success : Status::invalid_parameter;
}

Status HostStream::query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                                u32* written) {
  if (information_class != abi::VolumeInformationClass::device) return Status::invalid_info_class;
  return put(out, abi::FileFsDeviceInformation{static_cast<u32>(type(file)), characteristics()}, written);
}

}  // namespace vitrine::io
