// BareGuest: guest RAM, page tables and one space under the translator, without a kernel.
#pragma once

#include <memory>
#include <random>
#include <span>

#include "cpu/translator/translator.h"
#include "guest_image.h"

namespace vitrine::bench {

class FixedIdentity : public cpu::Identity {
 public:
  CpuidResult cpuid(u32, u32) const override { return {}; }
  u64 time_stamp(u32, u64 retired) override { return retired; }
  u64 random(u32) override { return 0; }
};

// In which order frames are handed out.
enum class Frames {
  in_order,  // one after the other, as mm hands out frames that were never used
  shuffled,  // neighbours in the guest are no neighbours on the host: as after a long life, and the worst case
};

class BareGuest {
 public:
  explicit BareGuest(u64 ram_bytes = 64ull << 20, Frames frames = Frames::in_order,
                     const cpu::TranslatorOptions& options = {})
      : ram(ram::GuestRam::create(ram_bytes).value()), cpu(cpu::make_translator(ram, identity, 1, options)) {
    ram.expect_dense_use(Pfn{0}, ram.page_count());  // as the kernel asks where frames are in dense use
    for (u64 n = ram.page_count(); n-- > 1;) free_.push_back(Pfn{n});
    if (frames == Frames::shuffled) std::shuffle(free_.begin(), free_.end(), std::mt19937_64(1));
    root = allocate();
    space = cpu->create_space(root);
  }

  Pfn allocate() {
    const Pfn frame = free_.back();
    free_.pop_back();
    ram.zero_page(frame);
    return frame;
  }
  u64* entry(Va va) {
    Pfn table = root;
    for (int shift = 39; shift > 12; shift -= 9) {
      u64* const at = reinterpret_cast<u64*>(ram.page(table)) + ((va >> shift) & 511);
      if ((*at & cpu::pte::kPresent) == 0)
        *at = allocate().address() | cpu::pte::kPresent | cpu::pte::kWrite | cpu::pte::kUser;
      table = cpu::pte::frame(*at);
    }
    return reinterpret_cast<u64*>(ram.page(table)) + ((va >> 12) & 511);
  }
  void map(Va va, u64 bytes, u64 rights = cpu::pte::kNoExecute) {
    for (u64 n = 0; n < bytes; n += kPageSize) {
      u64* const at = entry(va + n);  // its tables are allocated first, as by the kernel
      *at = allocate().address() | cpu::pte::kPresent | cpu::pte::kWrite | cpu::pte::kUser | rights;
    }
  }
  u8* byte(Va va) { return reinterpret_cast<u8*>(ram.page(cpu::pte::frame(*entry(va)))) + (va & kPageMask); }
  void poke(Va va, std::span<const u8> bytes) {
    for (std::size_t n = 0; n < bytes.size(); ++n) *byte(va + n) = bytes[n];
  }

  FixedIdentity identity;
  ram::GuestRam ram;
  std::unique_ptr<cpu::Translator> cpu;
  Pfn root;
  std::unique_ptr<cpu::Space> space;
  cpu::GuestContext context;

 private:
  std::vector<Pfn> free_;
};

// A bare guest with the kernels in it.
class KernelGuest : public BareGuest {
 public:
  explicit KernelGuest(std::span<const u8> image, Frames frames = Frames::in_order,
                       const cpu::TranslatorOptions& options = {})
      : BareGuest(64ull << 20, frames, options) {
    map(kCode, page_ceil(image.size()), 0);
    map(kBuffer, kBufferBytes);
    map(kStack, kStackBytes);
    map(kReturn, kPageSize, 0);
    poke(kCode, image);
    poke(kReturn, std::vector<u8>{0x0F, 0x05});
  }
  void clear() {
    for (u64 n = 0; n < kBufferBytes; n += kPageSize) std::memset(byte(kBuffer + n), 0, kPageSize);
  }
  u64 run(u64 kernel, u64 count, u64 window = kWindow) {
    using cpu::Gpr;
    context = cpu::GuestContext();
    context.rip = kCode;
    context[Gpr::rsp] = kStack + kStackBytes - 4096 - 8;
    u64 to = kReturn;
    std::memcpy(byte(context[Gpr::rsp]), &to, sizeof to);
    context[Gpr::rdi] = kernel;
    context[Gpr::rsi] = kBuffer;
    context[Gpr::rdx] = count;
    retired = 0;
    for (;;) {
      const cpu::Exit exit = cpu->run(0, *space, context, window);
      retired += exit.retired;
      if (exit.reason == cpu::ExitReason::system_call) return context[Gpr::rax];
      if (exit.reason == cpu::ExitReason::budget) continue;
      std::fprintf(stderr, "bench_cpu: kernel %s: exception %d at %llx\n", kKernels[kernel].name,
                   static_cast<int>(exit.vector), static_cast<unsigned long long>(context.rip));
      std::exit(1);
    }
  }
  u64 retired = 0;
};

}  // namespace vitrine::bench
