// Look-ups in a parsed image. Each count and offset of the file is checked where it is used.
#include "pe/image.h"

#include <algorithm>
#include <cstring>

namespace vitrine::pe {
namespace {

template <typename T>
T load(std::span<const std::byte> bytes, u64 index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

struct Image::ExportTable {
  ExportDirectory directory{};
  DataDirectory range;                   // forwarders point into it
  std::span<const std::byte> functions;  // u32 each
  std::span<const std::byte> names;      // u32 each
  std::span<const std::byte> ordinals;   // u16 each
};

const Section* Image::section_of(u32 rva) const {
  const auto& sections = headers_.sections;
  auto after = std::ranges::upper_bound(sections, rva, {}, &Section::virtual_address);
  if (after == sections.begin()) return nullptr;
  const Section& section = *std::prev(after);
  return rva - section.virtual_address < section.mapped_size ? &section : nullptr;
}

const Section* Image::section_named(std::string_view name) const {
  for (const Section& section : headers_.sections) {
    if (name == section.name.data()) return &section;
  }
  return nullptr;
}

std::span<const std::byte> Image::bytes_at(u32 rva, u32 size) const {
  u64 offset = rva;
  u64 room = rva < headers_.size_of_headers ? headers_.size_of_headers - rva : 0;
  if (const Section* section = section_of(rva)) {
    const u32 inside = rva - section->virtual_address;
    room = inside < section->raw_size ? section->raw_size - inside : 0;
    offset = section->raw_offset + inside;
  }
  if (size > room || offset > file_.size() || file_.size() - offset < size) return {};
  return file_.subspan(offset, size);
}

std::string_view Image::string_at(u32 rva) const {
  // The longest run of file bytes behind `rva`, at most the limit.
  const Section* section = section_of(rva);
  u64 room = 0;
  if (section != nullptr) {
    const u32 inside = rva - section->virtual_address;
    room = inside < section->raw_size ? section->raw_size - inside : 0;
  } else if (rva < headers_.size_of_headers) {
    room = headers_.size_of_headers - rva;
  }
  const auto bytes = bytes_at(rva, static_cast<u32>(std::min<u64>(room, kMaximumNameBytes)));
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  const auto* end = static_cast<const char*>(bytes.empty() ? nullptr : std::memchr(text, 0, bytes.size()));
  return end == nullptr ? std::string_view{} : std::string_view(text, end);
}

std::optional<Image::ExportTable> Image::export_table() const {
  const DataDirectory& where = headers_.directory(Directory::exports);
  const auto bytes = bytes_at(where.rva, sizeof(ExportDirectory));
  if (where.rva == 0 || bytes.empty()) return std::nullopt;
  ExportTable table;
  table.directory = load<ExportDirectory>(bytes, 0);
  table.range = where;
  const ExportDirectory& d = table.directory;
  if (d.function_count > kMaximumExports || d.name_count > kMaximumExports) return std::nullopt;
  table.functions = bytes_at(d.functions, d.function_count * 4);
  table.names = bytes_at(d.names, d.name_count * 4);
  table.ordinals = bytes_at(d.name_ordinals, d.name_count * 2);
  if (table.functions.size() != d.function_count * 4) return std::nullopt;
  if (table.names.size() != d.name_count * 4 || table.ordinals.size() != d.name_count * 2) return std::nullopt;
  return table;
}

std::optional<Export> Image::export_at(const ExportTable& table, u32 name_index) const {
  const u16 function = load<u16>(table.ordinals, name_index);
  if (function >= table.directory.function_count) return std::nullopt;
  const u32 rva = load<u32>(table.functions, function);
  if (rva == 0 || rva >= headers_.size_of_image) return std::nullopt;
  Export found;
  found.name = string_at(load<u32>(table.names, name_index));
  found.ordinal = table.directory.ordinal_base + function;
  // An address inside the export directory is no code but the name of another module's export.
  if (rva >= table.range.rva && rva - table.range.rva < table.range.size) {
    found.forwarder = string_at(rva);
  } else {
    found.rva = rva;
  }
  return found;
}

std::vector<Export> Image::exports() const {
  std::vector<Export> all;
  const auto table = export_table();
  if (!table) return all;
  for (u32 i = 0; i < table->directory.name_count; ++i) {
    if (const auto entry = export_at(*table, i); entry && !entry->name.empty()) all.push_back(*entry);
  }
  return all;
}

std::optional<Export> Image::find_export(std::string_view name) const {
  const auto table = export_table();
  if (!table || name.empty()) return std::nullopt;
  u32 low = 0;
  u32 high = table->directory.name_count;
  while (low < high) {
    const u32 middle = low + (high - low) / 2;
    const std::string_view here = string_at(load<u32>(table->names, middle));
    if (here == name) return export_at(*table, middle);
    if (here < name)
      low = middle + 1;
    else
      high = middle;
  }
  return std::nullopt;
}

std::vector<std::string_view> Image::imported_modules() const {
  std::vector<std::string_view> names;
  const DataDirectory& where = headers_.directory(Directory::imports);
  if (where.rva == 0) return names;
  for (u32 i = 0; i < kMaximumImports; ++i) {
    const u64 rva = u64{where.rva} + i * sizeof(ImportDescriptor);
    if (rva >= headers_.size_of_image) break;
    const auto bytes = bytes_at(static_cast<u32>(rva), sizeof(ImportDescriptor));
    if (bytes.empty()) break;
    const auto descriptor = load<ImportDescriptor>(bytes, 0);
    if (descriptor.name == 0) break;
    if (const std::string_view name = string_at(descriptor.name); !name.empty()) names.push_back(name);
  }
  return names;
}

}  // namespace vitrine::pe
