// TranslatorSpace: what the translator keeps per address space: the Frame with
// its software TLB and jump cache, made when the space first runs, and a small
// cache of instruction fetches.
//
// Owned by whoever asked for the space; registered with its Runtime, which must
// outlive it.
#pragma once

#include <bitset>
#include <span>

#include "cpu/backend.h"
#include "cpu/page_walk.h"
#include "cpu/translator/frame.h"

namespace vitrine::cpu::translator {

class TranslatorSpace final : public Space {
 public:
  TranslatorSpace(Runtime& runtime, Pfn root);
  ~TranslatorSpace() override;
  TranslatorSpace(const TranslatorSpace&) = delete;
  TranslatorSpace& operator=(const TranslatorSpace&) = delete;

  [[nodiscard]] Pfn root() const override { return root_; }
  // Null until the space has run.
  [[nodiscard]] Frame* frame() const { return frame_; }
  Frame& make_frame(const u8* jump_miss);

  // What leads to the dispatcher: a jump-cache entry and a far jump that know no target.
  struct Misses {
    const u8* jump;
    const u8* far;
  };
  void forget_all(const Misses& misses);
  void forget_page(Va va, bool executable, const Misses& misses, std::span<const u32> far_jumps);
  void forget_jumps(const Misses& misses);
  void forget_jump(Va va, const Misses& misses, std::span<const u32> far_jumps);
  // A frame is about to hold translated code: writes to it must take the slow
  // path from now on.
  void revoke_writes(const std::byte* host);
  void forget_ranges();
  void install(Va va, const std::byte* host, bool write) {
    translator::install(frame_->tlb, tlb_use_, va, host, write);
  }
  // Precondition: the space has a frame.
  void install_jump(Va va, const u8* code);
  // Every number below `count` may be jumped through from now on. Precondition: the space has a frame.
  void know_far_jumps(u32 count, const Misses& misses);
  void install_far_jump(u32 number, const u8* code) { frame_->far[number] = reinterpret_cast<u64>(code); }

  [[nodiscard]] const Translation* cached_fetch(Va va) const {
    const FetchEntry& entry = fetches_[fetch_index(va)];
    return entry.page == page_floor(va) && entry.translation.host != nullptr ? &entry.translation : nullptr;
  }
  void cache_fetch(Va va, const Translation& translation) { fetches_[fetch_index(va)] = {page_floor(va), translation}; }

 private:
  struct FetchEntry {
    Va page = 0;
    Translation translation;
  };
  static constexpr u32 kFetchEntries = 64;
  [[nodiscard]] static u32 fetch_index(Va va) { return static_cast<u32>(va >> kPageShift) & (kFetchEntries - 1); }

  static constexpr std::size_t kJumpPages = 1024;
  void forget_far_jumps(std::span<const u32> numbers, const Misses& misses);
  void forget_range(Va page);
  void forget_stack_range();
  [[nodiscard]] static std::size_t jump_page(Va va) { return (va >> kPageShift) % kJumpPages; }

  Runtime& runtime_;
  Pfn root_;
  Frame* frame_ = nullptr;
  void* memory_ = nullptr;
  std::array<FetchEntry, kFetchEntries> fetches_{};
  // Pages (by the low bits of their number) that may have entries in the jump
  // cache: most changes of a mapping find none.
  std::bitset<kJumpPages> jump_pages_;
  TlbUse tlb_use_{};
  u32 far_known_ = 0;  // entries of Frame::far that lead somewhere
};

}  // namespace vitrine::cpu::translator
