#include "ldr/shared_data.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "sim/random.h"

namespace vitrine::ldr {
namespace {

using abi::ProcessorFeature;

constexpr ProcessorFeature kFeatures[] = {
    ProcessorFeature::compare_exchange_double, ProcessorFeature::mmx, ProcessorFeature::xmmi, ProcessorFeature::rdtsc,
    ProcessorFeature::pae, ProcessorFeature::xmmi64, ProcessorFeature::sse_daz, ProcessorFeature::nx, ProcessorFeature::sse3,
    ProcessorFeature::compare_exchange128, ProcessorFeature::xsave, ProcessorFeature::fast_fail, ProcessorFeature::rdrand,
    ProcessorFeature::rdtscp, ProcessorFeature::ssse3, ProcessorFeature::sse4_1, ProcessorFeature::sse4_2, ProcessorFeature::avx,
    ProcessorFeature::avx2};

// Readers spin until both high halves agree; a single host thread writes between guest instructions, so order is no matter.
void put_time(abi::SystemTime& field, i64 value) {
  field.low = static_cast<u32>(value);
  field.high1 = field.high2 = static_cast<i32>(value >> 32);
}

// What ntdll tells of CONTEXT's extended part; SDM vol. 1, 13.4 for the standard format.
void write_xstate(abi::XstateConfiguration& xstate, bool avx512) {
  constexpr struct {
    u32 bit, offset, size;
    bool avx512;
  } kFeatures[] = {{0, 0, 160, false}, {1, 160, 256, false},  {2, 576, 256, false},
                   {5, 1088, 64, true}, {6, 1152, 512, true}, {7, 1664, 1024, true}};
  for (const auto& feature : kFeatures) {
    if (feature.avx512 && !avx512) continue;
    xstate.enabled_features |= u64{1} << feature.bit;
    xstate.features[feature.bit] = {feature.offset, feature.size};
    xstate.size = feature.offset + feature.size;
  }
  xstate.enabled_volatile_features = xstate.enabled_features;
}

abi::UserSharedData& data_of(std::byte* page) { return *reinterpret_cast<abi::UserSharedData*>(page); }

}  // namespace

void write_shared_data(std::byte* page, const hal::Machine& machine, u64 physical_pages, u64 seed, bool avx512) {
  abi::UserSharedData& data = data_of(page);
  data.tick_count_multiplier = 1u << 24;  // see write_shared_time
  data.image_number_low = data.image_number_high = 0x8664;
  constexpr std::u16string_view kRoot = u"C:\\windows";
  std::copy(kRoot.begin(), kRoot.end(), data.nt_system_root.begin());
  data.nt_build_number = abi::kOsBuild;
  data.nt_product_type = 1;  // workstation
  data.product_type_is_valid = 1;
  data.native_processor_architecture = 9;  // AMD64
  data.nt_major_version = abi::kOsMajor;
  data.nt_minor_version = abi::kOsMinor;
  for (ProcessorFeature feature : kFeatures) data.processor_features[static_cast<u8>(feature)] = 1;
  data.processor_features[static_cast<u8>(ProcessorFeature::avx512f)] = avx512;
  write_xstate(data.xstate, avx512);
  data.suite_mask = 0x100;  // VER_SUITE_SINGLEUSERTS
  data.nx_support_policy = 2;  // OptIn
  data.active_console_id = 1;
  data.number_of_physical_pages = static_cast<u32>(std::min<u64>(physical_pages, 0xFFFF'FFFF));
  data.qpc_frequency = static_cast<i64>(hal::kPerformanceCounterHz);
  data.cookie = static_cast<u32>(sim::Random(seed, "shared user data").next());
  data.active_processor_count = machine.processor_count();
  data.active_group_count = 1;
}

void write_shared_time(std::byte* page, const hal::Machine& machine) {
  abi::UserSharedData& data = data_of(page);
  put_time(data.interrupt_time, machine.interrupt_time().value);
  put_time(data.system_time, machine.system_time().value);
  // NT counts clock interrupts here, and milliseconds = ticks * multiplier / 2^24. Wine 8.0's GetTickCount64 leaves the multiplier
  // out, so what the guest finds are milliseconds with a multiplier of one (DESIGN 3.3): right by both ways to read it.
  const i64 milliseconds = machine.interrupt_time().value / 10'000;
  put_time(data.tick_count, milliseconds);
  data.tick_count_low_deprecated = static_cast<u32>(milliseconds);
}

void write_unix_call_stub(std::byte* page) {
  // mov r10,rcx; mov eax,number; syscall; ret
  std::array<u8, 11> code{0x49, 0x89, 0xCA, 0xB8, 0, 0, 0, 0, 0x0F, 0x05, 0xC3};
  std::memcpy(code.data() + 4, &kUnixCallNumber, sizeof kUnixCallNumber);
  std::memcpy(page + (kUnixCallStubAddress & kPageMask), code.data(), code.size());
}

}  // namespace vitrine::ldr
