// Profile: the version of NT whose books and policies the machine keeps, as data. Everything that the kernel *charges*
// (sizes, regions, limits) and *decides by* (quantum, clock, policies) comes from here; what a guest *sees* does not
// (it is always what Wine's DLLs expect, DESIGN 3.3).
//
// Sources of the sizes: Microsoft's public symbols as tabulated by volatility's vtypes (VOL), WDK headers, CodeMachine
// (CM), Windows Internals 5/6 (WI). Each field names its unit in its last word or comment.
#pragma once

#include <array>
#include <compare>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "base/types.h"
#include "sim/cost_table.h"

namespace vitrine::sim {

// Bytes of kernel structures, headers excluded [VOL].
struct StructureSizes {
  u32 kthread, ethread, kprocess, eprocess, ejob;
  u32 teb, peb;
  u32 object_header;  // up to the body
  u32 object_name_info, object_handle_info, object_quota_info, object_creator_info;
  bool quota_info_on_threads;  // 6.1: process and thread objects carry quota information
  u32 handle_table, handle_table_entry;
  u32 vad_short, vad, vad_long;
  u32 pool_header, pool_granule;
  u32 pfn_entry;
  u32 event, semaphore, mutant, timer, queue, keyed_event;
  u32 segment, control_area, subsection;
  u32 working_set_list, working_set_entry;  // MMWSL, which its entries follow, and a WSLE
  u32 shared_cache_map, vacb;               // the cache manager's record of a file, and of a view of 256 KB
  u32 file_object, section_object, io_completion_packet;
  u32 lpc_port,
      lpc_message;  // LPCP_PORT_OBJECT and LPCP_MESSAGE with a small message; ALPC_PORT and KALPC_MESSAGE in 6.1
  u32 csr_process, csr_thread;  // [GC]
  u32 heap_header;              // HEAP_ENTRY, and the granule of user-mode heaps
};

struct KernelStack {
  u32 pages;        // committed pages of a small stack
  u32 guard_pages;  // system PTEs without a page below it
  u32 large_pages;  // pages reserved for a GUI thread's stack
};

// A region of kernel address space with its own allocator. `hyperspace` and `session` are maps of which each process
// and each session has its own.
struct Region {
  Va start;
  u64 bytes;
};
struct KernelLayout {
  Region system_ptes, paged_pool, nonpaged_pool, pfn_database, session, system_cache, hyperspace;
  Region page_tables;    // the self map: where the entries of every address lie
  Va working_set_list;   // in hyperspace: MmWorkingSetList
  u32 nonpaged_percent;  // of RAM that nonpaged pool may take at most
};

// Whether a profile's region of system PTEs may be given another size, and where a larger one goes.
struct Resizing {
  Va larger_start;  // 0: there is no room for a larger one
  u64 maximum_bytes;
};

struct HandleGeometry {
  u32 entries_per_leaf;  // entry 0 of each leaf is reserved
  u32 pointers_per_mid;
  u32 top_entries;
  u32 maximum_handles;  // 1 << 24, reserved entries included
};

enum class QuantumKind : u8 { units, cycles };
struct SchedulerPolicy {
  QuantumKind quantum_kind;
  u32 clock_interval_100ns;        // a clock tick: 100,000 = 10 ms, 156,250 = 15.625 ms
  u32 quantum_units_per_tick;      // 3 [ROS/WDK CLOCK_QUANTUM_DECREMENT]
  u32 priority_separation;         // Win32PrioritySeparation, bits as in facts 6.3
  u32 starvation_ticks;            // 300
  u32 timer_table_size;            // lists
  bool timer_table_per_processor;  // 6.1; before, one table for all [facts 7.4]
  u32 stack_protect_seconds;       // in a user-mode wait until a kernel stack may go [facts 6.9]
};

struct UserLayout {
  Va lowest, highest_plus_one;  // user range; 64 KB at either end is never given out
  u32 stack_guard_pages;        // below the committed page of a new user stack
};

// Of NT itself: what came with a version is there in each later one.
struct Version {
  u32 major, minor;
  auto operator<=>(const Version&) const = default;
};
inline constexpr Version kVista{6, 0};

struct Profile {
  std::string_view name;  // "nt61-x64"
  Version version;
  u32 pointer_size;       // 4 or 8: of the booked kernel, not of the guest
  StructureSizes sizes;
  KernelStack stack;
  KernelLayout layout;
  Resizing system_pte_resizing;
  HandleGeometry handles;
  u32 csrss_thread_buckets;  // CsrThreadHashTable
  u32 notify_routines;       // slots of each kind: process, thread, image
  SchedulerPolicy scheduler;
  UserLayout user;
  CostTable costs;
};

// What a user may change of a profile; 0: as it is.
struct LayoutRequest {
  u64 ram_bytes = 0;
  u64 system_pte_bytes = 0;
};
// `profile` with its kernel address space laid out for this machine. The error is one line for the user.
[[nodiscard]] std::expected<Profile, std::string> lay_out(const Profile& profile, const LayoutRequest& request);

// nt52-x86, nt52-x64, nt61-x64, in that order.
[[nodiscard]] std::span<const Profile> all_profiles();
// Null when there is no such profile.
[[nodiscard]] const Profile* find_profile(std::string_view name);
inline constexpr std::string_view kDefaultProfile = "nt61-x64";

}  // namespace vitrine::sim
