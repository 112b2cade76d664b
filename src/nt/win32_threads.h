// Win32Threads: what a thread becomes at its first GUI service (PsConvertToGuiThread): it gets a large kernel stack,
// the service table that has win32k's services as well, and win32k's own record of it (W32THREAD); its process, with
// the first of its threads, a W32PROCESS. Owns these records and books them in session space. There is no win32k behind
// them: the services themselves are refused.
#pragma once

#include <map>

#include "ex/pool.h"
#include "ps/process.h"

namespace vitrine::nt {

struct Executive;

// NT: bits 12 and 13 of a service number choose the table; 1 is win32k's [WI5 ch.3 "Service Descriptor Tables"].
[[nodiscard]] constexpr bool is_gui_service(u32 number) { return (number >> 12 & 3) == 1; }

class Win32Threads {
 public:
  // The running thread calls a GUI service; a GUI thread already: nothing happens. Errors: no_memory (no room for stack
  // or records; the thread stays as it was).
  [[nodiscard]] Status convert(Executive& executive, ps::Thread& thread);
  // win32k's callouts at the end of a thread, and of the process with its last one [facts 5.14 step 6].
  void thread_ends(Executive& executive, const ps::Thread& thread);

  // Addresses of W32THREAD and W32PROCESS; 0: it has none.
  [[nodiscard]] Va thread_record(const Executive& executive, const ps::Thread& thread) const;
  [[nodiscard]] Va process_record(const Executive& executive, const ps::Process& process) const;

 private:
  std::map<u32, ex::PoolBlock> threads_, processes_;  // by id
};

}  // namespace vitrine::nt
