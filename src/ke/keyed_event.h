// KeyedEvent: the rendezvous behind NtWaitForKeyedEvent and NtReleaseKeyedEvent: a waiter and a releaser with the same key
// (an even number, by custom an address) meet, and whoever comes first blocks until the other is there. Needs no memory per
// key. The rules are in ke::Kernel; this is the record. Owns nothing: its waiters' blocks are in the threads.
#pragma once

#include "ke/dispatcher_object.h"

namespace vitrine::ke {

struct KeyedEvent {
  // Buckets by key, so that many keys in one object do not make each call walk all of them.
  static constexpr u32 kBuckets = 64;
  IntrusiveList<WaitBlock, &WaitBlock::link> buckets[kBuckets];
  // Keys are addresses: the low bits carry little.
  [[nodiscard]] static u32 bucket_of(u64 key) { return static_cast<u32>((key >> 3) ^ (key >> 12)) % kBuckets; }
};

}  // namespace vitrine::ke
