// Backend: runs guest instructions in user mode until a trap. Three implementations: translator/ (the default: same
// ISA, deterministic), scripted/ (C++ coroutines, for tests), and kvm/ (native; its budget is a time, `retired` a guess).
//
// Contract between kernel and back end: the kernel owns the page tables (in GuestRam) and every policy; the back end
// only walks them, sets accessed and dirty bits as hardware does, and caches what it read. The kernel writes entries,
// then commits the batch before anything runs again, with an edit for each table that it takes out (at an address below
// it, to 0). Entries that go from not present to present, or only gain rights, need no commit (as on hardware).
#pragma once

#include <memory>
#include <span>

#include "base/types.h"
#include "cpu/context.h"
#include "cpu/page_table.h"

namespace vitrine::cpu {

enum class ExitReason : u8 {
  system_call,  // RIP is after the instruction; RCX and R11 hold RIP and RFLAGS as the instruction leaves them
  exception,    // RIP is at the faulting instruction (faults) or after it (breakpoint, debug traps): as hardware pushes
                // it
  budget,       // the instruction budget is used up; nothing is half done
  pause,        // PAUSE was executed (RIP after it): the window ends here (DESIGN 3.6)
  kicked,       // another host thread called kick(); nothing is half done
};

struct Exit {
  ExitReason reason = ExitReason::budget;
  Vector vector{};       // exception only
  u32 error_code = 0;    // exception only; page_fault:: bits for a page fault
  Va fault_address = 0;  // page fault only (CR2)
  u64 retired = 0;       // guest instructions retired in this run, at most the budget
};

// One guest address space as the back end sees it: a page-table root. Made and ended by mm, shared by the threads of a
// process.
class Space {
 public:
  virtual ~Space() = default;
  [[nodiscard]] virtual Pfn root() const = 0;
};

struct PteEdit {
  Space* space;  // null: every space (a page shared through prototype entries)
  Va address;    // any address in the page
  u64 old_entry;
  u64 new_entry;
};

// What the virtual processor says of itself: CPUID leaves, RDTSC, RDRAND. Implemented by hal, from the profile and the
// virtual clock.
class Identity {
 public:
  virtual ~Identity() = default;
  struct CpuidResult {
    u32 eax, ebx, ecx, edx;
  };
  [[nodiscard]] virtual CpuidResult cpuid(u32 leaf, u32 subleaf) const = 0;
  // `retired_in_run`: instructions retired since `run` was entered, so that the counter moves inside a window.
  [[nodiscard]] virtual u64 time_stamp(u32 processor, u64 retired_in_run) = 0;
  [[nodiscard]] virtual u64 random(u32 processor) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual std::unique_ptr<Space> create_space(Pfn root) = 0;

  // Runs `context` on virtual processor `processor` in `space` for at most `budget` guest instructions (> 0). Counting
  // is exact: the same call from the same state retires the same instructions on every host. `rep` iterations count one
  // each.
  virtual Exit run(u32 processor, Space& space, GuestContext& context, u64 budget) = 0;

  // Page-table edits made by the kernel since the last run; see above.
  virtual void commit(std::span<const PteEdit> edits) = 0;
  // Drops everything cached of a space (cheaper than many edits).
  virtual void flush(Space& space) = 0;
  // The kernel wrote guest memory that may hold code (frame `pfn`, any bytes of it).
  virtual void code_written(Pfn pfn) = 0;

  // Ends the current or next `run` of that processor soon. The only call that another host thread or a signal handler
  // may make.
  virtual void kick(u32 processor) = 0;
};

}  // namespace vitrine::cpu
