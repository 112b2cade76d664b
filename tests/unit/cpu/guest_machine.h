// A small guest for tests of processor back ends: RAM, page tables built by hand, one space, one context.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "cpu/translator/translator.h"

namespace vitrine::cpu::test {

class FakeIdentity : public Identity {
 public:
  CpuidResult cpuid(u32 leaf, u32 subleaf) const override { return {leaf, 0x1111, subleaf, 0x3333}; }
  u64 time_stamp(u32, u64 retired_in_run) override { return 0x1'0000'0000 + retired_in_run; }
  u64 random(u32) override { return 0x0123'4567'89AB'CDEF; }
};

// Page tables in guest RAM. Frames are handed out in order.
class PageTables {
 public:
  explicit PageTables(ram::GuestRam& ram, u64 first_frame = 16) : ram_(ram), next_(first_frame), root_(allocate()) {}
  [[nodiscard]] Pfn root() const { return root_; }
  Pfn allocate() { return Pfn{next_++}; }
  [[nodiscard]] u64* entry(Va va, bool create) {
    Pfn table = root_;
    for (int shift = 39; shift > 12; shift -= 9) {
      u64* at = reinterpret_cast<u64*>(ram_.page(table)) + ((va >> shift) & 511);
      if ((*at & pte::kPresent) == 0) {
        if (!create) return nullptr;
        *at = allocate().address() | pte::kPresent | pte::kWrite | pte::kUser;
      }
      table = pte::frame(*at);
    }
    return reinterpret_cast<u64*>(ram_.page(table)) + ((va >> 12) & 511);
  }
  Pfn map(Va va, u64 rights = pte::kWrite | pte::kUser) {
    const Pfn frame = allocate();
    *entry(va, true) = frame.address() | pte::kPresent | rights;
    return frame;
  }

 private:
  ram::GuestRam& ram_;
  u64 next_;
  Pfn root_;
};

class GuestMachine {
 public:
  static constexpr Va kCode = 0x140001000, kData = 0x200000, kStack = 0x300000, kStackTop = kStack + 0x3000;
  static constexpr u64 kDataPages = 8;

  explicit GuestMachine(const TranslatorOptions& options = {})
      : ram(ram::GuestRam::create(64ull << 20).value()),
        tables(ram),
        cpu(make_translator(ram, identity, 2, options)),
        space(cpu->create_space(tables.root())) {
    for (u64 n = 0; n < 4; ++n) tables.map(kCode + n * kPageSize);
    for (u64 n = 0; n < kDataPages; ++n) tables.map(kData + n * kPageSize, pte::kWrite | pte::kUser | pte::kNoExecute);
    for (u64 n = 0; n < 3; ++n) tables.map(kStack + n * kPageSize, pte::kWrite | pte::kUser | pte::kNoExecute);
    context.rip = kCode;
    context[Gpr::rsp] = kStackTop - 64;
  }

  void poke(Va va, std::span<const u8> bytes) {
    for (std::size_t n = 0; n < bytes.size(); ++n) *byte(va + n) = bytes[n];
    cpu->code_written(pte::frame(*tables.entry(va, false)));
    cpu->code_written(pte::frame(*tables.entry(va + bytes.size() - 1, false)));
  }
  void code(std::initializer_list<u8> bytes, Va at = kCode) { poke(at, std::vector<u8>(bytes)); }
  [[nodiscard]] u8* byte(Va va) {
    return reinterpret_cast<u8*>(ram.page(pte::frame(*tables.entry(va, false)))) + (va & kPageMask);
  }
  [[nodiscard]] u64 peek(Va va, u64 bytes = 8) {
    u64 value = 0;
    for (u64 n = 0; n < bytes; ++n) value |= static_cast<u64>(*byte(va + n)) << (8 * n);
    return value;
  }
  void store(Va va, u64 value, u64 bytes = 8) {
    for (u64 n = 0; n < bytes; ++n) *byte(va + n) = static_cast<u8>(value >> (8 * n));
  }
  Exit run(u64 budget = 1'000'000) { return cpu->run(0, *space, context, budget); }
  void protect(Va va, u64 set, u64 clear) {
    u64* entry = tables.entry(va, false);
    const PteEdit edit{space.get(), va, *entry, (*entry | set) & ~clear};
    *entry = edit.new_entry;
    cpu->commit({&edit, 1});
  }

  FakeIdentity identity;
  ram::GuestRam ram;
  PageTables tables;
  std::unique_ptr<Translator> cpu;
  std::unique_ptr<Space> space;
  GuestContext context;
};

}  // namespace vitrine::cpu::test
