// Translator: the default Backend. A deterministic dynamic binary translator from x86-64 to x86-64: the same
// instruction set on both sides, so that most instructions are emitted as they are and only memory operands, control
// flow and system instructions are rewritten.
//
// Owns: the code cache, the translated blocks, a software TLB and an indirect-jump cache per space. Refuses: any
// instruction that is not on its allow-list (#UD, named in `unsupported`). One host thread at a time may call it,
// except `kick`. README.md explains the design.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "ram/guest_ram.h"

namespace vitrine::cpu {

struct TranslatorOptions {
  u64 code_cache_bytes =
      64ull << 20;              // host memory for generated code; everything is dropped when it is full. At least 1 MiB
  u32 block_instructions = 64;  // longest block, 1..64
  bool chain = true;            // false: every block returns to the dispatcher (diagnosis)
  bool all_hot = false;         // every page is translated as if it were hot (translator/hot_pages.h); for tests
  bool avx512 = false;          // AVX-512 F, CD, BW, DQ and VL, with the host's own results. Needs host_supports_avx512
};

struct TranslatorStatistics {
  u64 blocks = 0;              // translated since creation
  u64 guest_bytes = 0;         // guest code bytes translated
  u64 host_bytes = 0;          // host code bytes emitted
  u64 cache_flushes = 0;       // whole-cache flushes because it was full
  u64 dispatches = 0;          // entries into generated code
  u64 tlb_misses = 0;          // slow memory accesses of every kind
  u64 range_misses = 0;        // of the range cache (translator/range_cache.h)
  u64 scattered = 0;           // accesses that went back to the TLB, because their ranges kept missing
  u64 turned = 0;              // ways that blocks of hot code took at a conditional jump, and that were left often
  u64 page_invalidations = 0;  // code pages dropped because they were written
};

class Translator : public Backend {
 public:
  // Instructions that a guest executed and that gave #UD because they are not on the allow-list: mnemonic and first
  // address, in the order of first occurrence, each once.
  struct Unsupported {
    std::string mnemonic;
    Va address = 0;
    u64 count = 0;
  };
  [[nodiscard]] virtual const std::vector<Unsupported>& unsupported() const = 0;
  [[nodiscard]] virtual TranslatorStatistics statistics() const = 0;
};

// True when the host's processor can run translated code: AVX2, BMI1/2, FMA, F16C, MOVBE, LZCNT, POPCNT, AES, PCLMULQDQ
// (x86-64-v3).
[[nodiscard]] bool host_supports_translator();

// True when it can also run AVX-512 F, CD, BW, DQ and VL (x86-64-v4).
[[nodiscard]] bool host_supports_avx512();

// `ram` and `identity` must outlive the translator. `processors` >= 1: the valid processor numbers are 0..processors-1.
[[nodiscard]] std::unique_ptr<Translator> make_translator(ram::GuestRam& ram, Identity& identity, u32 processors,
                                                          const TranslatorOptions& options = {});

}  // namespace vitrine::cpu
