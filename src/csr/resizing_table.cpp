#include "csr/resizing_table.h"

#include "csr/chained_table.h"

namespace vitrine::csr {
namespace {

constexpr u32 kLeastBuckets = 64;  // a power of two

}  // namespace

ResizingTable::ResizingTable(ThreadRecords& records)
    : records_(records), buckets_(kLeastBuckets), round_(kLeastBuckets) {
  static_assert(kLeastBuckets <= kPerSegment);
  segments_.push_back(std::make_unique_for_overwrite<u32[]>(kPerSegment));
  for (u32 i = 0; i < buckets_; ++i) head(i) = kNoRecord;
}

// Buckets that were split in this round, and those that came of it, go by one bit more.
u32 ResizingTable::bucket_of(u32 id) const {
  const u32 key = hash_key(id);
  const u32 bucket = key & (round_ - 1);
  return bucket < buckets_ - round_ ? key & (2 * round_ - 1) : bucket;
}

Found ResizingTable::find(u32 id) const { return walk(records_, head(bucket_of(id)), id); }

void ResizingTable::insert(u32 index) {
  link_front(records_, head(bucket_of(records_[index].id)), index);
  if (++entries_ > buckets_) split_one();
}

void ResizingTable::remove(u32 index) {
  unlink(records_, head(bucket_of(records_[index].id)), index);
  --entries_;
  // Half full before it shrinks, or a thread that comes and goes would split and merge for ever. Two at a time, because
  // the half falls by two buckets with each thread.
  for (u32 i = 0; i < 2 && entries_ < buckets_ / 2 && buckets_ > kLeastBuckets; ++i) merge_one();
}

void ResizingTable::split_one() {
  if (buckets_ == 2 * round_) round_ *= 2;
  const u32 from = buckets_ - round_;
  const u32 into = buckets_++;
  if (into / kPerSegment == segments_.size()) segments_.push_back(std::make_unique_for_overwrite<u32[]>(kPerSegment));
  head(into) = kNoRecord;
  // In order from the tail, so that both keep the youngest in front.
  u32 index = head(from);
  while (index != kNoRecord && records_[index].hash_next != kNoRecord) index = records_[index].hash_next;
  while (index != kNoRecord) {
    const u32 previous = records_[index].hash_previous;
    if (bucket_of(records_[index].id) == into) {
      unlink(records_, head(from), index);
      link_front(records_, head(into), index);
    }
    index = previous;
  }
}

void ResizingTable::merge_one() {
  if (buckets_ == round_) round_ /= 2;
  const u32 from = --buckets_;
  const u32 into = from - round_;
  while (head(from) != kNoRecord) {
    const u32 index = head(from);
    unlink(records_, head(from), index);
    link_front(records_, head(into), index);
  }
  while ((buckets_ - 1) / kPerSegment + 1 < segments_.size()) segments_.pop_back();
}

u64 ResizingTable::heap_bytes(u32 pointer_size) const {
  return segments_.size() * kPerSegment * u64{2} * pointer_size;  // a LIST_ENTRY each
}

TableShape ResizingTable::shape() const {
  TableShape shape;
  for (u32 i = 0; i < buckets_; ++i) add_chain(records_, head(i), shape);
  return shape;
}

}  // namespace vitrine::csr
