// HotPages: which pages of code the guest spends its time in, by samples: whenever a budget is used up, at most once in
// so many instructions, the page where that happened. Their blocks are translated again with what pays only there, the
// range cache.
//
// Part of what the translator does, so deterministic: a function of the instructions that have run.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <unordered_map>

#include "base/types.h"

namespace vitrine::cpu::translator {

class HotPages {
 public:
  static constexpr u64 kSampleEvery = 1u << 20;  // instructions
  static constexpr u32 kWindow = 64;             // samples that count
  static constexpr u32 kHot = 4;                 // of them in one page make it hot

  // `now`: instructions that have run on this translator. True: the page has become hot.
  [[nodiscard]] bool sample(Pfn frame, u64 now) {
    if (now - sampled_at_ < kSampleEvery) return false;
    sampled_at_ = now;
    samples_[next_++ % kWindow] = frame.value;
    if (hot(frame) || std::ranges::count(samples_, frame.value) < kHot) return false;
    make_hot(frame);
    return true;
  }
  void make_hot(Pfn frame) { hot_.try_emplace(frame.value); }
  [[nodiscard]] bool hot(Pfn frame) const { return hot_.contains(frame.value); }
  // The accesses of the instruction at this offset do not keep to a range: they are to ask the TLB.
  void scatter(Pfn frame, u64 offset) { hot_[frame.value].set(offset); }
  [[nodiscard]] bool scattered(Pfn frame, u64 offset) const {
    const auto found = hot_.find(frame.value);
    return found != hot_.end() && found->second.test(offset);
  }
  // Other code is in the frame now.
  void forget(Pfn frame) {
    if (const auto found = hot_.find(frame.value); found != hot_.end()) found->second.reset();
  }

 private:
  std::array<u64, kWindow> samples_{};  // frame 0 holds no code
  u64 sampled_at_ = 0;
  u32 next_ = 0;
  std::unordered_map<u64, std::bitset<kPageSize>> hot_;  // looked up only
};

}  // namespace vitrine::cpu::translator
