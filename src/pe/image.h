// Image: a PE file, parsed and bounded. Owns copies of the header values and the section table; the optional file
// bytes stay the caller's. No kernel in it.
//
// Every offset, size and count of the file is hostile input: whatever the bytes are, `parse` returns an Image whose
// invariants hold or one clear cause, and no later query reads outside the span. A PE32 image
// of an x86 processor is an image, too (NT maps one, and programs keep data in DLLs without code), but no program.
// Refuses: other machines, images that a loader of NT would refuse, images beyond the limits below.
//
// Invariants of an Image: sections are sorted by address, page-aligned, disjoint and inside size_of_image; raw data
// lies inside the file; the headers end before the first section.
#pragma once

#include <array>
#include <expected>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "pe/format.h"

namespace vitrine::pe {

inline constexpr u32 kMaximumSections = 96;  // NT: the loader's limit up to 6.0; later 65,535, which no linker makes
inline constexpr u32 kMaximumHeaderBytes = 64 * 1024;  // headers and section table
inline constexpr u64 kMaximumImageBytes =
    2ull << 30;  // NT: an image spans less than 2 GB (32-bit RVAs, signed displacements)
inline constexpr u32 kMaximumExports = 1u << 20;
inline constexpr u32 kMaximumImports = 1u << 12;
inline constexpr std::size_t kMaximumNameBytes = 4096;  // a decorated C++ name

enum class Error : u8 {
  empty_file,
  script,               // starts with "#!"
  elf,                  // a Linux program
  text,                 // printable bytes only
  not_mz,               // anything else without "MZ"
  dos_program,          // "MZ" and no new header
  windows_16_bit,       // NE or LE
  bad_signature,        // e_lfanew points at something else
  truncated,            // ends inside the headers
  wrong_machine,        // neither x86-64 nor x86
  not_executable,       // IMAGE_FILE_EXECUTABLE_IMAGE is clear: an object file or a failed link
  image_32_bit,         // only from `check_program`: an x86 program, or .NET of any CPU
  is_dll,               // only from `check_program`
  no_entry_point,       // only from `check_program`
  wrong_subsystem,      // only from `check_program`: neither console nor GUI
  bad_optional_header,  // its size does not hold the fixed part
  bad_alignment,        // alignments are no powers of two, or of each other's wrong size, or below a page
  bad_image_base,       // not 64 KB aligned
  image_too_large,
  too_many_sections,
  sections_overlap,      // or are not in ascending order, or leave the image
  section_outside_file,  // raw data ends after the file
};
// One sentence without a full stop, for the user: "is a 32-bit program".
[[nodiscard]] std::string_view describe(Error error);
// NT: what NtCreateSection(SEC_IMAGE) answers for such a file [ntstatus.h; facts nt-kernel 10.5].
[[nodiscard]] Status to_status(Error error);

struct Section {
  std::array<char, 9> name{};  // terminated
  u32 virtual_address = 0;     // page-aligned
  u32 virtual_size = 0;        // bytes, as used: raw size when the header says 0
  u32 mapped_size = 0;         // virtual_size rounded up to the section alignment
  u64 raw_offset = 0;          // 0 when raw_size is 0
  u32 raw_size = 0;            // bytes that come from the file, at most mapped_size
  u32 characteristics = 0;
};

struct DataDirectory {
  u32 rva = 0;
  u32 size = 0;
};

// The values that outlive the file bytes.
struct Headers {
  u16 machine = 0;
  u16 characteristics = 0;
  u16 dll_characteristics = 0;
  u16 subsystem = 0, subsystem_major = 0, subsystem_minor = 0;
  u16 os_major = 0, os_minor = 0;
  u32 time_date_stamp = 0;
  u32 entry_point = 0;
  u32 size_of_code = 0;
  u32 size_of_image = 0;    // rounded up to pages
  u32 size_of_headers = 0;  // bytes that come from the file
  u32 section_alignment = 0, file_alignment = 0;
  u32 checksum = 0;
  u32 loader_flags = 0;
  u64 image_base = 0;
  u64 stack_reserve = 0, stack_commit = 0, heap_reserve = 0, heap_commit = 0;
  std::array<DataDirectory, static_cast<u8>(Directory::count)> directories{};
  std::vector<Section> sections;

  [[nodiscard]] const DataDirectory& directory(Directory which) const { return directories[static_cast<u8>(which)]; }
  [[nodiscard]] bool is_dll() const { return (characteristics & kFileDll) != 0; }
};

struct Export {
  std::string_view name;       // empty: by ordinal only
  u32 ordinal = 0;             // with the base added
  u32 rva = 0;                 // 0 when forwarded
  std::string_view forwarder;  // "ntdll.RtlAllocateHeap"
};

class Image {
 public:
  Image(Headers headers, std::span<const std::byte> file) : headers_(std::move(headers)), file_(file) {}

  [[nodiscard]] const Headers& headers() const { return headers_; }
  [[nodiscard]] std::span<const std::byte> file() const { return file_; }

  // The section that holds `rva`; null for the headers and for gaps. O(log sections).
  [[nodiscard]] const Section* section_of(u32 rva) const;
  [[nodiscard]] const Section* section_named(std::string_view name) const;
  // File bytes behind [rva, rva + size); empty unless all of them come from the file.
  [[nodiscard]] std::span<const std::byte> bytes_at(u32 rva, u32 size) const;
  // The terminated string at `rva`; empty when it leaves its section or exceeds kMaximumNameBytes.
  [[nodiscard]] std::string_view string_at(u32 rva) const;

  // Named exports in the table's order, then nothing. Entries that point outside the image are left out.
  [[nodiscard]] std::vector<Export> exports() const;
  // By exact name; binary search as the loader does, so that an unsorted table finds what the loader would find.
  [[nodiscard]] std::optional<Export> find_export(std::string_view name) const;
  // Module names of the import table, in its order.
  [[nodiscard]] std::vector<std::string_view> imported_modules() const;

 private:
  struct ExportTable;
  [[nodiscard]] std::optional<ExportTable> export_table() const;
  [[nodiscard]] std::optional<Export> export_at(const ExportTable& table, u32 name_index) const;

  Headers headers_;
  std::span<const std::byte> file_;
};

// Parses a whole file that is in memory. The Image keeps the span.
[[nodiscard]] std::expected<Image, Error> parse(std::span<const std::byte> file);
// Parses the headers alone: `head` holds the first min(file_bytes, kMaximumHeaderBytes) bytes of a file of `file_bytes`
// bytes.
[[nodiscard]] std::expected<Headers, Error> parse_headers(std::span<const std::byte> head, u64 file_bytes);
// What a program needs beyond being an image: x86-64, not a DLL, an entry point, the console or GUI subsystem.
[[nodiscard]] std::optional<Error> check_program(const Headers& headers);

}  // namespace vitrine::pe
