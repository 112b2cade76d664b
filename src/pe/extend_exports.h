// extend_exports: an image with one more section, which holds code and an export table in which names for that code stand
// beside those that the image had. The kernel gives ntdll stubs for services this way when the DLL at hand is older than they.
// Pure: it reads an Image and returns bytes to lay over its file.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "pe/image.h"

namespace vitrine::pe {

struct NewExport {
  std::string_view name;
  u32 code_offset = 0;  // in `code`
};

struct ExtendedImage {
  std::vector<std::byte> headers;  // instead of the file's first bytes
  u64 section_offset = 0;          // in the file: at or behind its end, aligned as the header says
  std::vector<std::byte> section;
};

// `image` must see its headers and its export table in `image.file()`; the file itself has `file_bytes`. A name that the image
// exports already keeps its old meaning. nullopt: no export table, no room for one more section header, or the image would be
// too large; nothing is wrong with such an image, it just cannot be extended.
[[nodiscard]] std::optional<ExtendedImage> extend_exports(const Image& image, u64 file_bytes, std::span<const std::byte> code,
                                                          std::span<const NewExport> added);

}  // namespace vitrine::pe
