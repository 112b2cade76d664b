#include "nt/dispatch.h"

#include <fmt/format.h>

#include <algorithm>

#include "abi/teb.h"
#include "abi/window_messages.h"
#include "ldr/service_stubs.h"
#include "nt/executive_state.h"
#include "nt/strace.h"

namespace vitrine::nt {
namespace {

// Where the fifth argument lies at SYSCALL: above the return address and the home area of the first four [x64 calling
// convention].
constexpr u64 kStackArguments = 0x28;
constexpr u32 kRegisterArguments = 4;
// Whose stubs call win32k's services.
constexpr std::u16string_view kWin32uPath = u"\\??\\C:\\windows\\system32\\win32u.dll";

// Fills raw[0..count). Error: access_violation when the stack cannot be read.
Status capture_arguments(Call call, u32 count, u64* raw) {
  const cpu::GuestContext& r = call.thread->registers();
  raw[0] = r[cpu::Gpr::r10];  // SYSCALL overwrites RCX, so the stub moves it
  raw[1] = r[cpu::Gpr::rdx];
  raw[2] = r[cpu::Gpr::r8];
  raw[3] = r[cpu::Gpr::r9];
  if (count <= kRegisterArguments) return Status::success;
  return call.space().read(r[cpu::Gpr::rsp] + kStackArguments,
                           std::as_writable_bytes(std::span(raw + kRegisterArguments, count - kRegisterArguments)));
}

// win32k's numbers are those of the DLL whose stubs call; without that DLL nobody can call by name. On a machine
// without DLLs they are in the order of win32k's services.
std::vector<ldr::Stub> gui_stubs(Executive& executive) {
  std::vector<ldr::Stub> stubs;
  if (executive.loader != nullptr) {
    if (auto found = ldr::stubs_of(executive.io, kWin32uPath)) stubs = std::move(*found);
    std::erase_if(stubs, [](const ldr::Stub& stub) { return !is_gui_service(stub.number); });
    return stubs;
  }
  for (const Service& service : executive.state->win32.subsystem->services()) {
    stubs.push_back({kFirstGuiService + static_cast<u32>(stubs.size()), std::string(service.name)});
  }
  return stubs;
}

// NT: KeAddSystemServiceTable. The names join the machine's table, for everybody who shows a service by its name.
void add_gui_table(Executive& executive, ServiceTable& table) {
  Win32Threads& win32 = executive.state->win32;
  win32.has_table = true;
  std::vector<ldr::Stub> stubs = gui_stubs(executive);
  const std::span<const Service> services = win32.subsystem->services();
  for (const ldr::Stub& stub : stubs) {
    const std::size_t index = stub.number - kFirstGuiService;
    if (win32.services.size() <= index) win32.services.resize(index + 1);
    const auto found = std::ranges::find(services, std::string_view(stub.name), &Service::name);
    win32.services[index] = found == services.end() ? nullptr : &*found;
  }
  for (u32 number = 0; number < table.size(); ++number) {
    if (table.is_known_number(number)) stubs.push_back({number, std::string(table.name(number))});
  }
  table = ServiceTable(stubs);
}

// NT: KiSystemService finds that the thread's table has no such part, and makes it a GUI thread before it looks again.
Status become_gui_thread(Executive& executive, ServiceTable& table, ps::Thread& thread) {
  Win32Threads& win32 = executive.state->win32;
  VITRINE_TRY(win32.convert(executive, thread));
  if (win32.subsystem != nullptr && !win32.has_table) add_gui_table(executive, table);
  return Status::success;
}

}  // namespace

void ServiceDispatcher::enter(ps::Thread& thread) {
  const Call call{&executive_, &thread};
  const u32 number = static_cast<u32>(thread.registers()[cpu::Gpr::rax]);
  thread.user->service_number = number;
  ++thread.process->system_calls;
  const bool gui = is_gui_service(number);
  if (gui) {
    if (const Status status = become_gui_thread(executive_, table_, thread); !is_success(status)) {
      record(thread, trace::EventType::service_enter, number, 0);
      return finish(thread, status);
    }
  }
  const Service* service = gui ? executive_.state->win32.find_service(number) : table_.find(number);
  if (service == nullptr) return refuse(thread, number);
  if (counts_.size() <= number) counts_.resize(number + 1);
  ++counts_[number];

  std::array<u64, kMaximumArguments> raw{};
  if (const Status status = capture_arguments(call, service->argument_count, raw.data()); !is_success(status)) {
    return finish(thread, status);
  }
  record(thread, trace::EventType::service_enter, number, raw[0], raw[1], raw[2]);
  if (trace_) trace_(fmt::format("[{:x}] {}", thread.id, format_call(call, *service, raw.data())));

  const trace::CallScope scope(executive_.pool.calls(), service->name);
  Outcome outcome = service->invoke(call, raw.data());
  if (!outcome.suspends()) return finish(thread, outcome.status());
  thread.user->service = outcome.take_task();
  thread.user->service.start();
  service_ended(thread);
}

void ServiceDispatcher::service_ended(ps::Thread& thread) {
  Task<Status>& task = thread.user->service;
  if (!task.done()) return;
  const Status status = task.result();
  task.reset();
  finish(thread, status);
}

void ServiceDispatcher::finish(ps::Thread& thread, Status status) {
  const u32 number = thread.user->service_number;
  record(thread, trace::EventType::service_exit, number, static_cast<u32>(status));
  if (trace_) {
    // win32k's services answer as their Windows functions do.
    const bool value = is_gui_service(number);
    trace_(fmt::format("[{:x}]   {} = {}", thread.id, table_.name(number),
                       value ? fmt::format("{:#x}", static_cast<u32>(status)) : std::string(status_name(status))));
  }
  if (std::exchange(thread.user->registers_replaced, false)) return;
  thread.registers()[cpu::Gpr::rax] = static_cast<u32>(status);
}

void ServiceDispatcher::refuse(ps::Thread& thread, u32 number) {
  if (!table_.is_known_number(number)) {
    // NT: a number outside the table raises nothing; the caller gets this status.
    record(thread, trace::EventType::service_enter, number, 0);
    return finish(thread, Status::invalid_system_service);
  }
  if (table_.first_report(number)) {
    executive_.notice(fmt::format("{} called {}, which Vitrine does not have; it got STATUS_NOT_IMPLEMENTED",
                                  thread.process->short_name(), table_.name(number)));
  }
  record(thread, trace::EventType::service_enter, number, 0);
  if (!is_gui_service(number)) return finish(thread, Status::not_implemented);
  // A GUI service that fails says so by 0 and the thread's last error.
  (void)thread.process->space->write_value(thread.teb + offsetof(abi::Teb, last_error),
                                           abi::win32_error::kCallNotImplemented);
  finish(thread, Status{});
}

void ServiceDispatcher::record(ps::Thread& thread, trace::EventType type, u64 a, u64 b, u64 c, u64 d) {
  const u32 processor = executive_.kernel.executing_processor();
  executive_.trace.record(
      {executive_.machine.clock(processor).value, type, static_cast<u16>(processor), thread.id, {a, b, c, d}});
}

}  // namespace vitrine::nt
