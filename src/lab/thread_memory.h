// The experiment of seed 000: what kernel memory does NtCreateThread take, and where? A bare machine creates suspended
// threads until each way in which its handle tables grow has been seen. Every figure is what the kernel booked during a
// call: pool by its events, the rest by the difference of the books.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "sim/profile.h"

namespace vitrine::lab {

enum class MemoryKind : u8 { nonpaged_pool, paged_pool, kernel_stack, teb, user_stack, page_table, table_entry };

struct MemoryRow {
  std::string site;
  MemoryKind kind{};
  u32 tag = 0;  // pool tag; 0: none
  u64 bytes = 0;
  bool counted = false;  // by the seed, which leaves out user stack and page tables
};

// One kind of call, told apart by what the handle tables grew by.
struct CreationCost {
  u64 calls = 0;                // so many creations were of this kind
  u64 table_pages = 0;          // pages that handle tables grew by
  std::vector<MemoryRow> rows;  // of the first such call
  // Entries lie in pages that were booked before; they count only where no page does.
  u64 counted_bytes = 0, uncounted_bytes = 0;
};

struct ThreadMemoryReport {
  std::vector<CreationCost> costs;  // by table pages
  u64 threads = 0;
  u64 address_space_bytes = 0;  // of system PTEs, per thread: the stack and its guard
};

// The error is one line for the user.
[[nodiscard]] std::expected<ThreadMemoryReport, std::string> measure_thread_memory(const sim::Profile& profile);

}  // namespace vitrine::lab
