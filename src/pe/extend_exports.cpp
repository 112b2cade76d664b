#include "pe/extend_exports.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

namespace vitrine::pe {
namespace {

constexpr u32 kCodeAlignment = 16;
constexpr std::array<char, 8> kSectionName{'.', 'v', 'i', 't', 'r', 'i', 'n', 'e'};

u64 align(u64 value, u64 to) { return (value + to - 1) / to * to; }

template <typename T>
T load(std::span<const std::byte> bytes, u64 offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

template <typename T>
void store(std::span<std::byte> bytes, u64 offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

// The section under construction; `base` is its RVA.
struct Builder {
  u32 base;
  std::vector<std::byte> bytes;

  u32 here() const { return base + static_cast<u32>(bytes.size()); }
  void align_to(u32 to) { bytes.resize(align(bytes.size(), to)); }
  template <typename T>
  void append(const T& value) {
    bytes.resize(bytes.size() + sizeof(T));
    store(std::span(bytes), bytes.size() - sizeof(T), value);
  }
  u32 append_text(std::string_view text) {
    const u32 at = here();
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    bytes.insert(bytes.end(), data, data + text.size());
    bytes.push_back(std::byte{0});
    return at;
  }
};

struct Name {
  std::string text;
  u32 rva;       // of the text; 0: not laid down yet
  u16 function;  // index
};

// What the new table holds. Functions keep their indices, so ordinals do not change.
struct Table {
  ExportDirectory directory{};
  std::vector<u32> functions;
  std::vector<std::string> forwarders;  // for each function; empty: none
  std::vector<Name> names;
};

std::optional<Table> read_table(const Image& image) {
  const DataDirectory& where = image.headers().directory(Directory::exports);
  const auto bytes = image.bytes_at(where.rva, sizeof(ExportDirectory));
  if (where.rva == 0 || bytes.empty()) return std::nullopt;
  Table table{.directory = load<ExportDirectory>(bytes, 0)};
  const ExportDirectory& d = table.directory;
  if (d.function_count > std::numeric_limits<u16>::max() || d.name_count > std::numeric_limits<u16>::max()) return std::nullopt;
  const auto functions = image.bytes_at(d.functions, d.function_count * 4);
  const auto names = image.bytes_at(d.names, d.name_count * 4);
  const auto ordinals = image.bytes_at(d.name_ordinals, d.name_count * 2);
  if (functions.size() != d.function_count * 4 || names.size() != d.name_count * 4) return std::nullopt;
  if (ordinals.size() != d.name_count * 2) return std::nullopt;
  for (u32 i = 0; i < d.function_count; ++i) {
    const u32 rva = load<u32>(functions, i * 4);
    table.functions.push_back(rva);
    // The text of a forwarder must lie inside the directory's range, which moves.
    const bool forwarded = rva >= where.rva && rva - where.rva < where.size;
    table.forwarders.emplace_back(forwarded ? image.string_at(rva) : std::string_view{});
  }
  for (u32 i = 0; i < d.name_count; ++i) {
    const u32 rva = load<u32>(names, i * 4);
    table.names.push_back({std::string(image.string_at(rva)), rva, load<u16>(ordinals, i * 2)});
  }
  return table;
}

bool add_names(Table& table, u32 code_rva, std::span<const NewExport> added) {
  for (const NewExport& e : added) {
    const auto same = [&](const Name& name) { return name.text == e.name; };
    if (std::ranges::any_of(table.names, same)) continue;
    if (table.functions.size() >= std::numeric_limits<u16>::max()) return false;
    table.names.push_back({std::string(e.name), 0, static_cast<u16>(table.functions.size())});
    table.functions.push_back(code_rva + e.code_offset);
    table.forwarders.emplace_back();
  }
  std::ranges::stable_sort(table.names, {}, &Name::text);  // the loader searches by halves
  return true;
}

// Returns the directory's place and size.
DataDirectory lay_down(Builder& to, Table& table, std::string_view module) {
  to.align_to(4);
  const DataDirectory where{to.here(), 0};
  const u64 at = to.bytes.size();
  to.append(ExportDirectory{});
  ExportDirectory& d = table.directory;
  d.function_count = static_cast<u32>(table.functions.size());
  d.name_count = static_cast<u32>(table.names.size());
  d.functions = to.here();
  const u64 functions_at = to.bytes.size();
  for (const u32 rva : table.functions) to.append(rva);
  d.names = to.here();
  const u64 names_at = to.bytes.size();
  to.bytes.resize(to.bytes.size() + table.names.size() * 4);
  d.name_ordinals = to.here();
  for (const Name& name : table.names) to.append(name.function);
  d.name = to.append_text(module);
  for (std::size_t i = 0; i < table.names.size(); ++i) {
    Name& name = table.names[i];
    if (name.rva == 0) name.rva = to.append_text(name.text);
    store(std::span(to.bytes), names_at + i * 4, name.rva);
  }
  for (std::size_t i = 0; i < table.functions.size(); ++i) {
    if (table.forwarders[i].empty()) continue;
    const u32 rva = to.append_text(table.forwarders[i]);
    store(std::span(to.bytes), functions_at + i * 4, rva);
  }
  store(std::span(to.bytes), at, d);
  return {where.rva, to.here() - where.rva};
}

}  // namespace

std::optional<ExtendedImage> extend_exports(const Image& image, u64 file_bytes, std::span<const std::byte> code,
                                            std::span<const NewExport> added) {
  const Headers& h = image.headers();
  auto table = read_table(image);
  if (!table || h.machine != kMachineAmd64 || image.file().size() < h.size_of_headers) return std::nullopt;
  ExtendedImage result;
  result.headers.assign(image.file().begin(), image.file().begin() + h.size_of_headers);
  const std::span<std::byte> head(result.headers);
  const u64 file_header = load<u32>(head, kDosNewHeaderOffset) + u64{4};
  auto file = load<FileHeader>(head, file_header);
  const u64 optional_header = file_header + sizeof(FileHeader);
  const u64 new_entry = optional_header + file.optional_header_size + file.section_count * u64{sizeof(SectionHeader)};
  if (new_entry + sizeof(SectionHeader) > h.size_of_headers || file.section_count >= kMaximumSections) return std::nullopt;
  auto optional = load<OptionalHeader64>(head, optional_header);
  if (optional.directory_count == 0) return std::nullopt;

  const u32 rva = static_cast<u32>(align(h.size_of_image, h.section_alignment));
  Builder section{rva, {code.begin(), code.end()}};
  section.align_to(kCodeAlignment);
  if (!add_names(*table, rva, added)) return std::nullopt;
  const std::string module(image.string_at(table->directory.name));
  const DataDirectory exports = lay_down(section, *table, module);
  const u32 used = static_cast<u32>(section.bytes.size());
  section.align_to(h.file_alignment);
  result.section = std::move(section.bytes);
  result.section_offset = align(file_bytes, h.file_alignment);
  const u64 end = rva + align(used, h.section_alignment);
  if (end > kMaximumImageBytes || result.section_offset + result.section.size() > std::numeric_limits<u32>::max()) return std::nullopt;

  SectionHeader entry{};
  std::ranges::copy(kSectionName, entry.name);
  entry.virtual_size = used;
  entry.virtual_address = rva;
  entry.raw_size = static_cast<u32>(result.section.size());
  entry.raw_offset = static_cast<u32>(result.section_offset);
  entry.characteristics = kSectionCode | kSectionExecute | kSectionRead;
  store(head, new_entry, entry);
  ++file.section_count;
  store(head, file_header, file);
  optional.size_of_image = static_cast<u32>(end);
  store(head, optional_header, optional);
  store(head, optional_header + sizeof optional, exports);  // the first directory
  return result;
}

}  // namespace vitrine::pe
