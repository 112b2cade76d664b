// ResizingTable: our mend for CSRSS. Linear hashing (Litwin 1980): as many buckets as threads, and each insertion
// splits at most one bucket, so that no single creation pays for the growth of the whole table; removals merge them
// back the same way.
#pragma once

#include <memory>
#include <vector>

#include "csr/thread_table.h"

namespace vitrine::csr {

class ResizingTable final : public ThreadTable {
 public:
  explicit ResizingTable(ThreadRecords& records);
  void insert(u32 index) override;
  void remove(u32 index) override;
  [[nodiscard]] Found find(u32 id) const override;
  [[nodiscard]] u64 heap_bytes(u32 pointer_size) const override;
  [[nodiscard]] TableShape shape() const override;

 private:
  static constexpr u32 kPerSegment = 1024;  // buckets; a segment never moves
  [[nodiscard]] u32 bucket_of(u32 id) const;
  [[nodiscard]] u32& head(u32 bucket) { return segments_[bucket / kPerSegment][bucket % kPerSegment]; }
  [[nodiscard]] u32 head(u32 bucket) const { return segments_[bucket / kPerSegment][bucket % kPerSegment]; }
  void split_one();
  void merge_one();

  ThreadRecords& records_;
  std::vector<std::unique_ptr<u32[]>> segments_;
  u32 buckets_ = 0;  // in use
  u32 round_ = 0;    // a power of two: buckets below buckets_ - round_ are split already
  u64 entries_ = 0;
};

}  // namespace vitrine::csr
