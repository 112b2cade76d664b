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
  frame_->tlb[0] = {tlb_invalid_tag(0), tlb_invalid_tag(0), 0, 0};
  frame_->jump[0].code = frame_->jump_victims[0].code = reinterpret_cast<u64>(jump_miss);
  return *frame_;
}

void TranslatorSpace::forget_all(const Misses& misses) {
  fetches_ = {};
  if (frame_ == nullptr) return;
  for (u32 chunk = 0; chunk < kTlbEntries / kTlbChunk; ++chunk) {
    if (!tlb_chunks_.test(chunk)) continue;
    for (u32 index = chunk * kTlbChunk; index < (chunk + 1) * kTlbChunk; ++index) {
      frame_->tlb[index] = {tlb_invalid_tag(index), tlb_invalid_tag(index), 0, 0};
    }
  }
  tlb_chunks_.reset();
  written_frames_.reset();
  forget_jumps(misses);
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
  TlbEntry& entry = frame_->tlb[index];
  if (entry.read_tag == page_floor(va)) entry.read_tag = tlb_invalid_tag(index);
  if (entry.write_tag == page_floor(va)) entry.write_tag = tlb_invalid_tag(index);
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
  if (frame_ == nullptr || !written_frames_.test(written_frame(host))) return;
  for (u32 index = 0; index < kTlbEntries; ++index) {
    TlbEntry& entry = frame_->tlb[index];
    if (entry.page == reinterpret_cast<u64>(host)) entry.write_tag = tlb_invalid_tag(index);
  }
}

void TranslatorSpace::install(Va va, std::byte* host, bool write) {
  const u32 index = tlb_index(va);
  TlbEntry& entry = frame_->tlb[index];
  const Va page = page_floor(va);
  const u64 to = reinterpret_cast<u64>(host);
  const bool may_write = write || (entry.write_tag == page && entry.page == to);
  entry = {page, may_write ? page : tlb_invalid_tag(index), to, to - page};
  tlb_chunks_.set(index / kTlbChunk);
  if (write) written_frames_.set(written_frame(host));
}

}  // namespace vitrine::cpu::translator
