// !stacks: where each thread is: the service that it is in, and the code addresses on top of its user stack. Without
// unwind tables an address is only what looks like a return address: it lies in an executable image range.
#include "kd/command.h"
#include "kd/guest_memory.h"
#include "mm/file_backing.h"

namespace vitrine::kd {
namespace {

constexpr u32 kAddresses = 8;
constexpr u64 kSearchedBytes = 0x400;

bool is_code(const ps::Process& process, Va va) {
  const mm::Vad* vad = process.space->vads().find(va);
  if (vad == nullptr || !vad->is_image()) return false;
  const mm::Pte pte = process.space->page_table().get(va);
  return pte.is_valid() && pte.protection().allows_execute();
}

std::string place(const ps::Process& process, Va va) {
  const mm::Vad* vad = process.space->vads().find(va);
  const std::string module =
      va >= process.image.base && vad->start() <= process.image.base && process.image.base < vad->end()
          ? process.short_name()
          : fmt::format("image {:#x}", vad->start());
  return fmt::format("{}+{:#x}", module, va - vad->start());
}

std::string addresses(const Target& target, const ps::Thread& thread) {
  const cpu::GuestContext& registers = thread.registers();
  std::string text =
      is_code(*thread.process, registers.rip) ? place(*thread.process, registers.rip) : hex(registers.rip);
  u32 found = 1;
  const Va stack = align_up(registers[cpu::Gpr::rsp], 8);
  for (Va at = stack; at < stack + kSearchedBytes && found < kAddresses; at += 8) {
    const auto value = read_guest<Va>(target, *thread.process, at);
    if (!value) break;
    if (!is_code(*thread.process, *value)) continue;
    text += " < " + place(*thread.process, *value);
    ++found;
  }
  return text;
}

}  // namespace

void show_stacks(const Target& target, const Arguments& arguments, Report& report) {
  const ps::Process* only = nullptr;
  if (!arguments.empty()) {
    const auto process = target.process(arguments[0]);
    if (!process) return report.fail("{}", process.error());
    only = *process;
  }
  Table& table = report.table({"thread", "state", "service", "rsp", "code"});
  for (const ps::Thread* thread : target.threads()) {
    if (only != nullptr && thread->process != only) continue;
    const bool entered = thread->user != nullptr && thread->process->space != nullptr;
    const std::string_view service =
        entered && thread->user->service.valid() ? target.services().name(thread->user->service_number) : "-";
    table.rows.push_back({hex(thread->id), state_of(*thread), std::string(service),
                          entered ? hex(thread->registers()[cpu::Gpr::rsp]) : "-",
                          entered ? addresses(target, *thread) : "has not run yet"});
  }
}

}  // namespace vitrine::kd
