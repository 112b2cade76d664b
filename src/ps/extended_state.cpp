#include "ps/extended_state.h"

#include <algorithm>
#include <cstring>

namespace vitrine::ps {
namespace {

struct Component {
  u32 bit;              // in XCR0
  std::size_t offset;   // in the image
  std::size_t context;  // in GuestContext::xsave or ::avx512
  std::size_t bytes;
  bool avx512;
};
constexpr Component kComponents[] = {
    {2, 0x40, 576, 256, false},   // upper halves of YMM0-15
    {5, 0x240, 0, 64, true},      // K0-K7
    {6, 0x280, 64, 512, true},    // upper halves of ZMM0-15
    {7, 0x480, 576, 1024, true},  // ZMM16-31
};
static_assert(kComponents[3].offset + kComponents[3].bytes == kExtendedAvx512Bytes);

// Where the thread has the component; nothing if it has none. `Registers` is a GuestContext, const or not.
template <typename Registers>
auto bytes_of(Registers& registers, const Component& component) {
  decltype(std::span(registers.xsave).subspan(0)) all = registers.xsave;
  if (component.avx512) all = registers.avx512;
  return all.empty() ? all : all.subspan(component.context, component.bytes);
}

bool in_use(std::span<const std::byte> bytes) {
  return std::ranges::any_of(bytes, [](std::byte b) { return b != std::byte{}; });
}

bool fits(const Component& component, std::size_t size) { return component.offset + component.bytes <= size; }

}  // namespace

std::size_t extended_bytes(const cpu::GuestContext& registers) {
  return registers.avx512.empty() ? kExtendedAvxBytes : kExtendedAvx512Bytes;
}

void store_extended(const cpu::GuestContext& registers, u64 wanted, std::span<std::byte> out) {
  u64 mask = 0;
  for (const Component& component : kComponents) {
    const auto bytes = bytes_of(registers, component);
    if ((wanted >> component.bit & 1) == 0 || !fits(component, out.size()) || !in_use(bytes)) continue;
    mask |= u64{1} << component.bit;
    std::ranges::copy(bytes, out.begin() + static_cast<std::ptrdiff_t>(component.offset));
  }
  std::ranges::fill(out.first(kExtendedHeaderBytes), std::byte{});
  std::memcpy(out.data(), &mask, sizeof mask);
}

void load_extended(std::span<const std::byte> image, cpu::GuestContext& registers) {
  const u64 mask = extended_mask(image);
  for (const Component& component : kComponents) {
    const auto held = bytes_of(registers, component);
    if (held.empty()) continue;
    // XRSTOR: a clear bit means the initial state.
    if ((mask >> component.bit & 1) != 0 && fits(component, image.size()))
      std::memcpy(held.data(), image.data() + component.offset, component.bytes);
    else
      std::ranges::fill(held, std::byte{});
  }
}

u64 extended_mask(std::span<const std::byte> image) {
  u64 mask;
  std::memcpy(&mask, image.data(), sizeof mask);
  return mask;
}

}  // namespace vitrine::ps
