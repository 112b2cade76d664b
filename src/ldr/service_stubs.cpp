#include "ldr/service_stubs.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "ldr/shared_data.h"

namespace vitrine::ldr {
namespace {

// mov r10,rcx; mov eax,number; syscall; ret; padded to 16.
constexpr std::array<u8, 16> kStub{0x4C, 0x8B, 0xD1, 0xB8, 0, 0, 0, 0, 0x0F, 0x05, 0xC3, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC};
constexpr u64 kNumberOffset = 4;

bool has_stub(std::span<const Stub> known, std::string_view name) { return std::ranges::find(known, name, &Stub::name) != known.end(); }

// Copies what `from`, which begins at `start` in the file, has of [offset, offset + into.size()).
void lay_over(std::span<const std::byte> from, u64 start, u64 offset, std::span<std::byte> into) {
  const u64 begin = std::max(start, offset);
  const u64 end = std::min(start + from.size(), offset + into.size());
  if (begin < end) std::memcpy(into.data() + (begin - offset), from.data() + (begin - start), end - begin);
}

}  // namespace

std::optional<StubbedImage> with_service_stubs(const pe::Image& ntdll, u64 file_bytes, std::span<const Stub> known,
                                               std::span<const std::string_view> wanted) {
  u32 number = 0;
  for (const Stub& stub : known) number = stub.number < kUnixCallNumber ? std::max(number, stub.number + 1) : number;
  std::vector<std::byte> code;
  std::vector<Stub> stubs;
  std::vector<std::string> zw_names;
  for (const std::string_view name : wanted) {
    if (!name.starts_with("Nt") || has_stub(known, name)) continue;
    if (number >= kUnixCallNumber) return std::nullopt;
    const u64 at = code.size();
    const auto bytes = std::as_bytes(std::span(kStub));
    code.insert(code.end(), bytes.begin(), bytes.end());
    std::memcpy(code.data() + at + kNumberOffset, &number, sizeof number);
    zw_names.push_back("Zw" + std::string(name.substr(2)));
    stubs.push_back({number++, std::string(name)});
  }
  if (stubs.empty()) return std::nullopt;
  std::vector<pe::NewExport> added;
  for (std::size_t i = 0; i < stubs.size(); ++i) {
    const u32 at = static_cast<u32>(i * kStub.size());
    added.push_back({stubs[i].name, at});
    added.push_back({zw_names[i], at});
  }
  auto image = pe::extend_exports(ntdll, file_bytes, code, added);
  if (!image) return std::nullopt;
  return StubbedImage{std::move(*image), std::move(stubs)};
}

ExtendedFile::ExtendedFile(mm::FileBacking& file, pe::ExtendedImage extension) : file_(file), extension_(std::move(extension)) {
  file_.retain();
}

ExtendedFile::~ExtendedFile() { file_.release(); }

ExtendedFile& ExtendedFile::create(mm::FileBacking& file, pe::ExtendedImage extension) {
  return *new ExtendedFile(file, std::move(extension));
}

void ExtendedFile::release() {
  if (--references_ == 0) delete this;
}

Status ExtendedFile::read(u64 offset, std::span<std::byte> into) {
  VITRINE_TRY(file_.read(offset, into));
  lay_over(extension_.headers, 0, offset, into);
  lay_over(extension_.section, extension_.section_offset, offset, into);
  return Status::success;
}

Status ExtendedFile::write(u64, std::span<const std::byte>) { return Status::access_denied; }
Status ExtendedFile::extend(u64) { return Status::access_denied; }

}  // namespace vitrine::ldr
