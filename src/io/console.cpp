#include "io/console.h"

#include "abi/file_info.h"
#include "ex/unicode.h"
#include "io/console_state.h"
#include "io/info_buffer.h"
#include "io/io_manager.h"

namespace vitrine::io {
namespace {

struct ConsoleContext final : FileContext {
  explicit ConsoleContext(ConsoleRole role_) : role(role_) {}
  ConsoleRole role;
};
ConsoleRole role_of(const FileObject& file) { return static_cast<const ConsoleContext&>(*file.context).role; }

struct Name {
  std::u16string_view name;
  ConsoleRole role;
};
// Server would make a new console: a machine has the one.
constexpr Name kNames[] = {
    {u"Input", ConsoleRole::input},         {u"CurrentIn", ConsoleRole::input},
    {u"Output", ConsoleRole::output},       {u"CurrentOut", ConsoleRole::output},
    {u"ScreenBuffer", ConsoleRole::output}, {u"Console", ConsoleRole::reference},
    {u"Reference", ConsoleRole::reference}, {u"Connection", ConsoleRole::reference},
};

}  // namespace

Console::Console(IoManager& manager, HostInput& input, HostOutput& output, const ConsoleOptions& options)
    : state_(std::make_unique<State>(manager, input, output, options)) {}
Console::~Console() { state_->manager.abandon_device(*this); }

void Console::input_arrived() { state_->serve_readers(); }

void Console::resize(ConsoleSize size) {
  if (size.width == state_->screen.width() && size.height == state_->screen.height()) return;
  state_->screen.resize(size);
  if ((state_->input_mode & abi::kConsoleWindowInput) == 0) return;
  state_->make_records();  // what was typed before comes before
  const u32 packed = static_cast<u16>(size.width) | static_cast<u32>(static_cast<u16>(size.height)) << 16;
  state_->records.push_back({.event_type = abi::kConsoleResizeEvent, .padding = 0, .key_down = packed, .repeat_count = 0,
                             .virtual_key = 0, .scan_code = 0, .character = 0, .control_keys = 0});
  state_->serve_readers();
}

void Console::set_event_handler(std::function<void(abi::ConsoleEvent, u32)> handler) {
  state_->on_event = std::move(handler);
}

Result<abi::CreateAction> Console::create(FileObject& file, const CreateParameters& parameters) {
  std::u16string_view path = parameters.path;
  if (path.starts_with(u'\\')) path.remove_prefix(1);
  if (path.empty()) path = u"Console";
  for (const Name& name : kNames) {
    if (!ex::equal_ignoring_case(name.name, path)) continue;
    ConsoleRole role = name.role;
    // "CON" names either half: reading means input, writing output [Microsoft: CreateFile, Consoles].
    if (role == ConsoleRole::reference && name.name == u"Console" && parameters.related == nullptr) {
      const bool reads = (parameters.access & abi::kFileReadData) != 0,
                 writes = (parameters.access & abi::kFileWriteData) != 0;
      if (reads != writes) role = reads ? ConsoleRole::input : ConsoleRole::output;
    }
    file.context = std::make_unique<ConsoleContext>(role);
    file.name = u'\\' + std::u16string(name.name);
    return abi::CreateAction::opened;
  }
  return Failure(Status::object_name_not_found);
}

Status Console::dispatch(Irp& irp) {
  const ConsoleRole role = role_of(*irp.file);
  switch (irp.function) {
    case MajorFunction::read:
      return role == ConsoleRole::input ? state_->read(irp) : Status::invalid_device_request;
    case MajorFunction::write:
      return role == ConsoleRole::output ? state_->write_bytes(irp) : Status::invalid_device_request;
    case MajorFunction::flush:
      if (role == ConsoleRole::input) state_->text.clear(), state_->records.clear();
      return Status::success;
    case MajorFunction::device_control: {
      const auto code = static_cast<abi::ConsoleControl>(irp.control_code);
      if (code == abi::ConsoleControl::is_unix) return Status::success;  // a terminal of the host is behind it
      if (code == abi::ConsoleControl::control_event) {
        const auto event = take<abi::ConsoleEventParameters>(irp.input);
        if (!event || event->event > static_cast<u32>(abi::ConsoleEvent::control_break))
          return Status::invalid_parameter;
        if (!state_->on_event) return Status::not_supported;
        state_->on_event(static_cast<abi::ConsoleEvent>(event->event), event->group);
        return Status::success;
      }
      return role == ConsoleRole::output ? state_->output_control(irp, code) : state_->input_control(irp, code);
    }
    default: return Status::invalid_device_request;
  }
}

void Console::cancel(Irp& irp) {
  if (!irp.device_link.is_linked()) return;
  irp.device_link.unlink();
  if (state_->readers.empty()) state_->input.want(InputSource::standard_input, false);
}

Status Console::query_information(FileObject&, abi::FileInformationClass information_class, std::span<u8> out,
                                  u32* written) {
  switch (information_class) {
    case abi::FileInformationClass::standard: return put(out, abi::FileStandardInformation{0, 0, 1, 0, 0, 0}, written);
    case abi::FileInformationClass::basic:
      return put(out, abi::FileBasicInformation{0, 0, 0, 0, abi::kFileAttributeNormal, 0}, written);
    default: return Status::invalid_device_request;
  }
}

Status Console::set_information(FileObject&, abi::FileInformationClass, std::span<const u8>) {
  return Status::invalid_device_request;
}

Status Console::query_volume(FileObject&, abi::VolumeInformationClass information_class, std::span<u8> out,
                             u32* written) {
  if (information_class != abi::VolumeInformationClass::device) return Status::invalid_info_class;
  return put(out, abi::FileFsDeviceInformation{static_cast<u32>(abi::DeviceType::console), characteristics()}, written);
}

}  // namespace vitrine::io
