// Directory entries as the information classes of NtQueryDirectoryFile lay them out, one after the other in a buffer.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "abi/file_info.h"
#include "io/device.h"

namespace vitrine::io {

// What an entry tells; the parts that have no field in a class are left out of it.
struct DirectoryEntry {
  std::u16string_view name;
  abi::FileDirectoryEntry fixed{};  // next_entry_offset and file_name_length are filled in here
  u64 id = 0;
};

// Fills `out` with what `next` gives (nullopt: no more), which `consume` then takes off the caller's list. Status: success;
// buffer_overflow: not even the first entry fits, it is cut; no_more_files: there was none; info_length_mismatch,
// invalid_info_class.
using NextEntry = std::function<std::optional<DirectoryEntry>()>;
Status fill_directory_buffer(abi::FileInformationClass information_class, bool single_entry, const NextEntry& next,
                             const std::function<void()>& consume, std::span<u8> out, u32* written);

}  // namespace vitrine::io
