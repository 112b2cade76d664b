// links: pe
// Any bytes are parsed as a PE file, and every query is asked of what comes out: no input may crash, hang, read outside the span,
// or yield an Image that breaks its invariants.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "pe/image.h"

namespace {

using vitrine::u32;
using vitrine::u64;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_invariants(const vitrine::pe::Headers& headers, u64 file_bytes) {
  u64 end = 0;
  require(headers.sections.size() <= vitrine::pe::kMaximumSections);
  for (const vitrine::pe::Section& section : headers.sections) {
    require(section.virtual_address % 4096 == 0);
    require(section.virtual_address >= end);
    end = u64{section.virtual_address} + section.mapped_size;
    require(end <= headers.size_of_image);
    require(section.raw_size <= section.mapped_size);
    require(section.raw_offset + section.raw_size <= file_bytes);
    require(section.name.back() == '\0');
  }
  require(headers.size_of_headers <= file_bytes);
}

void ask_everything(const vitrine::pe::Image& image) {
  const auto inside = [&](const char* data, std::size_t size) {
    const auto* begin = reinterpret_cast<const char*>(image.file().data());
    require(size == 0 || (data >= begin && data + size <= begin + image.file().size()));
  };
  const auto exports = image.exports();
  require(exports.size() <= vitrine::pe::kMaximumExports);
  std::size_t looked_up = 0;
  for (const auto& entry : exports) {
    inside(entry.name.data(), entry.name.size());
    inside(entry.forwarder.data(), entry.forwarder.size());
    if (++looked_up <= 64) (void)image.find_export(entry.name);
  }
  (void)image.find_export("NtClose");
  for (const auto name : image.imported_modules()) inside(name.data(), name.size());
  for (const u32 rva : {0u, 1u, 0xFFFu, 0x1000u, image.headers().entry_point, image.headers().size_of_image - 1, 0xFFFFFFFFu}) {
    (void)image.section_of(rva);
    const auto name = image.string_at(rva);
    inside(name.data(), name.size());
    for (const u32 size : {0u, 1u, 4096u, 0xFFFFFFFFu}) {
      const auto bytes = image.bytes_at(rva, size);
      require(bytes.empty() || bytes.size() == size);
      inside(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
  }
  (void)image.section_named(".text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  const auto image = vitrine::pe::parse(file);
  const auto head = file.first(std::min<std::size_t>(size, vitrine::pe::kMaximumHeaderBytes));
  const auto headers = vitrine::pe::parse_headers(head, size);
  require(image.has_value() == headers.has_value());
  if (!image) {
    require(!vitrine::pe::describe(image.error()).empty());
    (void)vitrine::pe::to_status(image.error());
    return 0;
  }
  check_invariants(image->headers(), size);
  (void)vitrine::pe::check_program(image->headers());
  ask_everything(*image);
  return 0;
}
