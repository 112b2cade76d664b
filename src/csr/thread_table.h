// ThreadTable (CsrThreadHashTable): finds a thread's record by its id, and counts how many records it looked at. One
// implementation per strategy; see strategy.h.
//
// Owns the links of its chains inside the records, nothing else of them. Not bounded: who inserts has the memory.
#pragma once

#include <memory>

#include "csr/strategy.h"
#include "csr/thread_record.h"

namespace vitrine::csr {

struct Found {
  u32 index = kNoRecord;  // kNoRecord: there is none
  u64 visits = 0;         // records compared, the one found included
};

// Shape of a table, for eyes.
struct TableShape {
  u64 entries = 0;
  u64 buckets = 0;
  u64 used_buckets = 0;
  u64 longest_chain = 0;
};

class ThreadTable {
 public:
  virtual ~ThreadTable() = default;
  // NT: at the head of its chain, so that the oldest threads are the farthest [ROS thredsup.c]. The record's id is set.
  virtual void insert(u32 index) = 0;
  virtual void remove(u32 index) = 0;
  [[nodiscard]] virtual Found find(u32 id) const = 0;
  // Bytes of its own beside the records that it has on CSRSS's heap (`pointer_size` of the profile).
  [[nodiscard]] virtual u64 heap_bytes(u32 pointer_size) const = 0;
  [[nodiscard]] virtual TableShape shape() const = 0;
};

// `records` outlives it. bypass makes a table like the profile's, which stays nearly empty.
[[nodiscard]] std::unique_ptr<ThreadTable> make_thread_table(const Strategy& strategy, ThreadRecords& records);

// NT: an id is a multiple of 4; 6.1 divides by that before it hashes [seed 001]. Whether 5.x did is not known; it is
// assumed, for the table would lose three of four buckets otherwise.
[[nodiscard]] constexpr u32 hash_key(u32 id) { return id / 4; }

}  // namespace vitrine::csr
