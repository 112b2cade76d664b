// KUSER_SHARED_DATA: the read-only page at 0x7FFE0000 that every process sees. Only what the kernel writes is named.
// [ntddk.h, public WDK header; offsets checked against the DWARF of Wine 8.0's ntdll]
#pragma once

#include <array>
#include <cstddef>

#include "base/types.h"

namespace vitrine::abi {

inline constexpr Va kUserSharedDataAddress = 0x7FFE'0000;
// The page after it holds the address that ntdll's system-call stubs would call when the byte SystemCall is not zero, and
// our trap stub for Wine's unix calls.
inline constexpr u64 kUserSharedDataBytes = 0x2000;

struct SystemTime {  // KSYSTEM_TIME: readers compare both high halves
  u32 low;
  i32 high1;
  i32 high2;
};

struct XstateConfiguration {  // XSTATE_CONFIGURATION, as far as Windows 7 has it: the state components by XCR0's bits
  u64 enabled_features;
  u64 enabled_volatile_features;
  u32 size;           // of the whole XSAVE image
  u32 control_flags;  // bit 0: XSAVEOPT; bit 1: compacted images
  struct {
    u32 offset, size;
  } features[64];
};

struct UserSharedData {
  u32 tick_count_low_deprecated;
  u32 tick_count_multiplier;  // milliseconds = ticks * multiplier >> 24
  SystemTime interrupt_time;  // 100 ns
  SystemTime system_time;
  SystemTime time_zone_bias;
  u16 image_number_low, image_number_high;
  std::array<u16, 260> nt_system_root;
  std::array<std::byte, 0x260 - 0x238> reserved0;
  u32 nt_build_number;
  u32 nt_product_type;
  u8 product_type_is_valid;
  u8 reserved1;
  u16 native_processor_architecture;
  u32 nt_major_version;
  u32 nt_minor_version;
  std::array<u8, 64> processor_features;
  std::array<std::byte, 0x2D0 - 0x2B4> reserved2;
  u32 suite_mask;
  u8 kd_debugger_enabled;
  u8 nx_support_policy;
  u16 cycles_per_yield;
  u32 active_console_id;
  u32 dismount_count;
  u32 com_plus_package;
  u32 last_system_rit_event_tick_count;
  u32 number_of_physical_pages;
  std::array<std::byte, 0x300 - 0x2EC> reserved3;
  i64 qpc_frequency;
  u32 system_call;  // 0: the stubs execute SYSCALL
  std::array<std::byte, 0x320 - 0x30C> reserved4;
  SystemTime tick_count;
  u32 reserved5;
  u32 cookie;
  std::array<std::byte, 0x3C0 - 0x334> reserved6;
  u32 active_processor_count;
  u8 active_group_count;
  std::array<std::byte, 0x3D8 - 0x3C5> reserved7;
  XstateConfiguration xstate;
};
static_assert(offsetof(UserSharedData, interrupt_time) == 0x8);
static_assert(offsetof(UserSharedData, system_time) == 0x14);
static_assert(offsetof(UserSharedData, nt_system_root) == 0x30);
static_assert(offsetof(UserSharedData, nt_build_number) == 0x260);
static_assert(offsetof(UserSharedData, native_processor_architecture) == 0x26A);
static_assert(offsetof(UserSharedData, nt_major_version) == 0x26C);
static_assert(offsetof(UserSharedData, processor_features) == 0x274);
static_assert(offsetof(UserSharedData, suite_mask) == 0x2D0);
static_assert(offsetof(UserSharedData, number_of_physical_pages) == 0x2E8);
static_assert(offsetof(UserSharedData, qpc_frequency) == 0x300);
static_assert(offsetof(UserSharedData, system_call) == 0x308);
static_assert(offsetof(UserSharedData, tick_count) == 0x320);
static_assert(offsetof(UserSharedData, cookie) == 0x330);
static_assert(offsetof(UserSharedData, active_processor_count) == 0x3C0);
static_assert(offsetof(UserSharedData, xstate) == 0x3D8);

// PF_* indices into processor_features that a program of ours can find set. [winnt.h]
enum class ProcessorFeature : u8 {
  compare_exchange_double = 2, mmx = 3, xmmi = 6, rdtsc = 8, pae = 9, xmmi64 = 10, sse_daz = 11, nx = 12, sse3 = 13,
  compare_exchange128 = 14, xsave = 17, fast_fail = 23, rdrand = 28, rdtscp = 32, ssse3 = 36, sse4_1 = 37, sse4_2 = 38, avx = 39, avx2 = 40,
  avx512f = 41,
};

// The version that programs see (DESIGN 3.3): Windows 10, 10.0.18362.
inline constexpr u32 kOsMajor = 10, kOsMinor = 0, kOsBuild = 18362;

}  // namespace vitrine::abi
