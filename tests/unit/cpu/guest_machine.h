// A small guest for tests of processor back ends: RAM, page tables built by hand, one space, one context.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "cpu/kvm/kvm.h"
#include "cpu/translator/translator.h"
#include "ram/shared_ram.h"

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
  // The entry that leads to the table of `va`.
  [[nodiscard]] u64* directory_entry(Va va) {
    Pfn table = root_;
    for (int shift = 39; shift > 21; shift -= 9)
      table = pte::frame(reinterpret_cast<u64*>(ram_.page(table))[(va >> shift) & 511]);
    return reinterpret_cast<u64*>(ram_.page(table)) + ((va >> 21) & 511);
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

// `hot_translator`: every page is translated as if the guest spent its time there.
enum class BackendKind : u8 { translator, hot_translator, kvm };

class GuestMachine {
 public:
  static constexpr Va kCode = 0x140001000, kData = 0x200000, kStack = 0x300000, kStackTop = kStack + 0x3000;
  static constexpr u64 kDataPages = 8;
  // An instruction's worth of host time: so long that no emulated host is too slow for a test's budget.
  static constexpr u64 kKvmPicoseconds = 1'000'000;

  explicit GuestMachine(const TranslatorOptions& options = {}) : GuestMachine(BackendKind::translator, options) {}
  explicit GuestMachine(BackendKind kind, const TranslatorOptions& options = {})
      : ram((kind == BackendKind::kvm ? ram::create_shared_ram(64ull << 20) : ram::GuestRam::create(64ull << 20))
                .value()),
        tables(ram),
        backend(make_backend(kind, options)),
        space(backend->create_space(tables.root())) {
    for (u64 n = 0; n < 4; ++n) tables.map(kCode + n * kPageSize);
    for (u64 n = 0; n < kDataPages; ++n) tables.map(kData + n * kPageSize, pte::kWrite | pte::kUser | pte::kNoExecute);
    for (u64 n = 0; n < 3; ++n) tables.map(kStack + n * kPageSize, pte::kWrite | pte::kUser | pte::kNoExecute);
    context.rip = kCode;
    context[Gpr::rsp] = kStackTop - 64;
  }

  void poke(Va va, std::span<const u8> bytes) {
    for (std::size_t n = 0; n < bytes.size(); ++n) *byte(va + n) = bytes[n];
    backend->code_written(pte::frame(*tables.entry(va, false)));
    backend->code_written(pte::frame(*tables.entry(va + bytes.size() - 1, false)));
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
  Exit run(u64 budget = 1'000'000) { return backend->run(0, *space, context, budget); }
  void protect(Va va, u64 set, u64 clear) {
    u64* entry = tables.entry(va, false);
    const PteEdit edit{space.get(), va, *entry, (*entry | set) & ~clear};
    *entry = edit.new_entry;
    backend->commit({&edit, 1});
  }

  FakeIdentity identity;
  ram::GuestRam ram;
  PageTables tables;
  Translator* cpu = nullptr;  // `backend`, when it is one
  Kvm* kvm = nullptr;         // likewise
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Space> space;
  GuestContext context;

 private:
  std::unique_ptr<Backend> make_backend(BackendKind kind, const TranslatorOptions& options) {
    if (kind == BackendKind::kvm) {
      std::unique_ptr<Kvm> made = make_kvm(ram, identity, 2, {.instruction_picoseconds = kKvmPicoseconds}).value();
      kvm = made.get();
      return made;
    }
    TranslatorOptions chosen = options;
    chosen.all_hot |= kind == BackendKind::hot_translator;
    std::unique_ptr<Translator> made = make_translator(ram, identity, 2, chosen);
    cpu = made.get();
    return made;
  }
};

}  // namespace vitrine::cpu::test
