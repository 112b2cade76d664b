#include "nt/dispatch.h"

#include <fmt/format.h>

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

}  // namespace

void ServiceDispatcher::enter(ps::Thread& thread) {
  const Call call{&executive_, &thread};
  const u32 number = static_cast<u32>(thread.registers()[cpu::Gpr::rax]);
  thread.user->service_number = number;
  ++thread.process->system_calls;
  if (is_gui_service(number)) {
    if (const Status status = become_gui_thread(thread); !is_success(status)) {
      record(thread, trace::EventType::service_enter, number, 0);
      return finish(thread, status);
    }
  }
  const Service* service = table_.find(number);
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

// NT: KiSystemService finds that the thread's table has no such part, and makes it a GUI thread before it looks again.
Status ServiceDispatcher::become_gui_thread(ps::Thread& thread) {
  Win32Threads& win32 = executive_.state->win32;
  VITRINE_TRY(win32.convert(executive_, thread));
  if (win32.subsystem == nullptr || table_.has_gui_table()) return Status::success;
  const std::span<const Service> services = win32.subsystem->services();
  if (executive_.loader != nullptr) {
    // The numbers are those of the DLL whose stubs call; without it nobody can call by name.
    const auto stubs = ldr::stubs_of(executive_.io, kWin32uPath);
    if (stubs) table_.add_gui_table(*stubs, services);
    return Status::success;
  }
  std::vector<ldr::Stub> stubs;
  for (const Service& service : services) {
    stubs.push_back({kFirstGuiService + static_cast<u32>(stubs.size()), std::string(service.name)});
  }
  table_.add_gui_table(stubs, services);
  return Status::success;
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
  (void)thread.process->space->write_value(thread.teb + offsetof(abi::Teb, last_error), abi::win32_error::kCallNotImplemented);
  finish(thread, Status{});
}

void ServiceDispatcher::record(ps::Thread& thread, trace::EventType type, u64 a, u64 b, u64 c, u64 d) {
  const u32 processor = executive_.kernel.executing_processor();
  executive_.trace.record({executive_.machine.clock(processor).value, type, static_cast<u16>(processor), thread.id, {a, b, c, d}});
}

}  // namespace vitrine::nt
