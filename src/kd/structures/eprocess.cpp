// EPROCESS: the executive's part of a process. Fields: the lectures' slides (5.2); facts 5.9.
#include <fmt/format.h>

#include "io/file_object.h"
#include "kd/structures/values.h"
#include "mm/section.h"
#include "nt/executive_state.h"

namespace vitrine::kd {
namespace {

using P = ps::Process;

constexpr std::string_view kOneAtATime =
    "kernel functions run one at a time and to their end: there is nothing to lock";
constexpr std::string_view kNoDebugger = "no program debugs another here; kd looks from outside";
constexpr std::string_view kNoFork =
    "a process that shares its parent's memory copy-on-write is the POSIX subsystem's; there is none";
constexpr std::string_view kNoVdm = "16-bit programs run on x86 only";

template <typename Function>
std::string of_space(const P& process, Function function) {
  return process.space == nullptr ? std::string("no address space")
                                  : number(static_cast<i64>(function(*process.space)));
}

std::string quota_text(const P& process, u64 ps::QuotaUse::* part) {
  if (process.quota == nullptr) return "none";
  return fmt::format("nonpaged {}, paged {}, page file {}", process.quota->use(ex::PoolType::nonpaged).*part,
                     process.quota->use(ex::PoolType::paged).*part,
                     process.space == nullptr
                         ? 0
                         : kPageSize * (part == &ps::QuotaUse::peak ? process.space->peak_commit_charge()
                                                                    : process.space->commit_charge()));
}

u64 private_pages(const P& process) {
  u64 pages = 0;
  for (const mm::Vad* vad = process.space->vads().first(); vad != nullptr; vad = process.space->vads().next(*vad)) {
    pages += vad->commit_charge();
  }
  return pages;
}

std::string flags_text(const P& process) {
  std::string text;
  const auto add = [&text](bool set, std::string_view name) {
    if (set) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  };
  add(process.create_reported, "CreateReported");
  add(process.exiting, "ProcessExiting");
  add(process.deleting, "ProcessDelete");
  add(process.space != nullptr, "HasAddressSpace");
  return text.empty() ? "none" : text;
}

constexpr Field kFields[] = {
    field<P>("Pcb", "its KPROCESS", [](auto&, auto& p) { return fmt::format("{} threads", length(p.pcb.threads)); }),
    absent("ProcessLock", "push lock around the thread list and the token", kOneAtATime),
    field<P>("CreateTime", "system time of its birth", [](auto&, auto& p) { return time_text(p.create_time); }),
    field<P>("ExitTime", "system time of its end", [](auto&, auto& p) { return time_text(p.exit_time); }),
    field<P>("RundownProtect", "holds its teardown back while somebody uses it",
             [](auto&, auto& p) { return std::string(p.rundown.active() ? "rundown has begun" : "alive"); }),
    field<P>("UniqueProcessId", "its id", [](auto&, auto& p) { return hex(p.id); }),
    field<P>("ActiveProcessLinks", "in the list of all processes",
             [](auto& target, auto& p) {
               return entry_text(target.executive().processes.active_processes(), p, p.active_link.is_linked(),
                                 [](const P& other) { return hex(other.id); });
             }),
    field<P>("QuotaUsage", "bytes charged now", [](auto&, auto& p) { return quota_text(p, &ps::QuotaUse::usage); }),
    field<P>("QuotaPeak", "bytes charged at most", [](auto&, auto& p) { return quota_text(p, &ps::QuotaUse::peak); }),
    field<P>("CommitCharge", "pages charged against commit",
             [](auto&, auto& p) { return of_space(p, [](auto& s) { return s.commit_charge(); }); }),
    field<P>("PeakVirtualSize", "bytes of address space at most",
             [](auto&, auto& p) { return of_space(p, [](auto& s) { return s.peak_virtual_bytes(); }); }),
    field<P>("VirtualSize", "bytes of address space",
             [](auto&, auto& p) { return of_space(p, [](auto& s) { return s.virtual_bytes(); }); }),
    absent("SessionProcessLinks", "in its session's list of processes",
           "there is one session with programs, and ActiveProcessLinks is its list"),
    absent("DebugPort", "the debugger's port", kNoDebugger),
    field<P>("ExceptionPort", "CSRSS's port: it hears of unhandled exceptions and of threads that end",
             [](auto& target, auto& p) { return optional_object(target, p.exception_port.get()); }),
    field<P>("ObjectTable", "its handle table",
             [](auto&, auto& p) {
               return p.handles == nullptr ? std::string("none") : fmt::format("{} handles", p.handles->count());
             }),
    field<P>("Token", "its primary access token",
             [](auto& target, auto& p) { return optional_object(target, p.token.get()); }),
    field<P>("WorkingSetPage", "frame of its working set list",
             [](auto&, auto& p) { return of_space(p, [](auto& s) { return s.hyperspace().list_frame().value; }); }),
    absent("AddressCreationLock", "guarded mutex around changes of its address space", kOneAtATime),
    absent("HyperSpaceLock", "guards the window for page copies",
           "the kernel is outside the guest's memory and needs no window"),
    absent("ForkInProgress", "the thread that forks it", kNoFork),
    absent("HardwareTrigger", "a debugging aid of the memory manager", kNoDebugger),
    absent("PhysicalVadRoot", "its ranges of physical memory", "AWE and device memory are missing"),
    absent("CloneRoot", "pages shared with a fork", kNoFork),
    field<P>("NumberOfPrivatePages", "committed private pages",
             [](auto&, auto& p) {
               return p.space == nullptr ? std::string("no address space") : number(static_cast<i64>(private_pages(p)));
             }),
    field<P>("NumberOfLockedPages", "pages that it locked in memory",
             [](auto&, auto& p) { return of_space(p, [](auto& s) { return s.locked_pages(); }); }),
    field<P>("Win32Process", "win32k's part of it (W32PROCESS), from its first GUI thread on",
             [](auto& target, auto& p) {
               return hex(target.executive().state->win32.process_record(p));
             }),
    field<P>("Job", "the job that it is in",
             [](auto& target, auto& p) { return optional_object(target, p.job.get()); }),
    field<P>("SectionObject", "section of its main image",
             [](auto& target, auto& p) { return optional_object(target, p.section.get()); }),
    field<P>("SectionBaseAddress", "where that image lies", [](auto&, auto& p) { return hex(p.image.base); }),
    field<P>("QuotaBlock", "who pays for what it makes: no other process shares it",
             [](auto&, auto& p) {
               if (p.quota == nullptr) return std::string("none");
               return fmt::format("its own, {} bytes of pool",
                                  p.quota->use(ex::PoolType::nonpaged).usage + p.quota->use(ex::PoolType::paged).usage);
             }),
    absent("WorkingSetWatch", "the page faults that a profiler asked for", "nobody can ask: the service is missing"),
    absent("Win32WindowStation", "window station of its threads", "win32k is missing"),
    field<P>("InheritedFromUniqueProcessId", "id of the process that made it",
             [](auto&, auto& p) { return hex(p.parent_id); }),
    absent("LdtInformation", "its local descriptors", "x86 only: 64-bit programs have no local descriptors"),
    absent("VadFreeHint", "where to look for free addresses first", "the VAD tree knows its gaps; it needs no hint"),
    absent("VdmObjects", "its 16-bit program's objects", kNoVdm),
    absent("DeviceMap", "its own drive letters", "all processes share \\??"),
    field<P>("Session", "session id", [](auto&, auto& p) { return number(p.session_id); }),
    field<P>("ImageFileName", "last component of its image's path", [](auto&, auto& p) { return p.short_name(); }),
    field<P>("JobLinks", "in its job's list of processes", [](auto&, auto& p) { return flag(p.job_link.is_linked()); }),
    absent("LockedPagesList", "drivers' buffers in its memory", "drivers lock buffers there; there are none"),
    field<P>("ThreadListHead", "its threads, until each is deleted",
             [](auto&, auto& p) { return fmt::format("{} threads", length(p.threads)); }),
    field<P>("ActiveThreads", "threads that have not ended", [](auto&, auto& p) { return number(p.active_threads); }),
    field<P>("Peb", "its PEB, in user memory", [](auto&, auto& p) { return hex(p.peb); }),
    absent("ReadOperationCount", "reads that it made, and five more I/O counters",
           "I/O is counted for the whole machine, not by process"),
    absent("AweInfo", "its physical pages", "AWE is missing"),
    field<P>("Vm", "its working set, pages: now, at most; faults",
             [](auto&, auto& p) {
               if (p.space == nullptr) return std::string("no address space");
               return fmt::format("{}, {}; {}", p.space->working_set_pages(), p.space->peak_working_set_pages(),
                                  p.space->fault_count());
             }),
    field<P>("Flags", "what has happened to it", [](auto&, auto& p) { return flags_text(p); }),
    field<P>("ExitStatus", "0x103 (pending) while it lives",
             [](auto&, auto& p) { return hex(static_cast<u32>(p.exit_status)); }),
    field<P>("PriorityClass", "1 idle, 5 below normal, 2 normal, 6 above normal, 3 high, 4 real time",
             [](auto&, auto& p) { return number(static_cast<i64>(p.priority_class)); }),
    field<P>("VadRoot", "its address ranges",
             [](auto&, auto& p) { return of_space(p, [](auto& s) { return s.vads().size(); }); }),
};

}  // namespace

const Structure kEprocess{"EPROCESS", "a process, as the executive sees it", "PROCESS", kFields, &find_eprocess};

}  // namespace vitrine::kd
