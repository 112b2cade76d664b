#include "hal/identity.h"

#include <bit>
#include <cstring>
#include <string>

namespace vitrine::hal {
namespace {

using CpuidResult = cpu::Identity::CpuidResult;

constexpr u32 kHighestBasicLeaf = 0xD;
constexpr u32 kHighestExtendedLeaf = 0x8000'0008;
constexpr u32 kSignature = 0x0003'06C3;  // family 6, model 0x3C: the first generation with everything in x86-64-v3
constexpr u32 kXsaveBytes = 832;         // 512 legacy, 64 header, 256 upper halves of YMM: cpu::GuestContext::xsave
constexpr char kBrand[49] = "Vitrine Virtual Processor @ 3.00GHz";

constexpr u32 bits(std::initializer_list<u32> numbers) {
  u32 result = 0;
  for (u32 n : numbers) result |= 1u << n;
  return result;
}

// SDM vol. 2A, table 3-10: SSE3 PCLMULQDQ SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE OSXSAVE AVX F16C RDRAND.
constexpr u32 kLeaf1Ecx = bits({0, 1, 9, 12, 13, 19, 20, 22, 23, 25, 26, 27, 28, 29, 30});
// Table 3-11: FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2.
constexpr u32 kLeaf1Edx = bits({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26});
constexpr u32 kHyperThreadingBit = 28;  // more than one logical processor in the package
// BMI1 AVX2 SMEP BMI2 ERMS. Not FSGSBASE: user mode may not move GS (NT of this era left it off).
constexpr u32 kLeaf7Ebx = bits({3, 5, 7, 8, 9});
constexpr u32 kLeaf7EbxAvx512 = bits({16, 17, 28, 30, 31});  // AVX512F DQ CD BW VL
constexpr u32 kExtended1Ecx = bits({0, 5});        // LAHF in 64-bit mode, LZCNT
constexpr u32 kExtended1Edx = bits({11, 20, 27, 29});  // SYSCALL, NX, RDTSCP, long mode

u32 four_characters(const char* text) {
  u32 result;
  std::memcpy(&result, text, 4);
  return result;
}

// Leaf 4: deterministic cache parameters. Sizes of a desktop processor of the generation; nothing is simulated by them.
CpuidResult cache_leaf(u32 subleaf, const Topology& topology) {
  struct Cache {
    u32 type, level, ways, sets;
    bool shared;
  };
  constexpr Cache kCaches[] = {
      {1, 1, 8, 64, false}, {2, 1, 8, 64, false}, {3, 2, 8, 512, false}, {3, 3, 16, 8192, true}};
  if (subleaf >= std::size(kCaches)) return {};
  const Cache& cache = kCaches[subleaf];
  const u32 sharing = std::bit_ceil(cache.shared ? topology.processors_per_node() : topology.threads_per_core) - 1;
  const u32 cores = std::bit_ceil(topology.cores / topology.nodes) - 1;
  return {cache.type | (cache.level << 5) | (1u << 8) | (sharing << 14) | (cores << 26), (cache.ways - 1) << 22 | 63,
          cache.sets - 1, 0};
}

// Leaf 0xB: how many bits of an APIC id tell the threads of a core apart, and those of a package (here: a node).
CpuidResult topology_leaf(u32 subleaf, const Topology& topology) {
  constexpr u32 kSmt = 1, kCore = 2;
  const auto bits_for = [](u32 count) { return static_cast<u32>(std::countr_zero(std::bit_ceil(count))); };
  const u32 smt_bits = bits_for(topology.threads_per_core);
  if (subleaf == 0) return {smt_bits, topology.threads_per_core, (kSmt << 8) | subleaf, 0};
  if (subleaf == 1)
    return {smt_bits + bits_for(topology.cores / topology.nodes), topology.processors_per_node(), (kCore << 8) | subleaf, 0};
  return {0, 0, subleaf, 0};
}

CpuidResult xsave_leaf(u32 subleaf, bool avx512) {
  constexpr u32 kX87SseAvx = 7, kWithAvx512 = 0xE7, kAvx512Bytes = 2688;
  if (avx512) {  // opmask, upper halves of ZMM0-15, ZMM16-31: size and offset in the standard format
    if (subleaf == 0) return {kWithAvx512, kAvx512Bytes, kAvx512Bytes, 0};
    if (subleaf == 5) return {64, 1088, 0, 0};
    if (subleaf == 6) return {512, 1152, 0, 0};
    if (subleaf == 7) return {1024, 1664, 0, 0};
  }
  if (subleaf == 0) return {kX87SseAvx, kXsaveBytes, kXsaveBytes, 0};
  if (subleaf == 2) return {256, 576, 0, 0};  // AVX: size and offset in the standard format
  return {};
}

CpuidResult basic_leaf(u32 leaf, u32 subleaf, const Topology& topology, bool avx512) {
  const u32 processors = topology.processors_per_node();
  switch (leaf) {
    case 0:
      return {kHighestBasicLeaf, four_characters("Genu"), four_characters("ntel"), four_characters("ineI")};
    case 1: {
      const u32 logical = processors > 1 ? std::bit_ceil(processors) : 1;
      return {kSignature, (8u << 8) | (logical << 16), kLeaf1Ecx,
              kLeaf1Edx | (processors > 1 ? 1u << kHyperThreadingBit : 0)};
    }
    case 2:
      return {0x00FE'FF01, 0, 0, 0};  // descriptor FF: ask leaf 4
    case 4:
      return cache_leaf(subleaf, topology);
    case 7:
      return subleaf == 0 ? CpuidResult{0, kLeaf7Ebx | (avx512 ? kLeaf7EbxAvx512 : 0), 0, 0} : CpuidResult{};
    case 0xB:
      return topology_leaf(subleaf, topology);
    case 0xD:
      return xsave_leaf(subleaf, avx512);
    default:
      return {};
  }
}

CpuidResult extended_leaf(u32 leaf) {
  switch (leaf) {
    case 0x8000'0000:
      return {kHighestExtendedLeaf, 0, 0, 0};
    case 0x8000'0001:
      return {0, 0, kExtended1Ecx, kExtended1Edx};
    case 0x8000'0002:
    case 0x8000'0003:
    case 0x8000'0004: {
      const char* part = kBrand + (leaf - 0x8000'0002) * 16;
      return {four_characters(part), four_characters(part + 4), four_characters(part + 8), four_characters(part + 12)};
    }
    case 0x8000'0006:
      return {0, 0, (256u << 16) | (6u << 12) | 64, 0};  // L2: 256 KB, 8 ways, 64-byte lines
    case 0x8000'0007:
      return {0, 0, 0, 1u << 8};  // invariant TSC
    case 0x8000'0008:
      return {(48u << 8) | 39, 0, 0, 0};  // linear and physical address bits
    default:
      return {};
  }
}

}  // namespace

Identity::Identity(const Machine& machine, u64 instruction_picoseconds, bool avx512)
    : machine_(machine), instruction_picoseconds_(instruction_picoseconds), avx512_(avx512) {
  for (u32 p = 0; p < machine.processor_count(); ++p) {
    random_.emplace_back(machine.seed(), "rdrand " + std::to_string(p));
  }
}

CpuidResult Identity::cpuid(u32 leaf, u32 subleaf) const {
  if (leaf >= 0x8000'0000 && leaf <= kHighestExtendedLeaf) return extended_leaf(leaf);
  // SDM: above the highest leaf, Intel processors return the data of the highest basic one.
  return basic_leaf(leaf > kHighestBasicLeaf ? kHighestBasicLeaf : leaf, subleaf, machine_.topology(), avx512_);
}

u64 Identity::time_stamp(u32 processor, u64 retired_in_run) {
  return machine_.time_stamp(processor) + retired_in_run * instruction_picoseconds_ * kCyclesPerNanosecond / 1000;
}

u64 Identity::random(u32 processor) { return random_[processor].next(); }

}  // namespace vitrine::hal
