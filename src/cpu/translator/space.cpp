#include "cpu/translator/space.h"

#include <sys/mman.h>

#include <new>

#include "base/check.h"
#include "cpu/translator/runtime.h"

namespace vitrine::cpu::translator {
namespace {
// Below the frame: the stack on which a signal that arrives in generated code
// finds room. Only touched if one does.
constexpr u64 kSignalStack = 128u << 10;
constexpr u64 kMemory = kSignalStack + ((sizeof(Frame) + kPageMask) & ~kPageMask);
}  // namespace

TranslatorSpace::TranslatorSpace(Runtime& runtime, Pfn root) : runtime_(runtime), root_(root) {
  runtime_.add_space(*this);
}

TranslatorSpace::~TranslatorSpace() {
  runtime_.remove_space(*this);
  if (memory_ != nullptr) munmap(memory_, kMemory);
}

Frame& TranslatorSpace::make_frame(const u8* jump_miss) {
  if (frame_ != nullptr) return *frame_;
  memory_ = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  VITRINE_CHECK(memory_ != MAP_FAILED);
  // Default-initialised: the big tables stay untouched zero pages.
  frame_ = new (static_cast<std::byte*>(memory_) + kSignalStack) Frame;
  frame_->runtime = &runtime_;
  frame_->refill = runtime_.refill();
  frame_->refill.root = root_;
  frame_->refill.tlb = &frame_->tlb;
  frame_->refill.use = &tlb_use_;
  frame_->refill.ranges = frame_->ranges.data();
  frame_->refill.stack = &frame_->stack;
  frame_->refill.budget = &frame_->budget;
  frame_->refill.site = &frame_->site;
  frame_->tlb.read_tag[0] = frame_->tlb.write_tag[0] = tlb_invalid_tag(0);
  frame_->jump[0].code = frame_->jump_victims[0].code = reinterpret_cast<u64>(jump_miss);
  return *frame_;
}

void TranslatorSpace::forget_all(const Misses& misses) {
  fetches_ = {};
  if (frame_ == nullptr) return;
  for (u32 chunk = 0; chunk < kTlbEntries / kTlbChunk; ++chunk) {
    if ((tlb_use_.chunks[chunk / 64] >> chunk % 64 & 1) == 0) continue;
    for (u32 index = chunk * kTlbChunk; index < (chunk + 1) * kTlbChunk; ++index) {
      frame_->tlb.read_tag[index] = frame_->tlb.write_tag[index] = tlb_invalid_tag(index);
    }
  }
  forget_ranges();
  tlb_use_ = {};
  forget_jumps(misses);
}

void TranslatorSpace::forget_ranges() {
  if (frame_ == nullptr) return;
  forget_stack_range();
  tlb_use_.ranges.forget_all(frame_->ranges.data());
}

void TranslatorSpace::forget_stack_range() {
  frame_->stack = {};
  frame_->refill.stack_record.limit = 0;
}

// The entries that hold a page.
void TranslatorSpace::forget_range(Va page) {
  if (page - frame_->stack.start < frame_->stack.limit[0] + kPageSize) forget_stack_range();
  tlb_use_.ranges.forget(frame_->ranges.data(), page);
}

void TranslatorSpace::forget_jumps(const Misses& misses) {
  far_known_ = 0;
  if (frame_ == nullptr || jump_pages_.none()) return;
  // Zero again, and no host memory.
  VITRINE_CHECK(madvise(frame_->jump.data(), sizeof frame_->jump, MADV_DONTNEED) == 0);
  VITRINE_CHECK(madvise(frame_->jump_victims.data(), sizeof frame_->jump_victims, MADV_DONTNEED) == 0);
  frame_->jump[0].code = frame_->jump_victims[0].code = reinterpret_cast<u64>(misses.jump);
  jump_pages_.reset();
}

void TranslatorSpace::forget_jump(Va va, const Misses& misses, std::span<const u32> far_jumps) {
  if (frame_ == nullptr) return;
  for (JumpEntry* entry : {&frame_->jump[jump_index(va)], &frame_->jump_victims[jump_victim_index(va)]}) {
    if (entry->va == va) *entry = {0, reinterpret_cast<u64>(misses.jump)};
  }
  forget_far_jumps(far_jumps, misses);
}

void TranslatorSpace::forget_far_jumps(std::span<const u32> numbers, const Misses& misses) {
  for (const u32 number : numbers) {
    if (number < far_known_) frame_->far[number] = reinterpret_cast<u64>(misses.far);
  }
}

void TranslatorSpace::know_far_jumps(u32 count, const Misses& misses) {
  for (; far_known_ < count; ++far_known_) frame_->far[far_known_] = reinterpret_cast<u64>(misses.far);
}

void TranslatorSpace::install_jump(Va va, const u8* code) {
  JumpEntry& entry = frame_->jump[jump_index(va)];
  if (entry.va != 0 && entry.va != va) frame_->jump_victims[jump_victim_index(entry.va)] = entry;
  entry = {va, reinterpret_cast<u64>(code)};
  jump_pages_.set(jump_page(va));
}

void TranslatorSpace::forget_page(Va va, bool executable, const Misses& misses, std::span<const u32> far_jumps) {
  FetchEntry& fetch = fetches_[fetch_index(va)];
  if (fetch.page == page_floor(va)) fetch = {};
  if (frame_ == nullptr) return;
  const u32 index = tlb_index(va);
  for (u64* const tag : {&frame_->tlb.read_tag[index], &frame_->tlb.write_tag[index]}) {
    if (*tag == page_floor(va)) *tag = tlb_invalid_tag(index);
  }
  forget_range(page_floor(va));
  if (!executable) return;
  forget_far_jumps(far_jumps, misses);
  const auto forget = [&](JumpEntry& jump, Va page) {
    if (jump.code != 0 && page_floor(jump.va) == page) jump = {0, reinterpret_cast<u64>(misses.jump)};
  };
  if (!jump_pages_.test(jump_page(va)) && !jump_pages_.test(jump_page(va - kPageSize))) return;
  const u32 first = jump_index(va) & ~static_cast<u32>(kPageMask);
  const u32 victims = jump_victim_index(va) & ~static_cast<u32>(kPageMask);
  for (u32 n = 0; n < kPageSize; ++n) {
    forget(frame_->jump[first + n], page_floor(va));
    forget(frame_->jump_victims[victims + n], page_floor(va));
  }
  // A block across a page boundary depends on the page after its own as well.
  for (Va at = page_floor(va) - 15; at != page_floor(va); ++at) {
    forget(frame_->jump[jump_index(at)], page_floor(at));
    forget(frame_->jump_victims[jump_victim_index(at)], page_floor(at));
  }
}

void TranslatorSpace::revoke_writes(const std::byte* host) {
  if (frame_ == nullptr || (tlb_use_.written[written_frame(host) / 64] >> written_frame(host) % 64 & 1) == 0) return;
  for (u32 index = 0; index < kTlbEntries; ++index) {
    if (frame_->tlb.page[index] == reinterpret_cast<u64>(host)) frame_->tlb.write_tag[index] = tlb_invalid_tag(index);
  }
  forget_ranges();
}

}  // namespace vitrine::cpu::translator
