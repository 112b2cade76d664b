// Process (EPROCESS): an address space, a handle table and threads. Few exist beside threads, so it may hold containers.
//
// Partly destroyed when its last thread ends (handles closed, address space emptied), wholly when the last reference goes.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "ex/rundown.h"
#include "ke/process.h"
#include "lpc/port.h"
#include "mm/address_space.h"
#include "ob/handles.h"
#include "ps/quota.h"
#include "ps/thread.h"
#include "ps/thread_extra.h"
#include "ps/token.h"

namespace vitrine::ps {

// Where the kernel enters user mode; addresses in the process's ntdll. Filled by ldr when it maps ntdll.
struct UserEntryPoints {
  Va ldr_initialize_thunk = 0;
  Va rtl_user_thread_start = 0;
  Va user_exception_dispatcher = 0;
  Va user_apc_dispatcher = 0;
  Va user_callback_dispatcher = 0;
  Va control_routine = 0;  // where a thread begins that tells the process of Ctrl-C; 0: it cannot be told
  // What ntdll's own thread start needs, in bytes: Wine's clears 0xF0000 below the initial CONTEXT, so a stack of less is
  // replaced when its thread starts; and it uses room behind the TEB.
  u64 minimum_stack_reserve = 0;
  u64 minimum_stack_commit = 0;
  u64 minimum_teb_bytes = 0;
};

// What SECTION_IMAGE_INFORMATION says of the main image.
struct MainImage {
  Va base = 0;
  Va entry_point = 0;
  u64 stack_reserve = 0, stack_commit = 0;  // bytes
  u32 subsystem = 0;
  u16 subsystem_major = 0, subsystem_minor = 0;
  u16 characteristics = 0, dll_characteristics = 0;
};

// What lies in the address space before the process runs.
struct MappedImage {
  std::u16string name;  // NT path
  Va base = 0;
  u64 bytes = 0;
};

// NT: PROCESS_PRIORITY_CLASS values.
enum class PriorityClass : u8 { unknown = 0, idle = 1, normal = 2, high = 3, realtime = 4, below_normal = 5, above_normal = 6 };

// Base priorities by class [facts 6.1].
inline constexpr std::array<ke::Priority, 7> kClassBasePriority{8, 4, 8, 13, 24, 6, 10};

class ProcessManager;

struct Process : ob::Object {
  ke::Process pcb;
  ProcessManager* manager = nullptr;   // that made it
  u32 id = 0;
  u32 parent_id = 0;                   // InheritedFromUniqueProcessId; the parent may be gone
  u32 session_id = 1;
  u32 active_threads = 0;
  IntrusiveList<Thread, &Thread::process_link> threads;  // in order of creation, until each is deleted
  std::map<u32, ThreadExtra> thread_extras;  // by thread id; an entry goes with its thread
  ob::Ref<ob::Object> job;             // a Job, see JobManager; null: none. Set once
  ListLink job_link;                   // Job::members, until the process is deleted
  ListLink active_link;                // ProcessManager's list, in order of creation
  std::unique_ptr<mm::AddressSpace> space;   // null for System
  std::unique_ptr<ob::ObjectHandles> handles;
  QuotaBlock::Owner quota;
  ob::Ref<TokenObject> token;
  ob::Ref<ob::Object> section;         // of the main image
  ob::Ref<lpc::PortObject> exception_port;  // hears of each thread's end (LPC_CLIENT_DIED); null: nobody does
  UserEntryPoints entry_points;
  MainImage image;
  std::vector<MappedImage> unreported_images;  // the image notify routines hear of them when the first thread begins
  std::u16string image_path;           // NT path of the main image
  Va peb = 0;
  Va parameters = 0;
  Ticks create_time{};
  Ticks exit_time{};
  Status exit_status = Status::pending;
  Status last_thread_exit_status = Status::pending;
  ex::RundownProtection rundown;
  PriorityClass priority_class = PriorityClass::normal;
  u32 default_hard_error_mode = 1;
  u32 cookie = 0;                      // ProcessCookie, drawn at birth
  bool exiting = false;                // PspExitProcess has begun
  bool deleting = false;               // ProcessDelete: no thread may be born
  bool create_reported = false;
  u64 page_faults = 0;
  u64 system_calls = 0;
  u64 ended_thread_user_time = 0, ended_thread_kernel_time = 0;  // ticks
  u64 ended_thread_cycles = 0;

  // The last component of image_path, in UTF-8, for people.
  [[nodiscard]] std::string short_name() const;
  static Process* from(ke::Process* pcb);
};

}  // namespace vitrine::ps
