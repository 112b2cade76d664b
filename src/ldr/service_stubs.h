// Stubs for services that ntdll has none for: the kernel may be newer than the DLL. They go into a section of their own at the
// end of the image, and into its export table, so that imports and GetProcAddress find them like all others.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ldr/loader.h"
#include "mm/file_backing.h"
#include "pe/extend_exports.h"

namespace vitrine::ldr {

struct StubbedImage {
  pe::ExtendedImage image;
  std::vector<Stub> added;
};

// The services of `wanted` (Nt names) without a stub in `known` get the numbers behind the greatest known one, in the order of
// `wanted`, and a Zw twin. nullopt: nothing is missing, numbers have run out, or the image cannot be extended.
[[nodiscard]] std::optional<StubbedImage> with_service_stubs(const pe::Image& ntdll, u64 file_bytes, std::span<const Stub> known,
                                                             std::span<const std::string_view> wanted);

// The stubs of another DLL, by the NT path of its file. Errors: those of opening; invalid_image_format.
[[nodiscard]] Result<std::vector<Stub>> stubs_of(io::IoManager& io, std::u16string_view nt_path);

// A file with an extension laid over it. It keeps itself for as long as anybody has it retained. Read-only.
class ExtendedFile final : public mm::FileBacking {
 public:
  // Retained once, for the caller.
  [[nodiscard]] static ExtendedFile& create(mm::FileBacking& file, pe::ExtendedImage extension);
  [[nodiscard]] mm::FileIdentity identity() const override { return file_.identity(); }
  [[nodiscard]] u64 size() const override { return extension_.section_offset + extension_.section.size(); }
  [[nodiscard]] std::u16string name() const override { return file_.name(); }
  Status read(u64 offset, std::span<std::byte> into) override;
  Status write(u64 offset, std::span<const std::byte> from) override;
  Status extend(u64 bytes) override;
  void retain() override { ++references_; }
  void release() override;

 private:
  ExtendedFile(mm::FileBacking& file, pe::ExtendedImage extension);
  ~ExtendedFile() override;

  mm::FileBacking& file_;
  pe::ExtendedImage extension_;
  u32 references_ = 1;
};

}  // namespace vitrine::ldr
