#include "vitrine/start_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "vitrine/command_line.h"
#include "vitrine/program_file.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// The tool's documented code (docs/running.md).
constexpr int kCouldNotRun = 125;

StartError error(int exit_code, std::string message) { return {exit_code, std::move(message)}; }

bool is_inside(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

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

}  // namespace

std::expected<TemporaryFolder, std::string> make_private_folder() {
  auto folder = TemporaryFolder::create("vitrine");
  if (!folder) return folder;
  for (const char* name : {"temp", "profile"}) {
    std::error_code code;
    fs::create_directory(folder->path() / name, code);
    if (code) return std::unexpected(fmt::format("{}: {}", (folder->path() / name).string(), code.message()));
  }
  return folder;
}

std::vector<io::Mount> program_mounts(const RunOptions& options, const SystemFiles& system, const TemporaryFolder& folder) {
  std::vector<std::string> system_folders;
  for (const fs::path& path : system.folders()) system_folders.push_back(path.string());
  std::error_code code;
  const fs::path current = options.current_folder.empty() ? fs::current_path(code) : options.current_folder;
  const fs::path program_folder = resolved(options.program).parent_path();
  std::vector<io::Mount> mounts{
      {u"\\windows\\system32", std::move(system_folders), io::MountAccess::read_only},
      {u"\\temp", {(folder.path() / "temp").string()}, io::MountAccess::read_write},
      {u"\\users\\vitrine", {(folder.path() / "profile").string()}, io::MountAccess::read_write},
      {u"\\work", {current.string()}, io::MountAccess::read_write}};
  if (!is_inside(program_folder, resolved(current))) {
    mounts.push_back({u"\\program", {program_folder.string()}, io::MountAccess::read_only});
  }
  for (const Mount& mount : options.mounts) {
    mounts.push_back({to_utf16(std::string_view(mount.guest_path).substr(2)), {mount.host_folder.string()},
                      mount.read_only ? io::MountAccess::read_only : io::MountAccess::read_write});
  }
  return mounts;
}

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
  block.current_directory = u"C:\\work\\";
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
