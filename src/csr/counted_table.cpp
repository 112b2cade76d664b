#include "csr/counted_table.h"

#include <utility>

namespace vitrine::csr {
namespace {

constexpr u32 kRenumberAtLeast = 64;  // numbers of dead entries are worth getting rid of

}  // namespace

u32 CountedTable::Chain::live_up_to(u32 number) const {
  u32 sum = 0;
  for (; number > 0; number &= number - 1) sum += counts[number - 1];
  return sum;
}

// Element n of the tree is the sum over the (n & -n) numbers that end with n.
void CountedTable::Chain::append() {
  const u32 number = static_cast<u32>(counts.size()) + 1;
  u32 sum = 1;
  const u32 first = number & (number - 1);
  for (u32 part = number - 1; part > first; part &= part - 1) sum += counts[part - 1];
  counts.push_back(sum);
  ++live;
}

void CountedTable::Chain::forget(u32 number) {
  for (; number <= counts.size(); number += number & (0 - number)) --counts[number - 1];
  --live;
}

void CountedTable::insert(u32 index) {
  ChainedTable::insert(index);
  const u32 id = records_[index].id;
  const u32 key = hash_key(id);
  const u32 bucket = bucket_of(id);
  Chain& chain = chains_[bucket];
  chain.append();
  if (numbers_.size() <= index) numbers_.resize(index + 1);
  numbers_[index] = static_cast<u32>(chain.counts.size());
  if (by_key_.size() <= key) by_key_.resize(key + 1, kNoRecord);
  by_key_[key] = index;
  if (chain.counts.size() > 2 * chain.live + kRenumberAtLeast) renumber(bucket);
}

void CountedTable::remove(u32 index) {
  const u32 id = records_[index].id;
  chains_[bucket_of(id)].forget(numbers_[index]);
  by_key_[hash_key(id)] = kNoRecord;
  ChainedTable::remove(index);
}

// The youngest is first in the chain and has the highest number.
void CountedTable::renumber(u32 bucket) {
  Chain& chain = chains_[bucket];
  u32 number = chain.live;
  for (u32 index = heads_[bucket]; index != kNoRecord; index = records_[index].hash_next) numbers_[index] = number--;
  chain.counts.clear();
  const u32 live = std::exchange(chain.live, 0);
  while (chain.live < live) chain.append();
}

Found CountedTable::find(u32 id) const {
  const Chain& chain = chains_[bucket_of(id)];
  const u32 key = hash_key(id);
  const u32 index = key < by_key_.size() ? by_key_[key] : kNoRecord;
  if (index == kNoRecord || records_[index].id != id) return {kNoRecord, chain.live};
  return {index, u64{chain.live} - chain.live_up_to(numbers_[index] - 1)};
}

}  // namespace vitrine::csr
