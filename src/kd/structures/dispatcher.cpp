// The dispatcher's structures: what can be waited for, and what a wait, a timer and an APC are made of. Fields: public
// symbols [VOL]; meanings: WI5 ch. 3, facts 7.
#include <fmt/format.h>

#include "io/io_completion.h"
#include "kd/structures/values.h"

namespace vitrine::kd {
namespace {

// A dispatcher object by address or PROCESS:HANDLE.
std::expected<const ob::Object*, std::string> waitable(const Target& target, std::string_view text) {
  auto object = target.object(text);
  if (object && ob::dispatcher_header(const_cast<ob::Object&>(**object)) == nullptr) {
    return std::unexpected(
        fmt::format("{} cannot be waited for: it has no dispatcher header", name_of(target, **object)));
  }
  return object;
}

std::expected<const ob::Object*, std::string> of_type(const Target& target, std::string_view text,
                                                      const ob::ObjectType& type, std::string_view wanted) {
  auto object = target.object(text);
  if (object && &(*object)->type() != &type) {
    return std::unexpected(fmt::format("{} is no {}", name_of(target, **object), wanted));
  }
  return object;
}

FoundRecord find_header(const Target& target, std::string_view text) {
  if (const auto thread = target.thread(text)) return borrow(&(*thread)->tcb.header);
  const auto object = waitable(target, text);
  if (!object) return std::unexpected(object.error());
  return borrow(ob::dispatcher_header(const_cast<ob::Object&>(**object)));
}

FoundRecord find_timer(const Target& target, std::string_view text) {
  if (const auto thread = target.thread(text)) return borrow(static_cast<const ke::TimerCore*>(&(*thread)->tcb.timer));
  const auto object = of_type(target, text, target.executive().sync.timer(), "timer");
  if (!object) return std::unexpected(object.error());
  return borrow(static_cast<const ke::TimerCore*>(&static_cast<const ob::TimerObject*>(*object)->timer));
}

// A thread's built-in semaphore, or a semaphore object.
struct SemaphoreView {
  const ke::DispatcherHeader* header;
  i32 limit;
};

FoundRecord find_semaphore(const Target& target, std::string_view text) {
  if (const auto thread = target.thread(text)) {
    return std::make_shared<SemaphoreView>(&(*thread)->tcb.suspend_semaphore, 2);
  }
  const auto object = of_type(target, text, target.executive().sync.semaphore(), "semaphore");
  if (!object) return std::unexpected(object.error());
  const auto& semaphore = static_cast<const ob::SemaphoreObject*>(*object)->semaphore;
  return std::make_shared<SemaphoreView>(&semaphore.header, semaphore.limit);
}

FoundRecord find_mutant(const Target& target, std::string_view text) {
  const auto object = of_type(target, text, target.executive().sync.mutant(), "mutant");
  if (!object) return std::unexpected(object.error());
  return borrow(&static_cast<const ob::MutantObject*>(*object)->mutant);
}

FoundRecord find_event(const Target& target, std::string_view text) {
  const auto object = of_type(target, text, target.executive().sync.event(), "event");
  if (!object) return std::unexpected(object.error());
  return borrow(&static_cast<const ob::EventObject*>(*object)->event);
}

FoundRecord find_queue(const Target& target, std::string_view text) {
  const auto object = of_type(target, text, target.executive().io.completion_type(), "completion port");
  if (!object) return std::unexpected(object.error());
  return borrow(&static_cast<const io::IoCompletionObject*>(*object)->queue);
}

using H = ke::DispatcherHeader;
constexpr Field kHeaderFields[] = {
    field<H>("Type", "KOBJECTS: 0, 1 event, 2 mutant, 3 process, 4 queue, 5 semaphore, 6 thread, 7 gate, 8, 9 timer",
             [](auto&, auto& h) { return number(static_cast<i64>(h.type)); }),
    field<H>("Absolute", "a timer whose due time moves with the system clock",
             [](auto&, auto& h) { return flag(h.absolute != 0); }),
    absent("Size", "size of the object in 4-byte units", "records here have sizes of their own; `dt` shows NT's"),
    field<H>("Inserted", "a timer that is set", [](auto&, auto& h) { return flag(h.inserted != 0); }),
    field<H>("SignalState", "above 0: signalled; a mutant is owned at 0 and below",
             [](auto&, auto& h) { return number(h.signal_state); }),
    field<H>("WaitListHead", "wait blocks of the threads that wait for it, oldest first",
             [](auto&, auto& h) {
               const std::string text = waiter_names(h);
               return text.empty() ? std::string("empty") : text;
             }),
};

using W = ps::Thread;
constexpr Field kWaitBlockFields[] = {
    field<W>("WaitListEntry", "in the object's WaitListHead",
             [](auto&, auto& t) { return flag(t.tcb.wait_count > 0 && t.tcb.wait_block_list[0].link.is_linked()); }),
    field<W>("Thread", "who waits", [](auto&, auto& t) { return name_of(t); }),
    field<W>("Object", "what for (the first of several)",
             [](auto& target, auto& t) {
               if (t.tcb.wait_count == 0 || t.tcb.wait_reason == ke::WaitReason::wr_keyed_event)
                 return std::string("none");
               return object_text(target, *t.tcb.wait_block_list[0].object);
             }),
    field<W>("NextWaitBlock", "the wait's other blocks",
             [](auto&, auto& t) { return fmt::format("{} in all", t.tcb.wait_count); }),
    absent("WaitKey", "index of the object in the wait", "the block's position in the thread's array says it"),
    field<W>("WaitType", "0: for all objects at once, 1: for any",
             [](auto&, auto& t) { return number(static_cast<i64>(t.tcb.wait_type)); }),
};

using C = ke::TimerCore;
constexpr Field kTimerFields[] = {
    field<C>("Header", "dispatcher header: signalled when due", [](auto&, auto& t) { return header_text(t.header); }),
    field<C>("DueTime", "interrupt time, 100 ns", [](auto&, auto& t) { return number(t.due.value); }),
    field<C>("TimerListEntry", "in the timer table", [](auto&, auto& t) { return flag(t.table_link.is_linked()); }),
    field<C>("Dpc", "queued when it is due",
             [](auto&, auto& t) {
               return flag(t.header.spare != ke::kThreadTimer && static_cast<const ke::Timer&>(t).dpc != nullptr);
             }),
    field<C>("Period", "milliseconds; 0: once",
             [](auto&, auto& t) {
               return number(t.header.spare == ke::kThreadTimer ? 0 : static_cast<const ke::Timer&>(t).period_ms);
             }),
};

using A = ps::Thread;
constexpr Field kApcFields[] = {
    absent("Type", "18: APC", "APCs are not told apart by number here"),
    field<A>("Thread", "whose suspend APC this is", [](auto&, auto& t) { return name_of(t); }),
    field<A>("ApcListEntry", "in the kernel queue of the thread's APC state",
             [](auto&, auto& t) { return flag(t.tcb.suspend_apc.link.is_linked()); }),
    field<A>("KernelRoutine", "runs at APC_LEVEL",
             [](auto&, auto& t) { return flag(t.tcb.suspend_apc.operations != nullptr); }),
    field<A>("NormalRoutine", "runs at PASSIVE_LEVEL: here it waits for SuspendSemaphore",
             [](auto&, auto& t) { return flag(t.tcb.suspend_apc.kind == ke::ApcKind::normal_kernel); }),
    field<A>("ApcStateIndex", "which APC state: 0 original, 1 attached, 2 current",
             [](auto&, auto& t) { return number(static_cast<i64>(t.tcb.suspend_apc.environment)); }),
    field<A>("ApcMode", "0 kernel, 1 user",
             [](auto&, auto& t) { return number(t.tcb.suspend_apc.kind == ke::ApcKind::user); }),
    field<A>("Inserted", "queued", [](auto&, auto& t) { return flag(t.tcb.suspend_apc.inserted); }),
};
constexpr Field kApcStateFields[] = {
    field<A>("ApcListHead", "queued APCs: kernel, user",
             [](auto&, auto& t) {
               return fmt::format("{}, {}", length(t.tcb.apc_queues.kernel), length(t.tcb.apc_queues.user));
             }),
    field<A>("Process", "the process whose memory it sees",
             [](auto&, auto& t) { return fmt::format("process {:#x}", t.tcb.current_process()->process_id); }),
    field<A>("KernelApcInProgress", "a normal kernel APC has begun and not ended",
             [](auto&, auto& t) { return flag(t.tcb.apc_flags.kernel_apc_in_progress); }),
    field<A>("KernelApcPending", "kernel APCs are to be delivered",
             [](auto&, auto& t) { return flag(t.tcb.apc_flags.kernel_apc_pending); }),
    field<A>("UserApcPending", "user APCs are to be delivered on the way to user mode",
             [](auto&, auto& t) { return flag(t.tcb.apc_flags.user_apc_pending); }),
};

using S = SemaphoreView;
constexpr Field kSemaphoreFields[] = {
    field<S>("Header", "dispatcher header: its state is the count",
             [](auto&, auto& s) { return header_text(*s.header); }),
    field<S>("Limit", "the greatest count", [](auto&, auto& s) { return number(s.limit); }),
};

using M = ke::Mutant;
constexpr Field kMutantFields[] = {
    field<M>("Header", "dispatcher header: 1 free, 0 and below owned",
             [](auto&, auto& m) { return header_text(m.header); }),
    field<M>("MutantListEntry", "in its owner's MutantListHead",
             [](auto&, auto& m) { return flag(m.owner_link.is_linked()); }),
    field<M>(
        "OwnerThread", "who owns it",
        [](auto&, auto& m) { return m.owner == nullptr ? std::string("none") : name_of(*ps::Thread::from(m.owner)); }),
    field<M>("Abandoned", "its last owner ended without releasing it",
             [](auto&, auto& m) { return flag(m.abandoned); }),
    field<M>("ApcDisable", "a kernel mutex: its owner takes no normal kernel APCs",
             [](auto&, auto& m) { return flag(m.disables_kernel_apcs); }),
};

constexpr Field kEventFields[] = {
    field<ke::Event>("Header", "dispatcher header: 1 set", [](auto&, auto& e) { return header_text(e.header); }),
};

using Q = ke::Queue;
constexpr Field kQueueFields[] = {
    field<Q>("Header", "dispatcher header: its state is the number of entries",
             [](auto&, auto& q) { return header_text(q.header); }),
    field<Q>("EntryListHead", "entries that nobody has taken",
             [](auto&, auto& q) { return fmt::format("{} entries", length(q.entries)); }),
    field<Q>("CurrentCount", "its threads that are not waiting",
             [](auto&, auto& q) { return number(q.current_count); }),
    field<Q>("MaximumCount", "how many of them it lets run", [](auto&, auto& q) { return number(q.maximum_count); }),
    field<Q>("ThreadListHead", "its threads",
             [](auto&, auto& q) { return fmt::format("{} threads", length(q.associations)); }),
};

}  // namespace

const Structure kDispatcherHeader{"DISPATCHER_HEADER", "the part of an object that is waited for", "THREAD|OBJECT",
                                  kHeaderFields, &find_header};
const Structure kKwaitBlock{"KWAIT_BLOCK", "one thread waiting for one object", "THREAD", kWaitBlockFields,
                            &find_ethread};
const Structure kKtimer{"KTIMER", "a timer, or the one built into a thread", "THREAD|OBJECT", kTimerFields,
                        &find_timer};
const Structure kKapc{"KAPC", "an APC: the suspend APC built into a thread", "THREAD", kApcFields, &find_ethread};
const Structure kKapcState{"KAPC_STATE", "a thread's APC queues", "THREAD", kApcStateFields, &find_ethread};
const Structure kKsemaphore{"KSEMAPHORE", "a semaphore, or a thread's suspend semaphore", "THREAD|OBJECT",
                            kSemaphoreFields, &find_semaphore};
const Structure kKmutant{"KMUTANT", "a mutant", "OBJECT", kMutantFields, &find_mutant};
const Structure kKevent{"KEVENT", "an event", "OBJECT", kEventFields, &find_event};
const Structure kKqueue{"KQUEUE", "the queue in a completion port", "OBJECT", kQueueFields, &find_queue};

}  // namespace vitrine::kd
