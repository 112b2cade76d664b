#include "kd/structures/values.h"

#include <fmt/format.h>

#include "nt/executive_state.h"
#include "ob/sync_objects.h"

namespace vitrine::kd {

std::string waiter_names(const ke::DispatcherHeader& header) {
  std::string text;
  for (const ke::WaitBlock& block : header.waiters) {
    text += text.empty() ? "" : ", ";
    text += block.thread != nullptr ? fmt::format("thread {:#x}", block.thread->thread_id) : "a completion packet";
  }
  return text;
}

std::string header_text(const ke::DispatcherHeader& header) {
  const u64 waiters = length(header.waiters);
  return fmt::format("state {}, {} waiting", header.signal_state, waiters);
}

std::string apc_text(const ke::ApcQueues& queues, const ke::ApcFlags& flags) {
  return fmt::format("kernel {}, user {}{}{}", length(queues.kernel), length(queues.user),
                     flags.kernel_apc_in_progress ? ", in progress" : "",
                     flags.user_apc_pending ? ", user pending" : "");
}

std::string timer_text(const Target& target, const ke::TimerCore& timer) {
  if (timer.header.inserted == 0) return "not set";
  const i64 left = timer.due.value - target.kernel().interrupt_time().value;
  return fmt::format("due in {}", milliseconds(static_cast<u64>(left < 0 ? 0 : left) * 100));
}

std::string optional_object(const Target& target, const ob::Object* object) {
  return object == nullptr ? "none" : name_of(target, *object);
}

std::string object_text(const Target& target, const ke::DispatcherHeader& header) {
  const ob::Object* object = target.object_of(header);
  return object == nullptr ? fmt::format("a kernel object of type {}", static_cast<u32>(header.type))
                           : name_of(target, *object);
}

std::string time_text(Ticks system_time) {
  return system_time.value == 0 ? "-" : hex(static_cast<u64>(system_time.value));
}

Va stack_base(const Target& target, const ps::Thread& thread) {
  if (thread.kernel_stack == mm::KernelStack{}) return 0;
  return target.executive().memory.kernel_stack_base(thread.kernel_stack);
}
Va stack_limit(const Target& target, const ps::Thread& thread) {
  if (thread.kernel_stack == mm::KernelStack{}) return 0;
  return target.executive().memory.kernel_stack_limit(thread.kernel_stack);
}
Va win32_thread(const Target& target, const ps::Thread& thread) {
  return target.executive().state->win32.thread_record(thread);
}

}  // namespace vitrine::kd
