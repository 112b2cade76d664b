// What Wine's DLLs ask of Wine's own kernel half: debug output, and calls into the "Unix halves" of a few DLLs.
// Services that would lead out of the machine (host paths, host descriptors, host processes, the Wine server) do not
// exist here and say so. [seen in Wine 8.0's user mode]
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "nt/executive_state.h"
#include "nt/families.h"
#include "nt/memory_target.h"
#include "nt/service_table.h"
#include "nt/socket_names.h"

namespace vitrine::nt {
namespace {

constexpr u32 kMaximumDebugBytes = 4096;  // of one write; the rest is dropped and the whole length reported as written

constexpr std::size_t kMaximumUnfinishedLines = 64;

// Adds `text` to the thread's unfinished line and notes every line that it ends. A line as long as the limit is noted
// as it is.
void note_lines(Call call, std::string_view text) {
  auto& lines = call->state->debug_lines;
  if (lines.size() >= kMaximumUnfinishedLines && !lines.contains(call.thread->id)) {  // threads that ended in mid-line
    for (const auto& [thread, line] : lines) call->notice(line);
    lines.clear();
  }
  auto& unfinished = lines[call.thread->id];
  for (const char c : text) {
    if (c != '\n') unfinished += c;
    if (c != '\n' && unfinished.size() < kMaximumDebugBytes) continue;
    if (!unfinished.empty()) call->notice(unfinished);
    unfinished.clear();
  }
  if (unfinished.empty()) lines.erase(call.thread->id);
}

// write(2, ...) for Wine's debug channels. Returns the count, as write does, not a status. Wine's ntdll writes whole
// lines; what comes in pieces is joined, so that lines of several threads do not mix.
Status wine_dbg_write(Call call, Buffer text, u32 length) {
  auto bytes = capture_bytes(call, text, std::min(length, kMaximumDebugBytes), kMaximumDebugBytes);
  if (!bytes) return static_cast<Status>(~0u);
  note_lines(call, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  return static_cast<Status>(length);
}

std::optional<Status> ntdll_call(Call call, u32 code, Buffer arguments) {
  switch (code) {
    case 0:
      return Status::dll_not_found;  // load_so_dll: there are no Unix libraries
    case 1:
      return Status::unsuccessful;  // unwind_builtin_dll: there are no frames of Unix code
    case 2: {                       // system_time_precise: the clock of this processor, between two clock interrupts
      const u64 now = call->machine.clock(call->kernel.executing_processor()).value / 100;
      return arguments.as<i64>().write(call.space(), call->machine.boot_time().value + static_cast<i64>(now));
    }
    default:
      return std::nullopt;
  }
}

// crypt32 keeps the certificates of the host's stores, of which there are none here, and reads PKCS #12 with a library
// of the host's; both are optional to it.
std::optional<Status> crypt32_call(u32 code) {
  constexpr u32 kAttach = 0, kDetach = 1, kEnumerateRootCertificates = 6;
  if (code == kAttach || code == kDetach) return Status::success;
  if (code == kEnumerateRootCertificates) return Status::no_more_entries;
  return code < kEnumerateRootCertificates ? std::optional(Status::dll_not_found) : std::nullopt;
}

// DNS errors, which the dnsapi calls return instead of statuses [winerror.h]. No server is configured, none can be.
std::optional<Status> dnsapi_call(u32 code) {
  constexpr u32 kNoDnsServers = 9852, kLast = 3;  // get_searchlist, get_serverlist, set_serverlist, query
  return code <= kLast ? std::optional(static_cast<Status>(kNoDnsServers)) : std::nullopt;
}

// `module` is what NtQueryVirtualMemory class 1000 gave for the DLL: its base.
Status wine_unix_call(Call call, u64 module, u32 code, Buffer arguments) {
  const std::string name = exported_module_name(call.space(), module);
  std::optional<Status> result;
  if (name == "ntdll.dll")
    result = ntdll_call(call, code, arguments);
  else if (name == "ws2_32.dll")
    result = socket_names_call(call, code, arguments);
  else if (name == "crypt32.dll")
    result = crypt32_call(code);
  else if (name == "dnsapi.dll")
    result = dnsapi_call(code);
  // bcrypt attaches to a host library for everything but random numbers; refusing that (0) makes it do without.
  else if (name == "bcrypt.dll" && code == 0)
    result = Status::dll_not_found;
  if (result) return *result;
  if (call->state->reported.emplace(module, code).second) {
    call->notice(fmt::format("{}: unix call {} of {} does not exist here; it got STATUS_NOT_IMPLEMENTED",
                             call.process().short_name(), code, name.empty() ? "an unknown module" : name));
  }
  return Status::not_implemented;
}

// Where Wine's user32 asks its server instead of win32u: PostQuitMessage alone. The request's head is its number and two
// lengths [seen in Wine 8.0's user32].
struct PostQuitRequest {
  u32 number, request_bytes, reply_bytes;
  i32 exit_code;
};
constexpr u32 kPostQuitMessage = 0x70;

Status wine_server_call(Call call, UserPtr<PostQuitRequest> address) {
  const auto request = address.read(call.space());
  if (!request) return request.error();
  if (request->number != kPostQuitMessage) return Status::not_implemented;
  Win32Threads& win32 = call->state->win32;
  VITRINE_TRY(win32.convert(*call.executive, *call.thread));
  if (win32.subsystem == nullptr) return Status::not_implemented;
  return win32.subsystem->post_quit_message(*call.thread, request->exit_code) ? Status::success : Status::not_implemented;
}
Status wine_nt_to_unix_file_name(Call, UserPtr<ObjectAttributes>, Buffer, UserPtr<u32>, u32) {
  return Status::object_path_not_found;
}
Status wine_unix_to_nt_file_name(Call, Buffer, Buffer, UserPtr<u32>) { return Status::object_path_not_found; }
Status wine_server_fd_to_handle(Call, u32, u32, u32, UserPtr<Handle>) { return Status::invalid_handle; }
Status wine_server_handle_to_fd(Call, Handle, u32, UserPtr<u32>, UserPtr<u32>) { return Status::object_type_mismatch; }
Status wine_unix_spawnvp(Call, Buffer, bool) { return Status::access_denied; }

using enum SupportLevel;
constexpr std::string_view kIsolation = "nothing of the host can be reached";
constexpr Service kServices[] = {
    service<&wine_dbg_write>("__wine_dbg_write", complete, "text, length"),
    service<&wine_unix_call>(
        kUnixCallName, partial, "module, code, arguments",
        "ntdll, ws2_32 and dnsapi whole; bcrypt offers random numbers only, crypt32 no stores of the host"),
    service<&wine_unix_spawnvp>("__wine_unix_spawnvp", refused, "arguments, wait", kIsolation),
    service<&wine_nt_to_unix_file_name>("wine_nt_to_unix_file_name", refused, "attributes, name, size, disposition",
                                        kIsolation),
    service<&wine_server_call>("wine_server_call", partial, "request", "PostQuitMessage alone: there is no Wine server"),
    service<&wine_server_fd_to_handle>("wine_server_fd_to_handle", refused, "fd, access, attributes, handle",
                                       kIsolation),
    service<&wine_server_handle_to_fd>("wine_server_handle_to_fd", refused, "handle, access, fd, options", kIsolation),
    service<&wine_unix_to_nt_file_name>("wine_unix_to_nt_file_name", refused, "name, buffer, size", kIsolation),
};

}  // namespace

std::span<const Service> wine_services() { return kServices; }

}  // namespace vitrine::nt
