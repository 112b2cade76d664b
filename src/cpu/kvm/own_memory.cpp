#include "cpu/kvm/own_memory.h"

#include <sys/mman.h>

#include <cstring>

namespace vitrine::cpu::kvm {
namespace {

constexpr u64 kTable = pte::kPresent | pte::kWrite | pte::kAccessed;
constexpr u64 kReadOnly = pte::kPresent | pte::kAccessed | pte::kNoExecute;
constexpr u8 kHalt = 0xF4;

// Offsets in the 64-bit task state segment (SDM vol. 3A, figure 8-11). An I/O map that begins behind the segment's end
// allows no port.
constexpr std::size_t kTssRsp0 = 4, kTssIoMap = 0x66;
constexpr u16 kNoIoMap = 0x68;

}  // namespace

OwnMemory::OwnMemory(u64 base) : base_(base) {
  void* memory = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  VITRINE_CHECK(memory != MAP_FAILED);
  host_ = static_cast<std::byte*>(memory);
  std::memset(words(kStubPage), kHalt, kPageSize);
  make_tables();
  make_descriptors();
}

OwnMemory::~OwnMemory() { munmap(host_, bytes()); }

u64 OwnMemory::bytes() { return (kFirstRoot + kRoots) * kPageSize; }

const u64* OwnMemory::stack(u32 processor, u64 rsp) const {
  return words(kFirstProcessor + processor) + (rsp & kPageMask) / sizeof(u64);
}

void OwnMemory::make_tables() {
  words(kPointerPage)[0] = physical(kDirectoryPage) | kTable;
  words(kDirectoryPage)[0] = physical(kTablePage) | kTable;
  u64* const entries = words(kTablePage);
  entries[kStubPage] = physical(kStubPage) | pte::kPresent | pte::kAccessed;
  entries[kIdtPage] = physical(kIdtPage) | kReadOnly;
  entries[kGdtPage] = physical(kGdtPage) | kReadOnly;
  for (u32 page = kFirstProcessor; page < kFirstRoot; ++page)
    entries[page] = physical(page) | kReadOnly | pte::kWrite | pte::kDirty;
}

void OwnMemory::make_descriptors() {
  // SDM vol. 3A, 3.4.5, with the accessed bits set; those of ring 3 are the ones that the translator shows to LAR and
  // LSL.
  u64* const gdt = words(kGdtPage);
  gdt[2] = 0x0020'9B00'0000'0000;   // ring 0 code
  gdt[3] = 0x00CF'9300'0000'FFFF;   // ring 0 data
  gdt[4] = 0x00CF'FB00'0000'FFFF;   // 32-bit code
  gdt[5] = 0x00CF'F300'0000'FFFF;   // data and stack
  gdt[6] = 0x0020'FB00'0000'0000;   // 64-bit code
  gdt[10] = 0x0040'F300'0000'3C00;  // the 32-bit TEB
  // Only `int 3` may enter a vector below 32 by an instruction: the others would look like the exceptions. They come as
  // #GP, whose error code has the vector.
  u64* const idt = words(kIdtPage);
  for (u64 n = 0; n < 256; ++n) {
    const Va stub = kStubs + n * kStubBytes;
    const u64 level = n == 3 || n >= 32 ? 3 : 0;
    idt[2 * n] = (stub & 0xFFFF) | u64{kRing0Code} << 16 | (0x8E | level << 5) << 40 | (stub >> 16 & 0xFFFF) << 48;
    idt[2 * n + 1] = stub >> 32;
  }
  for (u32 n = 0; n < kMostProcessors; ++n) {
    auto* const segment = reinterpret_cast<std::byte*>(words(kFirstProcessor + n));
    const Va top = task_state(n) + kPageSize;
    std::memcpy(segment + kTssRsp0, &top, sizeof top);
    std::memcpy(segment + kTssIoMap, &kNoIoMap, sizeof kNoIoMap);
  }
}

void OwnMemory::merge(u32 n, std::span<const u64> table) {
  u64* const root = words(kFirstRoot + n);
  for (u32 index = 0; index < table.size(); ++index) {
    // The accessed bit is the processor's own, in this copy; writing the line only when there is news keeps it in
    // place.
    const u64 entry = (table[index] & pte::kPresent) != 0 ? table[index] | pte::kAccessed : 0;
    if (root[index] != entry && index != kOwnIndex) root[index] = entry;
  }
  root[kOwnIndex] = physical(kPointerPage) | kTable;
}

OwnMemory::Probe OwnMemory::make_probe() {
  constexpr u32 kPointer = kProbePages, kDirectory = kProbePages + 1, kEntries = kProbePages + 2;
  constexpr u32 kCode = kProbePages + 3, kData = kProbePages + 4, kOther = kProbePages + 5;
  static_assert(kOther < kFirstProcessor);
  constexpr u64 kAll = pte::kPresent | pte::kWrite | pte::kUser;
  std::array<u64, 512> table{};
  table[0] = physical(kPointer) | kAll;
  words(kPointer)[0] = physical(kDirectory) | kAll;
  words(kDirectory)[0] = physical(kEntries) | kAll;
  u64* const entries = words(kEntries) + kProbe / kPageSize;
  entries[0] = physical(kCode) | kAll;
  entries[1] = physical(kData) | kAll;
  merge(kRoots - 1, table);
  return {kRoots - 1,      entries, words(kData), words(kOther), reinterpret_cast<std::byte*>(words(kCode)),
          physical(kOther)};
}

}  // namespace vitrine::cpu::kvm
