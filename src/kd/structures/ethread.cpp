// ETHREAD: the executive's part of a thread. Fields: the lectures' slides (5.2), table 5-9 of WI5, the thread tables;
// facts 5.9.
#include <fmt/format.h>

#include <set>

#include "io/file_object.h"
#include "kd/structures/values.h"
#include "ps/start_address.h"

namespace vitrine::kd {
namespace {

using T = ps::Thread;

const ps::ThreadExtra* extra_of(const T& thread) {
  const auto found = thread.process->thread_extras.find(thread.id);
  return found == thread.process->thread_extras.end() ? nullptr : &found->second;
}

std::string impersonation(const Target& target, const T& thread) {
  const ps::ThreadExtra* extra = extra_of(thread);
  if (extra == nullptr || !extra->impersonation) return "none";
  return fmt::format("{}, level {}", name_of(target, *extra->impersonation),
                     static_cast<u32>(extra->impersonation->data.impersonation_level));
}

std::string requests(const Target& target, const T& thread) {
  // A request lives no longer than its file's last handle.
  std::set<const io::FileObject*> files;
  u64 count = 0;
  for (const ps::Process* process : target.processes()) {
    if (process->handles == nullptr) continue;
    for (ex::Handle h = process->handles->next({0}); h; h = process->handles->next(h)) {
      const ob::Object* object = process->handles->peek(h);
      if (&object->type() != &target.executive().io.file_type()) continue;
      const auto* file = static_cast<const io::FileObject*>(object);
      if (!files.insert(file).second) continue;
      for (const io::Irp& irp : file->pending) count += irp.requester.thread == &thread.tcb;
    }
  }
  return fmt::format("{} pending", count);
}

constexpr std::string_view kNoLpc = "messages between processes go through lpc, which keeps a waiter's message itself";

constexpr Field kFields[] = {
    field<T>("Tcb", "its KTHREAD", [](auto&, auto& t) { return std::string(ke::thread_state_name(t.tcb.state)); }),
    field<T>("CreateTime", "system time of its birth", [](auto&, auto& t) { return time_text(t.create_time); }),
    field<T>("ExitTime", "system time of its end", [](auto&, auto& t) { return time_text(t.exit_time); }),
    field<T>("ExitStatus", "0x103 (pending) while it lives",
             [](auto&, auto& t) { return hex(static_cast<u32>(t.exit_status)); }),
    absent("LpcReplyChain", "in the list of threads that wait for a reply of an LPC port", kNoLpc),
    absent("LpcReplySemaphore", "what it waits for until the reply is there", kNoLpc),
    absent("LpcReplyMessageId", "id of the message whose reply it waits for", kNoLpc),
    absent("LpcReplyMessage", "the reply, when it has come", kNoLpc),
    field<T>("Cid", "process id and thread id",
             [](auto&, auto& t) { return fmt::format("{:#x}.{:#x}", t.process->id, t.id); }),
    field<T>("ImpersonationInfo", "token and level while it impersonates",
             [](auto& target, auto& t) { return impersonation(target, t); }),
    field<T>("IrpList", "its I/O requests that are not completed",
             [](auto& target, auto& t) { return requests(target, t); }),
    field<T>("ThreadsProcess", "the process that owns it",
             [](auto& target, auto& t) { return name_of(target, *t.process); }),
    field<T>("StartAddress", "where user mode begins: RtlUserThreadStart, the same for all threads of a program",
             [](auto&, auto& t) { return hex(ps::start_address_of(t)); }),
    field<T>("Win32StartAddress", "the start routine that the program named",
             [](auto&, auto& t) {
               const ps::ThreadExtra* extra = extra_of(t);
               return hex(extra != nullptr && extra->win32_start_address != 0 ? extra->win32_start_address
                                                                              : t.start_address);
             }),
    field<T>("ThreadListEntry", "in EPROCESS.ThreadListHead, until it is deleted",
             [](auto&, auto& t) {
               return entry_text(t.process->threads, t, t.process_link.is_linked(),
                                 [](const T& other) { return hex(other.id); });
             }),
    field<T>("RundownProtect", "holds its teardown back while somebody uses it",
             [](auto&, auto& t) { return std::string(t.rundown.active() ? "rundown has begun" : "alive"); }),
    absent("ThreadLock", "push lock around its impersonation and others' view of it",
           "kernel functions run one at a time and to their end: there is nothing to lock"),
    field<T>("CrossThreadFlags", "1 terminated, 2 dead, 8 impersonating, 0x10 system, ...",
             [](auto&, auto& t) { return hex(t.flags); }),
};

}  // namespace

const Structure kEthread{"ETHREAD", "a thread, as the executive sees it", "THREAD", kFields, &find_ethread};

}  // namespace vitrine::kd
