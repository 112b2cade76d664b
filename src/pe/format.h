// The on-disk layout of a PE file, as plain structures. Offsets are those of Microsoft's "PE Format" specification
// (learn.microsoft.com, revision of 2021). Nothing here checks anything: `pe::parse` does.
#pragma once

#include <cstddef>

#include "base/types.h"

namespace vitrine::pe {

inline constexpr u16 kDosMagic = 0x5A4D;          // "MZ"
inline constexpr u32 kDosNewHeaderOffset = 0x3C;  // e_lfanew
inline constexpr u32 kDosHeaderSize = 0x40;
inline constexpr u32 kPeSignature = 0x0000'4550;  // "PE\0\0"
inline constexpr u16 kNeSignature = 0x454E;       // 16-bit Windows
inline constexpr u16 kLeSignature = 0x454C;       // VxD or OS/2
inline constexpr u16 kMachineI386 = 0x014C;
inline constexpr u16 kMachineAmd64 = 0x8664;
inline constexpr u16 kMachineArm64 = 0xAA64;
inline constexpr u16 kOptionalMagicPe32 = 0x010B;
inline constexpr u16 kOptionalMagicPe32Plus = 0x020B;

inline constexpr u16 kFileRelocationsStripped = 0x0001;
inline constexpr u16 kFileExecutableImage = 0x0002;
inline constexpr u16 kFileLargeAddressAware = 0x0020;
inline constexpr u16 kFileDll = 0x2000;

inline constexpr u16 kDllHighEntropyVa = 0x0020;
inline constexpr u16 kDllDynamicBase = 0x0040;

inline constexpr u32 kSectionCode = 0x0000'0020;
inline constexpr u32 kSectionInitializedData = 0x0000'0040;
inline constexpr u32 kSectionUninitializedData = 0x0000'0080;
inline constexpr u32 kSectionDiscardable = 0x0200'0000;
inline constexpr u32 kSectionShared = 0x1000'0000;
inline constexpr u32 kSectionExecute = 0x2000'0000;
inline constexpr u32 kSectionRead = 0x4000'0000;
inline constexpr u32 kSectionWrite = 0x8000'0000;

enum class Directory : u8 {
  exports,
  imports,
  resources,
  exceptions,
  certificates,
  relocations,
  debug,
  architecture,
  global_pointer,
  tls,
  load_config,
  bound_imports,
  import_addresses,
  delay_imports,
  com_descriptor,
  reserved,
  count,
};

struct FileHeader {
  u16 machine, section_count;
  u32 time_date_stamp, symbol_table_offset, symbol_count;
  u16 optional_header_size, characteristics;
};
static_assert(sizeof(FileHeader) == 20);

// The fixed part; the data directories follow it.
struct OptionalHeader64 {
  u16 magic;
  u8 linker_major, linker_minor;
  u32 size_of_code, size_of_initialized_data, size_of_uninitialized_data, entry_point, base_of_code;
  u64 image_base;
  u32 section_alignment, file_alignment;
  u16 os_major, os_minor, image_major, image_minor, subsystem_major, subsystem_minor;
  u32 win32_version, size_of_image, size_of_headers, checksum;
  u16 subsystem, dll_characteristics;
  u64 stack_reserve, stack_commit, heap_reserve, heap_commit;
  u32 loader_flags, directory_count;
};
static_assert(sizeof(OptionalHeader64) == 112);
static_assert(offsetof(OptionalHeader64, image_base) == 24 && offsetof(OptionalHeader64, stack_reserve) == 72);

// The same of a PE32 (32-bit) image.
struct OptionalHeader32 {
  u16 magic;
  u8 linker_major, linker_minor;
  u32 size_of_code, size_of_initialized_data, size_of_uninitialized_data, entry_point, base_of_code, base_of_data;
  u32 image_base;
  u32 section_alignment, file_alignment;
  u16 os_major, os_minor, image_major, image_minor, subsystem_major, subsystem_minor;
  u32 win32_version, size_of_image, size_of_headers, checksum;
  u16 subsystem, dll_characteristics;
  u32 stack_reserve, stack_commit, heap_reserve, heap_commit;
  u32 loader_flags, directory_count;
};
static_assert(sizeof(OptionalHeader32) == 96);
static_assert(offsetof(OptionalHeader32, image_base) == 28 && offsetof(OptionalHeader32, stack_reserve) == 72);

struct SectionHeader {
  char name[8];  // not terminated when all eight are used
  u32 virtual_size, virtual_address, raw_size, raw_offset, relocations_offset, line_numbers_offset;
  u16 relocation_count, line_number_count;
  u32 characteristics;
};
static_assert(sizeof(SectionHeader) == 40);

struct ExportDirectory {
  u32 characteristics, time_date_stamp;
  u16 major, minor;
  u32 name, ordinal_base, function_count, name_count, functions, names, name_ordinals;
};
static_assert(sizeof(ExportDirectory) == 40);

struct ImportDescriptor {
  u32 lookup_table, time_date_stamp, forwarder_chain, name, address_table;
};
static_assert(sizeof(ImportDescriptor) == 20);

}  // namespace vitrine::pe
