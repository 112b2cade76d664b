// Win32Threads: what a thread becomes at its first GUI service (PsConvertToGuiThread): it gets a large kernel stack,
// the service table that has win32k's services as well, and win32k's own record of it (W32THREAD); its process, with
// the first of its threads, a W32PROCESS. Owns these records and books them in session space; win32k itself is told
// (`subsystem`).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ex/pool.h"
#include "ps/process.h"

namespace vitrine::nt {

struct Executive;
struct Service;

// NT: bits 12 and 13 of a service number choose the table; 1 is win32k's [WI5 ch.3 "Service Descriptor Tables"].
inline constexpr u32 kFirstGuiService = 0x1000;
[[nodiscard]] constexpr bool is_gui_service(u32 number) { return (number >> 12 & 3) == 1; }

// win32k as the executive sees it (PsEstablishWin32Callouts): its services, and what it wants to hear of.
class Win32Subsystem {
 public:
  virtual ~Win32Subsystem() = default;
  [[nodiscard]] virtual std::span<const Service> services() const = 0;
  // The thread has become a GUI thread; `first`: as the first of its process. Errors: no_memory and those of handles.
  [[nodiscard]] virtual Status thread_begins(ps::Thread& thread, bool first) = 0;
  // A GUI thread ends, its process with it if `last`.
  virtual void thread_ends(const ps::Thread& thread, bool last) = 0;
  // PostQuitMessage, which Wine's user32 asks of its server. False: not a GUI thread.
  [[nodiscard]] virtual bool post_quit_message(const ps::Thread& thread, i32 exit_code) = 0;
};

// One of win32k's records, a block of session pool that goes with it.
class SessionRecord {
 public:
  // Error: no_memory.
  [[nodiscard]] static Result<SessionRecord> create(ex::Pool& pool, std::string_view name, std::string_view tag,
                                                    u64 bytes);
  SessionRecord(SessionRecord&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), block_(std::exchange(other.block_, {})) {}
  SessionRecord& operator=(SessionRecord&&) = delete;
  ~SessionRecord() {
    if (pool_ != nullptr) pool_->free(block_);
  }
  [[nodiscard]] Va address() const { return pool_->address(block_); }

 private:
  SessionRecord(ex::Pool& pool, ex::PoolBlock block) : pool_(&pool), block_(block) {}
  ex::Pool* pool_;  // null: moved from
  ex::PoolBlock block_;
};

class Win32Threads {
 public:
  std::unique_ptr<Win32Subsystem> subsystem;  // null: there is no win32k, and its services are refused
  std::vector<const Service*>
      services;            // of the second table, by number less kFirstGuiService; null: none of that number
  bool has_table = false;  // `services` is filled: at the machine's first GUI service
  [[nodiscard]] const Service* find_service(u32 number) const {
    const u32 index = number - kFirstGuiService;
    return index < services.size() ? services[index] : nullptr;
  }

  // The running thread calls a GUI service; a GUI thread already: nothing happens. Errors: no_memory (no room for stack
  // or records; the thread stays as it was).
  [[nodiscard]] Status convert(Executive& executive, ps::Thread& thread);
  // win32k's callouts at the end of a thread, and of the process with its last one [facts 5.14 step 6].
  void thread_ends(const ps::Thread& thread);

  // Addresses of W32THREAD and W32PROCESS; 0: it has none.
  [[nodiscard]] Va thread_record(const ps::Thread& thread) const { return address_in(threads_, thread.id); }
  [[nodiscard]] Va process_record(const ps::Process& process) const { return address_in(processes_, process.id); }

 private:
  using Records = std::map<u32, SessionRecord>;  // by id
  [[nodiscard]] static Va address_in(const Records& records, u32 id) {
    const auto found = records.find(id);
    return found == records.end() ? 0 : found->second.address();
  }
  Records threads_, processes_;
};

}  // namespace vitrine::nt
