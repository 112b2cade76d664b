// A small valid PE file, made by hand, for tests to damage.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "pe/image.h"

namespace vitrine::pe {

inline constexpr u32 kNew = 0x80, kOptional = kNew + 4 + sizeof(FileHeader);
inline constexpr u32 kTable = kOptional + sizeof(OptionalHeader64) + 16 * 8;

struct File {
  std::vector<std::byte> bytes;
  template <typename T>
  T get(u64 offset) const {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
  template <typename T>
  void put(u64 offset, const T& value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  }
  template <typename T, typename Change>
  void change(u64 offset, Change apply) {
    T value = get<T>(offset);
    apply(value);
    put(offset, value);
  }
  void optional(void (*apply)(OptionalHeader64&)) { change<OptionalHeader64>(kOptional, apply); }
  void header(void (*apply)(FileHeader&)) { change<FileHeader>(kNew + 4, apply); }
  void section(u32 index, void (*apply)(SectionHeader&)) { change<SectionHeader>(kTable + index * 40, apply); }
};

// Two sections: .text (raw 0x400, 0x200 bytes) and .edata (raw 0x600, 0x400 bytes) with exports "alpha", "beta"
// (forwarded).
inline File valid() {
  File f;
  f.bytes.resize(0xA00);
  f.put(0, kDosMagic);
  f.put(kDosNewHeaderOffset, kNew);
  f.put(kNew, kPeSignature);
  f.put(kNew + 4, FileHeader{kMachineAmd64, 2, 0, 0, 0, sizeof(OptionalHeader64) + 128, kFileExecutableImage});
  OptionalHeader64 o{};
  o.magic = kOptionalMagicPe32Plus;
  o.entry_point = 0x1010;
  o.image_base = 0x1'4000'0000;
  o.section_alignment = 0x1000;
  o.file_alignment = 0x200;
  o.size_of_image = 0x3000;
  o.size_of_headers = 0x400;
  o.subsystem = 3;
  o.directory_count = 16;
  f.put(kOptional, o);
  f.put(kOptional + sizeof o, DataDirectory{0x2000, 0x200});     // exports
  f.put(kOptional + sizeof o + 8, DataDirectory{0x2200, 0x28});  // imports
  f.put(kTable, SectionHeader{{'.', 't', 'e', 'x', 't'}, 0x180, 0x1000, 0x200, 0x400, 0, 0, 0, 0, kSectionExecute});
  f.put(kTable + 40,
        SectionHeader{{'.', 'e', 'd', 'a', 't', 'a'}, 0x400, 0x2000, 0x400, 0x600, 0, 0, 0, 0, kSectionRead});
  const auto at = [](u32 rva) { return 0x600 + (rva - 0x2000); };
  f.put(at(0x2000), ExportDirectory{0, 0, 0, 0, 0x2100, 5, 2, 2, 0x2040, 0x2050, 0x2060});
  f.put(at(0x2040), u32{0x1020});
  f.put(at(0x2044), u32{0x2120});  // inside the directory: a forwarder
  f.put(at(0x2050), u32{0x2110});
  f.put(at(0x2054), u32{0x2116});
  f.put(at(0x2060), u16{0});
  f.put(at(0x2062), u16{1});
  std::memcpy(&f.bytes[at(0x2110)], "alpha\0beta\0", 11);
  std::memcpy(&f.bytes[at(0x2120)], "other.gamma", 12);
  f.put(at(0x2200), ImportDescriptor{0, 0, 0, 0x2300, 0});
  std::memcpy(&f.bytes[at(0x2300)], "KERNEL32.dll", 13);
  return f;
}

}  // namespace vitrine::pe
