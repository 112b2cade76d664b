#include "vitrine/start_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "vitrine/command_line.h"
#include "vitrine/mounts.h"
#include "vitrine/program_file.h"

namespace vitrine {
namespace {

// The tool's documented code (docs/running.md).
constexpr int kCouldNotRun = 125;

StartError error(int exit_code, std::string message) { return {exit_code, std::move(message)}; }

// A standard stream: the host's, or the console when the host's is a terminal.
struct Stream {
  std::u16string_view path, console_path;
  u32 access, console_access;
};
constexpr u32 kReadWrite = abi::kFileGenericRead | abi::kFileGenericWrite;  // consoles are opened for both
constexpr std::array kStreams{
    Stream{u"\\Device\\Stream\\Input", u"\\Device\\ConDrv\\CurrentIn", abi::kFileGenericRead, kReadWrite},
    Stream{u"\\Device\\Stream\\Output", u"\\Device\\ConDrv\\CurrentOut", abi::kFileGenericWrite, kReadWrite},
    Stream{u"\\Device\\Stream\\Error", u"\\Device\\ConDrv\\CurrentOut", abi::kFileGenericWrite, kReadWrite}};
constexpr std::u16string_view kConsoleReference = u"\\Device\\ConDrv\\Reference";
// kernelbase takes 0 as an order to start a console host; this value means that there is none [seen in Wine 8.0's user mode].
constexpr u64 kNoConsole = static_cast<u64>(-4);

// A handle of the new process to a device.
Result<u64> open_device(Machine& machine, ps::Process& process, std::u16string_view path, u32 access) {
  io::CreateParameters parameters;
  parameters.access = access;
  parameters.share = abi::kFileShareRead | abi::kFileShareWrite;
  parameters.options = abi::kFileSynchronousIoNonalert;
  auto opened = machine.io.open_path(nullptr, path, parameters);
  if (!opened) return Failure(opened.error());
  const auto handle = process.handles->insert(*opened->file, access, ex::handle_attributes::kInherit);
  if (!handle) return Failure(handle.error());
  return handle->value;
}

Status open_streams(Machine& machine, ps::Process& process, ldr::ParameterBlock& block) {
  const io::StreamKinds kinds = machine.streams.kinds();
  const std::array terminal{kinds.input == io::StreamKind::terminal, kinds.output == io::StreamKind::terminal,
                            kinds.error == io::StreamKind::terminal};
  u64* const handles[] = {&block.standard_input, &block.standard_output, &block.standard_error};
  for (std::size_t i = 0; i < kStreams.size(); ++i) {
    const Stream& stream = kStreams[i];
    const auto handle = open_device(machine, process, terminal[i] ? stream.console_path : stream.path,
                                    terminal[i] ? stream.console_access : stream.access);
    if (!handle) return handle.error();
    *handles[i] = *handle;
  }
  block.console_handle = kNoConsole;
  if (!terminal[0] && !terminal[1] && !terminal[2]) return Status::success;
  const auto console = open_device(machine, process, kConsoleReference, kReadWrite);
  if (!console) return console.error();
  block.console_handle = *console;
  return Status::success;
}

// The guest path of the folder that the program starts in, with its last backslash.
std::expected<std::u16string, std::string> current_directory(Machine& machine, const RunOptions& options) {
  auto path = volume_path(options.guest_current_folder);
  if (!path) return std::unexpected(fmt::format("--cwd {}: {}", options.guest_current_folder, path.error()));
  io::CreateParameters parameters;
  parameters.access = abi::kFileReadAttributes;
  parameters.share = abi::kFileShareRead | abi::kFileShareWrite | abi::kFileShareDelete;
  parameters.options = abi::kFileDirectoryFile;
  const auto opened = machine.io.open_path(nullptr, u"\\??\\C:" + (path->empty() ? u"\\" : *path), parameters);
  if (!opened) {
    return std::unexpected(fmt::format("--cwd {}: the program sees no such folder ({}); show it one with --mount",
                                       options.guest_current_folder, status_name(opened.error())));
  }
  return u"C:" + *path + u"\\";
}

}  // namespace

std::expected<ob::Ref<ps::Process>, StartError> start_program(Machine& machine, const RunOptions& options) {
  const std::string name = options.program.string();
  auto failed = [&](std::string_view what, Status status) {
    return std::unexpected(error(kCouldNotRun, fmt::format("{}: {}: {}", name, what, status_name(status))));
  };
  const auto inside = machine.volume->guest_path_of(resolved(options.program).string());
  if (!inside) return failed("the program's folder is not visible to the guest", inside.error());
  const std::u16string dos_path = u"C:" + *inside;

  const se::TokenData user = se::make_user_token(1, false);
  auto created = machine.processes->create_process({.parent = &machine.processes->system_process(),
                                                    .image_path = u"\\??\\" + dos_path, .token = &user});
  if (!created) return failed("no process", created.error());
  ob::Ref<ps::Process> process = std::move(*created);
  auto image = machine.loader->open_image(process->image_path);
  if (!image) return failed("the image cannot be mapped", image.error());

  ldr::ParameterBlock block;
  block.image_path_name = dos_path;
  block.command_line = make_command_line(dos_path, options.arguments);
  auto current = current_directory(machine, options);
  if (!current) return std::unexpected(error(kCouldNotRun, current.error()));
  block.current_directory = std::move(*current);
  block.window_title = dos_path;
  block.environment = make_environment(options.environment, options.processors);
  if (const Status status = open_streams(machine, *process, block); !is_success(status)) return failed("no standard stream", status);
  if (const Status status = machine.loader->set_up(*process, std::move(*image), block); !is_success(status)) {
    return failed("no address space", status);
  }
  const auto thread = machine.processes->create_thread(*process, {.start_address = process->image.entry_point, .argument = process->peb});
  if (!thread) return failed("no thread", thread.error());
  // NT: the program's creator would tell CSRSS; the system did it for the first one.
  if (const Status status = machine.csrss->create_process(nullptr, *process, **thread); !is_success(status)) {
    return failed("the Windows subsystem refused it", status);
  }
  return process;
}

}  // namespace vitrine
