#include "cpu/kvm/cpuid_table.h"

#include <algorithm>

namespace vitrine::cpu::kvm {
namespace {

constexpr u32 kExtended = 0x8000'0000, kAddressSizes = 0x8000'0008;
constexpr u32 kXsaveBit = 26, kRdrandBit = 30, kUmipBit = 2, kNxBit = 20, kRdtscpBit = 27, kLongModeBit = 29,
              kSyscallBit = 11;

bool has_subleaves(u32 leaf) { return leaf == 4 || leaf == 7 || leaf == 0xB || leaf == 0xD; }

void add(CpuidTable& table, const Identity& identity, u32 leaf, u32 subleaf) {
  const Identity::CpuidResult result = identity.cpuid(leaf, subleaf);
  kvm_cpuid_entry2& entry = table.entries[table.count++];
  entry.function = leaf;
  entry.index = subleaf;
  entry.flags = has_subleaves(leaf) ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
  entry.eax = result.eax, entry.ebx = result.ebx, entry.ecx = result.ecx, entry.edx = result.edx;
}

const kvm_cpuid_entry2* find(const CpuidTable& table, u32 leaf) {
  const auto end = table.entries.begin() + table.count;
  const auto found = std::find_if(table.entries.begin(), end, [&](const kvm_cpuid_entry2& entry) {
    return entry.function == leaf && entry.index == 0;
  });
  return found == end ? nullptr : &*found;
}

// What ring 0 needs, whatever the identity says of it: control registers are held to this table.
void allow_ring0(kvm_cpuid_entry2& entry, const CpuidTable& supported) {
  switch (entry.function) {
    case 0:
      entry.eax = std::max(entry.eax, 0xDu);
      break;
    case 1:
      entry.ecx |= 1u << kXsaveBit;
      entry.ecx &= ~(1u << kRdrandBit);  // so that RDRAND gives #UD where processors can be told to
      break;
    case 7: {
      const kvm_cpuid_entry2* offered = find(supported, 7);
      if (entry.index == 0 && offered != nullptr) entry.ecx |= offered->ecx & 1u << kUmipBit;
      break;
    }
    case 0xD:
      if (entry.index == 0) entry.eax = 7;  // x87, SSE, AVX
      break;
    case kExtended:
      entry.eax = std::max(entry.eax, kAddressSizes);
      break;
    case kExtended + 1:
      entry.edx |= 1u << kSyscallBit | 1u << kNxBit | 1u << kRdtscpBit | 1u << kLongModeBit;
      break;
    case kAddressSizes: {
      // The widest physical addresses that there are, for RAM and what lies behind it.
      const kvm_cpuid_entry2* offered = find(supported, kAddressSizes);
      entry.eax = 48u << 8 | (offered != nullptr ? offered->eax & 0xFF : 36);
      break;
    }
    default:
      break;
  }
}

}  // namespace

CpuidTable make_cpuid_table(const Identity& identity, const CpuidTable& supported) {
  CpuidTable table;
  for (const u32 leaf : {0u, 1u, 2u, 7u}) add(table, identity, leaf, 0);
  for (u32 subleaf = 0; subleaf < 5; ++subleaf) add(table, identity, 4, subleaf);
  for (u32 subleaf = 0; subleaf < 3; ++subleaf) add(table, identity, 0xB, subleaf);
  for (u32 subleaf = 0; subleaf < 3; ++subleaf) add(table, identity, 0xD, subleaf);
  for (u32 leaf = kExtended; leaf <= kAddressSizes; ++leaf) add(table, identity, leaf, 0);
  for (u32 n = 0; n < table.count; ++n) allow_ring0(table.entries[n], supported);
  return table;
}

}  // namespace vitrine::cpu::kvm
