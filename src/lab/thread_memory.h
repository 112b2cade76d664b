// The experiment of seed 000: what kernel memory does NtCreateThread take, and where? A bare machine creates suspended
// threads until each way in which its handle tables grow has been seen; every figure is what the kernel booked during a
// call.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "lab/call_recorder.h"
#include "sim/profile.h"

namespace vitrine::lab {

// What an allocation is for.
enum class MemoryPart : u8 {
  thread,      // the thread's own
  table,       // a page of a handle table that grew, or an entry in one
  user_stack,  // 5.2: made by kernel32 before the call; since 6.0 by the kernel in it. The seed does not count it
  page_table,  // serves many threads; the seed does not count it
};

struct MemoryRow {
  std::string path;  // "NtCreateThreadEx > PspCreateThread > ..."
  RecordedAllocation allocation;
  MemoryPart part{};
};

// One kind of call, told apart by what the handle tables grew by.
struct CreationCost {
  u64 calls = 0;                // so many creations were of this kind
  u64 table_pages = 0;          // pages that handle tables grew by
  std::vector<MemoryRow> rows;  // of the first such call
  // What the seed counts: the thread's own and the table's growth. Entries lie in pages that were booked before; they
  // count only where no page does.
  u64 counted_bytes = 0;
  u64 uncounted_bytes = 0;  // user stack and page tables
  [[nodiscard]] bool counts(const MemoryRow& row) const;
};

struct ThreadMemoryReport {
  std::vector<CreationCost> costs;  // by table pages
  CallNode graph;                   // every path that led to memory
  u64 threads = 0;
  u64 address_space_bytes = 0;  // of system PTEs, per thread: the stack and its guard
};

// The error is one line for the user.
[[nodiscard]] std::expected<ThreadMemoryReport, std::string> measure_thread_memory(const sim::Profile& profile);

}  // namespace vitrine::lab
