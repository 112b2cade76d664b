// PEB and process parameters of a 64-bit process. Only what the kernel writes is named.
// [winternl.h and public symbols; offsets checked against the DWARF of Wine 8.0's ntdll]
#pragma once

#include <array>
#include <cstddef>

#include "abi/strings.h"

namespace vitrine::abi {

struct Peb {
  u8 inherited_address_space, read_image_options, being_debugged, bit_field;
  u32 padding0;
  u64 mutant;
  Va image_base;
  Va loader_data;
  Va process_parameters;
  std::array<std::byte, 0x68 - 0x28> reserved0;
  Va api_set_map;
  std::array<std::byte, 0xB8 - 0x70> reserved1;
  u32 processor_count;
  u32 nt_global_flag;
  i64 critical_section_timeout;  // 100 ns, negative: relative
  u64 heap_segment_reserve, heap_segment_commit, heap_decommit_total_free, heap_decommit_free_block;
  std::array<std::byte, 0x118 - 0xE8> reserved2;
  u32 os_major_version, os_minor_version;
  u32 os_build_number;  // build in the low 16 bits, CSD version in the high 16
  u32 os_platform_id;
  u32 image_subsystem, image_subsystem_major_version, image_subsystem_minor_version;
  u32 padding1;
  std::array<std::byte, 0x2C0 - 0x138> reserved3;
  u32 session_id;
  u32 padding2;
  std::array<std::byte, 0x7C8 - 0x2C8> reserved4;
};
static_assert(offsetof(Peb, image_base) == 0x10);
static_assert(offsetof(Peb, process_parameters) == 0x20);
static_assert(offsetof(Peb, api_set_map) == 0x68);
static_assert(offsetof(Peb, processor_count) == 0xB8);
static_assert(offsetof(Peb, critical_section_timeout) == 0xC0);
static_assert(offsetof(Peb, os_major_version) == 0x118);
static_assert(offsetof(Peb, session_id) == 0x2C0);
static_assert(sizeof(Peb) == 0x7C8);

// Behind the PEB, at +0x2000, Wine's ntdll reads its debug channels: {u8 flags; char name[15]} each; the entry without a
// name is the default of all channels.
struct WineDebugChannel {
  u8 flags;
  std::array<char, 15> name;
};
static_assert(sizeof(WineDebugChannel) == 16);
inline constexpr u64 kWineDebugChannelOffset = 0x2000;
inline constexpr u64 kPebRegionBytes = 0x3000;

struct CurrentDirectory {  // CURDIR
  UnicodeString path;
  u64 handle;
};

struct ProcessParameters {  // RTL_USER_PROCESS_PARAMETERS
  u32 allocation_size;
  u32 size;
  u32 flags;  // bit 0: normalised
  u32 debug_flags;
  u64 console_handle;
  u32 console_flags;
  u32 padding0;
  u64 standard_input, standard_output, standard_error;
  CurrentDirectory current_directory;
  UnicodeString dll_path;
  UnicodeString image_path_name;
  UnicodeString command_line;
  Va environment;
  u32 starting_x, starting_y, count_x, count_y, count_chars_x, count_chars_y, fill_attribute, window_flags, show_window_flags;
  u32 padding1;
  UnicodeString window_title, desktop_info, shell_info, runtime_data;
  std::array<std::byte, 768> drive_current_directories;
  u64 environment_size;
  u64 environment_version;
  Va package_dependency_data;
  u32 process_group_id;
  u32 loader_threads;
};
static_assert(offsetof(ProcessParameters, current_directory) == 56);
static_assert(offsetof(ProcessParameters, environment) == 128);
static_assert(offsetof(ProcessParameters, window_title) == 176);
static_assert(offsetof(ProcessParameters, environment_size) == 1008);
static_assert(sizeof(ProcessParameters) == 0x410);

inline constexpr u32 kParametersNormalized = 1;

}  // namespace vitrine::abi
