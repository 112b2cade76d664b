// ChainedTable: doubly linked chains under a fixed number of buckets, as NT's, walked on the host as NT walks them.
#pragma once

#include <vector>

#include "csr/thread_table.h"

namespace vitrine::csr {

class ChainedTable : public ThreadTable {
 public:
  ChainedTable(ThreadRecords& records, u32 buckets) : records_(records), heads_(buckets, kNoRecord) {}
  void insert(u32 index) override;
  void remove(u32 index) override;
  [[nodiscard]] Found find(u32 id) const override;
  [[nodiscard]] u64 heap_bytes(u32) const override { return 0; }  // NT: an array in csrsrv.dll's data
  [[nodiscard]] TableShape shape() const override;

 protected:
  [[nodiscard]] u32 bucket_of(u32 id) const { return hash_key(id) % static_cast<u32>(heads_.size()); }
  ThreadRecords& records_;
  std::vector<u32> heads_;
};

// Links `index` in front of the chain that begins at `head`, and takes it out.
void link_front(ThreadRecords& records, u32& head, u32 index);
void unlink(ThreadRecords& records, u32& head, u32 index);
// Walks the chain from `head`.
[[nodiscard]] Found walk(const ThreadRecords& records, u32 head, u32 id);
void add_chain(const ThreadRecords& records, u32 head, TableShape& shape);

}  // namespace vitrine::csr
