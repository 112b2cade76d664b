#include "csr/chained_table.h"

#include <algorithm>

namespace vitrine::csr {

void link_front(ThreadRecords& records, u32& head, u32 index) {
  ThreadRecord& record = records[index];
  record.hash_previous = kNoRecord;
  record.hash_next = head;
  if (head != kNoRecord) records[head].hash_previous = index;
  head = index;
}

void unlink(ThreadRecords& records, u32& head, u32 index) {
  ThreadRecord& record = records[index];
  if (record.hash_next != kNoRecord) records[record.hash_next].hash_previous = record.hash_previous;
  if (record.hash_previous != kNoRecord) {
    records[record.hash_previous].hash_next = record.hash_next;
  } else {
    VITRINE_CHECK(head == index);
    head = record.hash_next;
  }
  record.hash_next = record.hash_previous = kNoRecord;
}

Found walk(const ThreadRecords& records, u32 head, u32 id) {
  Found found;
  for (u32 index = head; index != kNoRecord; index = records[index].hash_next) {
    ++found.visits;
    if (records[index].id != id) continue;
    found.index = index;
    break;
  }
  return found;
}

void add_chain(const ThreadRecords& records, u32 head, TableShape& shape) {
  u64 length = 0;
  for (u32 index = head; index != kNoRecord; index = records[index].hash_next) ++length;
  ++shape.buckets;
  shape.entries += length;
  shape.used_buckets += length != 0 ? 1 : 0;
  shape.longest_chain = std::max(shape.longest_chain, length);
}

void ChainedTable::insert(u32 index) { link_front(records_, heads_[bucket_of(records_[index].id)], index); }
void ChainedTable::remove(u32 index) { unlink(records_, heads_[bucket_of(records_[index].id)], index); }
Found ChainedTable::find(u32 id) const { return walk(records_, heads_[bucket_of(id)], id); }

TableShape ChainedTable::shape() const {
  TableShape shape;
  for (const u32 head : heads_) add_chain(records_, head, shape);
  return shape;
}

}  // namespace vitrine::csr
