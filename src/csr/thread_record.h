// ThreadRecord (CSR_THREAD): what CSRSS keeps of a thread, and the pool that they live in. Millions exist: 40 bytes of
// plain data each, linked by index; the handle that goes with it costs 16 more in CSRSS's handle table.
#pragma once

#include <memory>
#include <vector>

#include "base/check.h"
#include "base/types.h"

namespace vitrine::csr {

inline constexpr u32 kNoRecord = ~0u;

namespace thread_flags {
inline constexpr u16 kTerminated = 1;     // CSR_THREAD_TERMINATED
inline constexpr u16 kInTermination = 2;  // CSR_THREAD_IN_TERMINATION
}  // namespace thread_flags

// Null links are kNoRecord.
struct ThreadRecord {
  u32 hash_next = kNoRecord, hash_previous = kNoRecord;        // HashLinks: its chain
  u32 process_next = kNoRecord, process_previous = kNoRecord;  // Link: its process's threads
  u32 id = 0;                                                  // ClientId.UniqueThread
  u32 process = kNoRecord;                                     // Process: index of the ProcessRecord
  u32 handle = 0;                                              // ThreadHandle, in CSRSS's table
  u16 references = 1;                                          // ReferenceCount
  u16 flags = 0;
  i64 create_time = 0;  // CreateTime, 100 ns: tells a thread from a later one with its id
};
static_assert(sizeof(ThreadRecord) == 40);

// Records by index, in chunks that never move. An index is reused at once, the last freed first.
class ThreadRecords {
 public:
  [[nodiscard]] ThreadRecord& operator[](u32 index) { return chunks_[index / kPerChunk][index % kPerChunk]; }
  [[nodiscard]] const ThreadRecord& operator[](u32 index) const {
    return chunks_[index / kPerChunk][index % kPerChunk];
  }

  [[nodiscard]] u32 allocate() {
    if (free_ != kNoRecord) {
      const u32 index = free_;
      free_ = (*this)[index].hash_next;
      (*this)[index] = ThreadRecord{};
      return index;
    }
    if (end_ == chunks_.size() * kPerChunk) chunks_.push_back(std::make_unique<ThreadRecord[]>(kPerChunk));
    return end_++;
  }
  void release(u32 index) {
    (*this)[index] = ThreadRecord{};
    (*this)[index].hash_next = free_;
    free_ = index;
  }

 private:
  static constexpr u32 kPerChunk = 4096;
  std::vector<std::unique_ptr<ThreadRecord[]>> chunks_;
  u32 end_ = 0;
  u32 free_ = kNoRecord;
};

}  // namespace vitrine::csr
