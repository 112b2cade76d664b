#include "tools/large_pages.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace vitrine::tools {
namespace {

constexpr std::uintptr_t kLargePage = 2u << 20;
constexpr int kStepBytes = 64 << 20;

}  // namespace

LargePages::LargePages() {
  (void)mallopt(M_TOP_PAD, kStepBytes);
  asked_to_ = static_cast<char*>(sbrk(0));
}

void LargePages::follow_heap() {
  auto* const end = static_cast<char*>(sbrk(0));
  if (end <= asked_to_) return;
  const std::uintptr_t from = (reinterpret_cast<std::uintptr_t>(asked_to_) + kLargePage - 1) & ~(kLargePage - 1);
  const std::uintptr_t to = reinterpret_cast<std::uintptr_t>(end) & ~(kLargePage - 1);
  if (from >= to) return;
  (void)madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);  // refused: slower, nothing else
  asked_to_ = reinterpret_cast<char*>(to);
}

}  // namespace vitrine::tools
