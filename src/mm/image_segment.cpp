// Image sections: one subsection for the headers and one per PE section. NT: MiCreateImageFileMap.
#include <algorithm>
#include <vector>

#include "mm/memory_manager.h"
#include "pe/image.h"

namespace vitrine::mm {
namespace {

// NT: the page protection that a PE section's characteristics ask for [facts 8.8: copy-on-write for writable].
Protection section_protection(u32 characteristics) {
  const bool execute = (characteristics & pe::kSectionExecute) != 0;
  const bool read = (characteristics & pe::kSectionRead) != 0;
  const bool shared = (characteristics & pe::kSectionShared) != 0;
  if ((characteristics & pe::kSectionWrite) != 0) {
    if (shared) return {execute ? Protection::kExecuteReadWrite : Protection::kReadWrite};
    return {execute ? Protection::kExecuteWriteCopy : Protection::kWriteCopy};
  }
  if (execute) return {read ? Protection::kExecuteRead : Protection::kExecute};
  return {read ? Protection::kRead : Protection::kNoAccess};
}

SectionImageInformation image_information(const pe::Headers& headers, u64 file_bytes) {
  SectionImageInformation info;
  info.transfer_address = headers.image_base + headers.entry_point;
  info.maximum_stack_size = headers.stack_reserve;
  info.committed_stack_size = headers.stack_commit;
  info.subsystem_type = headers.subsystem;
  info.subsystem_minor = headers.subsystem_minor;
  info.subsystem_major = headers.subsystem_major;
  info.os_major = headers.os_major;
  info.os_minor = headers.os_minor;
  info.image_characteristics = headers.characteristics;
  info.dll_characteristics = headers.dll_characteristics;
  info.machine = headers.machine;
  info.loader_flags = headers.loader_flags;
  info.image_file_size = static_cast<u32>(std::min<u64>(file_bytes, ~0u));
  info.checksum = headers.checksum;
  info.contains_code = std::ranges::any_of(headers.sections, [](const pe::Section& section) {
    return (section.characteristics & (pe::kSectionExecute | pe::kSectionCode)) != 0;
  });
  return info;
}

std::vector<Subsection> image_subsections(const pe::Headers& headers) {
  std::vector<Subsection> all;
  all.reserve(headers.sections.size() + 1);
  const u64 header_end = headers.sections.empty() ? headers.size_of_image : headers.sections[0].virtual_address;
  all.push_back({0, header_end >> kPageShift, 0, headers.size_of_headers, {Protection::kRead}});
  for (const pe::Section& section : headers.sections) {
    all.push_back({section.virtual_address >> kPageShift, bytes_to_pages(section.mapped_size), section.raw_offset,
                   section.raw_size, section_protection(section.characteristics)});
  }
  return all;
}

}  // namespace

Result<Segment*> MemoryManager::make_image_segment(FileBacking& file) {
  const u64 file_bytes = file.size();
  if (file_bytes == 0) return Failure(Status::mapped_file_size_zero);
  std::vector<std::byte> head(std::min<u64>(file_bytes, pe::kMaximumHeaderBytes));
  if (const Status status = file.read(0, head); !is_success(status)) return Failure(status);
  const auto headers = pe::parse_headers(head, file_bytes);
  if (!headers) return Failure(pe::to_status(headers.error()));

  auto subsections = image_subsections(*headers);
  // Shared writable pages belong to everybody: the segment pays for them. Copy-on-write pages are paid for by each
  // view.
  u64 charge = 0;
  for (const Subsection& s : subsections) {
    if (s.protection.allows_write() && !s.protection.is_write_copy()) charge += s.page_count;
  }
  if (const Status status = wiring_.memory.charge_commit(charge); !is_success(status)) return Failure(status);
  const auto segment = new_segment(SectionKind::image, &file, headers->size_of_image >> kPageShift,
                                   static_cast<u32>(subsections.size()));
  if (!segment) {
    wiring_.memory.return_commit(charge);
    return segment;
  }
  (*segment)->commit_charge = charge;
  (*segment)->image_base = headers->image_base;
  (*segment)->image = image_information(*headers, file_bytes);
  (*segment)->subsections = std::move(subsections);
  return segment;
}

}  // namespace vitrine::mm
