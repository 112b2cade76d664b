// HotPages: which pages of code the guest spends its time in, by samples: whenever a budget is used up, at most once in
// so many instructions, the page where that happened. Their blocks are translated again with what pays only there: the
// range cache, and blocks that go on at jumps.
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
  void scatter(Pfn frame, u64 offset) { hot_[frame.value].scattered.set(offset); }
  [[nodiscard]] bool scattered(Pfn frame, u64 offset) const {
    const auto found = hot_.find(frame.value);
    return found != hot_.end() && found->second.scattered.test(offset);
  }
  // Where a block goes on at the conditional jump before this offset: behind it, until it turns out to be left there often;
  // then at the jump's target, until it is left there often, too; then it ends.
  enum class Way : u8 { behind, target, ends };
  [[nodiscard]] Way way(Pfn frame, u64 offset) const {
    const auto found = hot_.find(frame.value);
    if (found == hot_.end()) return Way::ends;
    if (found->second.ends.test(offset)) return Way::ends;
    return (found->second.followed.test(offset) || (follows_ && offset % 2 != 0)) ? Way::target : Way::behind;
  }
  void left_often(Pfn frame, u64 offset) {
    (way(frame, offset) == Way::behind ? hot_[frame.value].followed : hot_[frame.value].ends).set(offset);
  }
  // For tests: half of the jumps are followed from the start.
  void follow_half() { follows_ = true; }
  // Other code is in the frame now.
  void forget(Pfn frame) {
    if (const auto found = hot_.find(frame.value); found != hot_.end()) found->second = {};
  }

 private:
  struct Page {
    std::bitset<kPageSize> scattered, followed, ends;
  };
  std::array<u64, kWindow> samples_{};  // frame 0 holds no code
  u64 sampled_at_ = 0;
  u32 next_ = 0;
  bool follows_ = false;
  std::unordered_map<u64, Page> hot_;  // looked up only
};

}  // namespace vitrine::cpu::translator
