#include "io/directory_buffer.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace vitrine::io {
namespace {

using abi::FileInformationClass;

struct EntryLayout {
  u32 name_offset;
  u32 id_offset;  // 0: none
};
// nullopt: not a directory class.
std::optional<EntryLayout> layout_of(FileInformationClass information_class) {
  switch (information_class) {
    case FileInformationClass::directory: return EntryLayout{abi::kDirectoryNameOffset, 0};
    case FileInformationClass::full_directory: return EntryLayout{abi::kFullDirectoryNameOffset, 0};
    case FileInformationClass::both_directory: return EntryLayout{abi::kBothDirectoryNameOffset, 0};
    case FileInformationClass::names: return EntryLayout{abi::kNamesNameOffset, 0};
    case FileInformationClass::id_both_directory: return EntryLayout{abi::kIdBothDirectoryNameOffset, 96};
    case FileInformationClass::id_full_directory: return EntryLayout{abi::kIdFullDirectoryNameOffset, 72};
    case FileInformationClass::id_global_tx_directory: return EntryLayout{abi::kIdGlobalTxDirectoryNameOffset, 64};
    case FileInformationClass::id_extd_directory: return EntryLayout{abi::kIdExtdDirectoryNameOffset, 72};
    case FileInformationClass::id_extd_both_directory: return EntryLayout{abi::kIdExtdBothDirectoryNameOffset, 72};
    default: return std::nullopt;
  }
}

// The part before the name; what has no source here (short name, EA size, reparse tag) is zero.
void write_fixed_part(std::span<u8> out, FileInformationClass information_class, const EntryLayout& layout,
                      const DirectoryEntry& entry) {
  std::fill_n(out.begin(), layout.name_offset, u8{0});
  abi::FileDirectoryEntry fixed = entry.fixed;
  fixed.next_entry_offset = fixed.file_index = 0;
  fixed.file_name_length = static_cast<u32>(entry.name.size() * 2);
  if (information_class == FileInformationClass::names) {
    std::memcpy(out.data() + 8, &fixed.file_name_length, sizeof(u32));
    return;
  }
  std::memcpy(out.data(), &fixed, sizeof(fixed));
  if (layout.id_offset != 0) std::memcpy(out.data() + layout.id_offset, &entry.id, sizeof(u64));
}

}  // namespace

Status fill_directory_buffer(FileInformationClass information_class, bool single_entry, const NextEntry& next,
                             const std::function<void()>& consume, std::span<u8> out, u32* written) {
  const auto layout = layout_of(information_class);
  if (!layout) return Status::invalid_info_class;
  if (out.size() < layout->name_offset) return Status::info_length_mismatch;
  std::size_t at = 0, last = 0;
  bool any = false;
  while (const auto entry = next()) {
    const std::size_t start = any ? align_up(at, 8) : 0;
    const std::size_t name_bytes = entry->name.size() * 2, name_at = start + layout->name_offset;
    if (name_at + name_bytes > out.size()) {
      if (any) break;
      // NT: an entry that does not fit at all is returned cut, and counts as returned.
      write_fixed_part(out, information_class, *layout, *entry);
      const std::size_t fits = (out.size() - name_at) & ~std::size_t{1};
      std::memcpy(out.data() + name_at, entry->name.data(), fits);
      *written = static_cast<u32>(name_at + fits);
      consume();
      return Status::buffer_overflow;
    }
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(at), out.begin() + static_cast<std::ptrdiff_t>(start), u8{0});
    write_fixed_part(out.subspan(start), information_class, *layout, *entry);
    std::memcpy(out.data() + name_at, entry->name.data(), name_bytes);
    if (any) {
      const u32 step = static_cast<u32>(start - last);
      std::memcpy(out.data() + last, &step, sizeof(step));
    }
    any = true;
    last = start;
    at = name_at + name_bytes;
    consume();
    if (single_entry) break;
  }
  *written = static_cast<u32>(at);
  return any ? Status::success : Status::no_more_files;
}

}  // namespace vitrine::io
