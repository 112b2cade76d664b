#include "kd/guest_memory.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace vitrine::kd {
namespace {

// The page of `va`, copied. False: not there.
bool read_page(const Target& target, const ps::Process& process, Va va, std::span<std::byte, kPageSize> into) {
  mm::AddressSpace& space = *process.space;
  const mm::Pte pte = space.page_table().get(va);
  if (pte.is_valid() || (pte.is_transition() && !pte.is_shadow())) {
    ram::GuestRam& ram = space.manager().memory().pfn().ram();
    if (pte.pfn().value >= ram.page_count()) return false;
    std::memcpy(into.data(), ram.page(pte.pfn()), kPageSize);
    return true;
  }
  if (!pte.is_shadow()) return false;
  const mm::Vad* vad = space.vads().find(va);
  if (vad == nullptr || !vad->shadow_) return false;
  std::memset(into.data(), 0, kPageSize);
  const auto index = static_cast<u32>((page_floor(va) - vad->start()) >> kPageShift);
  target.executive().processes.fill(space, vad->start(), index, vad->cookie, into);
  return true;
}

}  // namespace

bool read_guest(const Target& target, const ps::Process& process, Va va, std::span<std::byte> into) {
  if (process.space == nullptr || va >= process.space->vads().highest_plus_one()) return false;
  std::array<std::byte, kPageSize> page;
  while (!into.empty()) {
    const u64 offset = va & kPageMask;
    const std::size_t count = std::min<std::size_t>(into.size(), kPageSize - offset);
    if (va >= process.space->vads().highest_plus_one() || !read_page(target, process, va, page)) return false;
    std::memcpy(into.data(), page.data() + offset, count);
    into = into.subspan(count);
    va += count;
  }
  return true;
}

}  // namespace vitrine::kd
