// The headers of a PE file, checked in the order in which NT's image creation does: signature, machine, optional
// header, alignments, section table. [Microsoft "PE Format"; behaviour of NT as public documents describe it]
#include <algorithm>
#include <bit>
#include <cstring>

#include "pe/image.h"

namespace vitrine::pe {
namespace {

constexpr u32 kSectorSize = 512;  // NT: raw data starts at a sector

using Bytes = std::span<const std::byte>;

// A structure of the file at `offset`; nothing when it does not lie in `bytes` whole.
template <typename T>
std::optional<T> read_at(Bytes bytes, u64 offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

bool starts_with(Bytes bytes, std::string_view prefix) {
  return bytes.size() >= prefix.size() && std::memcmp(bytes.data(), prefix.data(), prefix.size()) == 0;
}

bool is_text(Bytes bytes) {
  const Bytes head = bytes.first(std::min<std::size_t>(bytes.size(), 256));
  return std::ranges::all_of(head, [](std::byte b) {
    const u8 c = static_cast<u8>(b);
    return c >= 0x20 || (c >= '\t' && c <= '\r');
  });
}

Error cause_of_no_mz(Bytes bytes) {
  if (bytes.empty()) return Error::empty_file;
  if (starts_with(bytes, "#!")) return Error::script;
  if (starts_with(bytes,
                  "\x7F"
                  "ELF"))
    return Error::elf;
  return is_text(bytes) ? Error::text : Error::not_mz;
}

// Where the PE headers begin, or what else this is.
std::expected<u64, Error> find_headers(Bytes head, u64 file_bytes) {
  const auto magic = read_at<u16>(head, 0);
  if (!magic || *magic != kDosMagic) return std::unexpected(cause_of_no_mz(head));
  const auto offset = read_at<u32>(head, kDosNewHeaderOffset);
  if (!offset) return std::unexpected(Error::truncated);
  // A DOS program has code where later formats keep the offset: anything that cannot be one means DOS.
  if (*offset < 4 || *offset > file_bytes || file_bytes - *offset < sizeof(u16))
    return std::unexpected(Error::dos_program);
  const auto signature = read_at<u32>(head, *offset);
  if (!signature) return std::unexpected(*offset > head.size() ? Error::bad_signature : Error::truncated);
  if (*signature == kPeSignature) return u64{*offset} + sizeof(u32);
  const u16 word = static_cast<u16>(*signature);
  if (word == kNeSignature || word == kLeSignature) return std::unexpected(Error::windows_16_bit);
  return std::unexpected(Error::bad_signature);
}

std::optional<Error> check_alignments(const OptionalHeader64& optional) {
  const u32 section = optional.section_alignment;
  const u32 file = optional.file_alignment;
  if (!std::has_single_bit(section) || !std::has_single_bit(file)) return Error::bad_alignment;
  if (section < kPageSize || section < file) return Error::bad_alignment;
  if (file < kSectorSize && file != section) return Error::bad_alignment;
  return std::nullopt;
}

// The fields of a PE32 optional header under the names of a PE32+ one. The rules are the same for both.
OptionalHeader64 widen(const OptionalHeader32& narrow) {
  OptionalHeader64 wide{};
  wide.magic = narrow.magic;
  wide.size_of_code = narrow.size_of_code;
  wide.entry_point = narrow.entry_point;
  wide.image_base = narrow.image_base;
  wide.section_alignment = narrow.section_alignment;
  wide.file_alignment = narrow.file_alignment;
  wide.os_major = narrow.os_major;
  wide.os_minor = narrow.os_minor;
  wide.subsystem_major = narrow.subsystem_major;
  wide.subsystem_minor = narrow.subsystem_minor;
  wide.size_of_image = narrow.size_of_image;
  wide.size_of_headers = narrow.size_of_headers;
  wide.checksum = narrow.checksum;
  wide.subsystem = narrow.subsystem;
  wide.dll_characteristics = narrow.dll_characteristics;
  wide.stack_reserve = narrow.stack_reserve;
  wide.stack_commit = narrow.stack_commit;
  wide.heap_reserve = narrow.heap_reserve;
  wide.heap_commit = narrow.heap_commit;
  wide.loader_flags = narrow.loader_flags;
  wide.directory_count = narrow.directory_count;
  return wide;
}

// The fixed part of the optional header. NT: the magic has to be the machine's own.
std::expected<OptionalHeader64, Error> read_optional_header(Bytes head, u64 at, const FileHeader& file) {
  const auto magic = read_at<u16>(head, at);
  if (!magic) return std::unexpected(Error::truncated);
  if (file.machine != kMachineAmd64 && file.machine != kMachineI386) return std::unexpected(Error::wrong_machine);
  const bool narrow = file.machine == kMachineI386;
  if (*magic != (narrow ? kOptionalMagicPe32 : kOptionalMagicPe32Plus) ||
      file.optional_header_size < (narrow ? sizeof(OptionalHeader32) : sizeof(OptionalHeader64))) {
    return std::unexpected(Error::bad_optional_header);
  }
  if (narrow) {
    const auto header = read_at<OptionalHeader32>(head, at);
    if (!header) return std::unexpected(Error::truncated);
    return widen(*header);
  }
  const auto header = read_at<OptionalHeader64>(head, at);
  if (!header) return std::unexpected(Error::truncated);
  return *header;
}

void fill_values(Headers& out, const FileHeader& file, const OptionalHeader64& optional) {
  out.machine = file.machine;
  out.characteristics = file.characteristics;
  out.time_date_stamp = file.time_date_stamp;
  out.dll_characteristics = optional.dll_characteristics;
  out.subsystem = optional.subsystem;
  out.subsystem_major = optional.subsystem_major;
  out.subsystem_minor = optional.subsystem_minor;
  out.os_major = optional.os_major;
  out.os_minor = optional.os_minor;
  out.entry_point = optional.entry_point;
  out.size_of_code = optional.size_of_code;
  out.size_of_image = static_cast<u32>(page_ceil(optional.size_of_image));
  out.size_of_headers = optional.size_of_headers;
  out.section_alignment = optional.section_alignment;
  out.file_alignment = optional.file_alignment;
  out.checksum = optional.checksum;
  out.loader_flags = optional.loader_flags;
  out.image_base = optional.image_base;
  out.stack_reserve = optional.stack_reserve;
  out.stack_commit = optional.stack_commit;
  out.heap_reserve = optional.heap_reserve;
  out.heap_commit = optional.heap_commit;
}

// One row of the section table; `next` is where the section has to begin, and is moved behind it.
std::expected<Section, Error> read_section(const SectionHeader& header, const Headers& image, u64 file_bytes,
                                           u64& next) {
  Section section;
  std::copy_n(header.name, sizeof header.name, section.name.begin());
  section.virtual_address = header.virtual_address;
  section.virtual_size = header.virtual_size != 0 ? header.virtual_size : header.raw_size;
  section.characteristics = header.characteristics;
  const u64 mapped = align_up(u64{section.virtual_size}, image.section_alignment);
  // NT: sections are adjacent and in ascending order; an empty one has no pages and is refused as well.
  if (mapped == 0 || section.virtual_address != next) return std::unexpected(Error::sections_overlap);
  next += mapped;
  if (section.virtual_address + page_ceil(section.virtual_size) > image.size_of_image) {
    return std::unexpected(Error::sections_overlap);
  }
  section.mapped_size = static_cast<u32>(std::min<u64>(mapped, image.size_of_image - section.virtual_address));
  if (header.raw_size != 0 && header.raw_offset != 0) {
    section.raw_offset = align_down(header.raw_offset, kSectorSize);
    if (section.raw_offset + header.raw_size > file_bytes) return std::unexpected(Error::section_outside_file);
    section.raw_size = static_cast<u32>(std::min<u64>(header.raw_size, page_ceil(section.virtual_size)));
  }
  return section;
}

std::optional<Error> read_sections(Bytes head, u64 table, u32 count, u64 file_bytes, Headers& out) {
  if (count > kMaximumSections) return Error::too_many_sections;
  if (table + u64{count} * sizeof(SectionHeader) > kMaximumHeaderBytes) return Error::too_many_sections;
  u64 next = align_up(u64{out.size_of_headers}, out.section_alignment);
  out.sections.reserve(count);
  for (u32 i = 0; i < count; ++i) {
    const auto header = read_at<SectionHeader>(head, table + i * sizeof(SectionHeader));
    if (!header) return Error::truncated;
    // Linkers leave room between headers and the first section; only the later ones must be adjacent.
    if (i == 0 && header->virtual_address >= next && header->virtual_address % out.section_alignment == 0) {
      next = header->virtual_address;
    }
    const auto section = read_section(*header, out, file_bytes, next);
    if (!section) return section.error();
    out.sections.push_back(*section);
  }
  return std::nullopt;
}

}  // namespace

std::expected<Headers, Error> parse_headers(Bytes head, u64 file_bytes) {
  head = head.first(std::min<u64>(head.size(), std::min<u64>(file_bytes, kMaximumHeaderBytes)));
  const auto start = find_headers(head, file_bytes);
  if (!start) return std::unexpected(start.error());
  const auto file = read_at<FileHeader>(head, *start);
  if (!file) return std::unexpected(Error::truncated);
  const u64 optional_start = *start + sizeof(FileHeader);
  const auto optional = read_optional_header(head, optional_start, *file);
  if (!optional) return std::unexpected(optional.error());
  if ((file->characteristics & kFileExecutableImage) == 0) return std::unexpected(Error::not_executable);
  const bool narrow = file->machine == kMachineI386;
  const u64 fixed_bytes = narrow ? sizeof(OptionalHeader32) : sizeof(OptionalHeader64);

  if (const auto error = check_alignments(*optional)) return std::unexpected(*error);
  if (optional->image_base % (64 * 1024) != 0) return std::unexpected(Error::bad_image_base);
  if (optional->size_of_image == 0 || optional->size_of_image > kMaximumImageBytes) {
    return std::unexpected(Error::image_too_large);
  }
  if (optional->size_of_headers > file_bytes) return std::unexpected(Error::truncated);
  if (optional->size_of_headers == 0 || optional->size_of_headers >= optional->size_of_image) {
    return std::unexpected(Error::bad_optional_header);
  }
  Headers out;
  fill_values(out, *file, *optional);
  const u64 directory_room = (file->optional_header_size - fixed_bytes) / sizeof(DataDirectory);
  const u64 directories = std::min({u64{optional->directory_count}, directory_room, u64{out.directories.size()}});
  for (u64 i = 0; i < directories; ++i) {
    const auto entry = read_at<DataDirectory>(head, optional_start + fixed_bytes + i * sizeof(DataDirectory));
    if (!entry) return std::unexpected(Error::truncated);
    out.directories[i] = *entry;
  }
  const u64 table = optional_start + file->optional_header_size;
  if (const auto error = read_sections(head, table, file->section_count, file_bytes, out))
    return std::unexpected(*error);
  if (out.entry_point >= out.size_of_image) return std::unexpected(Error::bad_optional_header);
  return out;
}

std::expected<Image, Error> parse(Bytes file) {
  auto headers = parse_headers(file, file.size());
  if (!headers) return std::unexpected(headers.error());
  return Image(std::move(*headers), file);
}

std::optional<Error> check_program(const Headers& headers) {
  constexpr u16 kSubsystemGui = 2, kSubsystemConsole = 3;
  if (headers.machine != kMachineAmd64) return Error::image_32_bit;
  if (headers.is_dll()) return Error::is_dll;
  if (headers.entry_point == 0) return Error::no_entry_point;
  if (headers.subsystem != kSubsystemGui && headers.subsystem != kSubsystemConsole) return Error::wrong_subsystem;
  return std::nullopt;
}

}  // namespace vitrine::pe
