// Section: memory that can be mapped more than once. A Section is a counted reference to a Segment (NT: CONTROL_AREA,
// SEGMENT and SUBSECTIONs in one record), with the protection and size that its creator asked for. SectionObject is the
// executive object around one; mm itself needs no object manager.
//
// Owns: prototype PTEs, the frames behind them, the reference to the file. One Segment per file identity and kind, so
// that all sections of a file share frames. A Segment lives while a Section or a View refers to it. Refuses: handles,
// access rights (nt), file paths (io). NT: facts 8.8.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/intrusive_list.h"
#include "ex/pool.h"
#include "mm/file_backing.h"
#include "mm/memory_constants.h"
#include "mm/pte.h"
#include "ob/object_type.h"

namespace vitrine::mm {

class AddressSpace;
class MemoryManager;
struct Segment;
struct Vad;

enum class SectionKind : u8 { image, file, page_file };

// One run of pages with one source and one protection. Image: the headers and each PE section; others have one.
struct Subsection {
  u64 first_page = 0;  // index of its first prototype PTE
  u64 page_count = 0;
  u64 file_offset = 0;  // bytes
  u64 file_bytes = 0;   // what lies beyond, in the last page or in further ones, is zero
  Protection protection;
};

// NT: SECTION_INHERIT.
enum class Inherit : u8 { share = 1, unmap = 2 };

// One mapped range: the part of a segment that a Vad shows.
struct View {
  Segment* segment = nullptr;
  AddressSpace* space = nullptr;
  Vad* vad = nullptr;
  u64 first_page = 0;  // prototype index of the Vad's first page
  Protection maximum;  // what the section allows: protect may not go beyond
  Inherit inherit = Inherit::unmap;
  ListLink link;  // in segment->views, oldest first
};

struct Segment {
  // Prototype PTEs, made by chunks at the first touch; booked as one block of paged pool (NT: tag MmSt).
  static constexpr u64 kChunkPages = 512;

  u32 id = 0;
  SectionKind kind{};
  bool commits_all = false;        // page-file: all pages are committed (SEC_COMMIT), not one by one (SEC_RESERVE)
  FileBacking* backing = nullptr;  // retained; null for page-file
  FileIdentity identity;
  u64 page_count = 0;
  u64 byte_size = 0;      // file: of the largest section; image: size_of_image
  u64 commit_charge = 0;  // pages: page-file, and shared writable image pages
  Va image_base = 0;      // preferred
  SectionImageInformation image;
  std::vector<Subsection> subsections;
  std::vector<std::unique_ptr<Pte[]>> chunks;
  u32 section_count = 0;   // Sections that refer here
  u64 resident_pages = 0;  // prototype PTEs that are valid or in transition
  IntrusiveList<View, &View::link> views;
  ex::PoolBlock segment_block, control_block, prototype_block;

  [[nodiscard]] const Subsection* subsection_of(u64 page) const;
};

// A counted reference to a segment. Movable; the last one (with the last view) ends the segment: dirty file pages are
// written, frames freed, the file released.
class Section {
 public:
  Section() = default;
  Section(Section&& other) noexcept { *this = std::move(other); }
  Section& operator=(Section&& other) noexcept;
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
  ~Section() { reset(); }
  void reset();

  [[nodiscard]] bool is_image() const;
  [[nodiscard]] SectionKind kind() const;
  [[nodiscard]] u64 size() const { return size_; }              // bytes; image: size_of_image
  [[nodiscard]] u32 attributes() const { return attributes_; }  // SEC_*
  [[nodiscard]] Protection protection() const { return protection_; }
  [[nodiscard]] Segment* segment() const { return segment_; }
  [[nodiscard]] explicit operator bool() const { return segment_ != nullptr; }

  // NtQuerySection class 0 and 1. image_information's error: section_not_image.
  [[nodiscard]] SectionBasicInformation basic_information() const;
  [[nodiscard]] Result<SectionImageInformation> image_information() const;
  // NtExtendSection: grows a data-file section (and the file, when it is shorter) to at least `bytes`; returns the new
  // size. Errors: section_not_extended (image, page-file), section_too_big, those of the file.
  [[nodiscard]] Result<u64> extend(u64 bytes);

 private:
  friend class MemoryManager;
  MemoryManager* manager_ = nullptr;
  Segment* segment_ = nullptr;
  u64 size_ = 0;
  u32 attributes_ = 0;
  Protection protection_;
};

// The executive object. Make its type with `section_type_traits`.
struct SectionObject : ob::Object {
  explicit SectionObject(Section value) : section(std::move(value)) {}
  Section section;
};

inline constexpr u32 kSectionQuery = 1, kSectionMapWrite = 2, kSectionMapRead = 4, kSectionMapExecute = 8;
inline constexpr u32 kSectionExtendSize = 0x10, kSectionAllAccess = 0xF001F;
// `body_bytes` from the profile's section_object.
[[nodiscard]] ob::TypeTraits section_type_traits(u32 body_bytes);

// NtCreateSection's arguments, captured. `maximum_size` 0: the file's.
struct SectionRequest {
  FileBacking* file = nullptr;  // null: page-file backed
  u64 maximum_size = 0;
  u32 page_protection = 0;  // PAGE_*
  u32 attributes = 0;       // SEC_*
};

}  // namespace vitrine::mm
