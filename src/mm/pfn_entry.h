// The 24 bytes behind a frame that ever held bytes. Private to the PfnDatabase.
#pragma once

#include "mm/pfn_database.h"

namespace vitrine::mm {

struct PfnDatabase::Entry {
  // NT: OriginalPte. Bits 12-31 of the forms that occur here (demand zero, page file, subsection mark) are always 0, so
  // the flags live there.
  u64 original_and_flags = 0;
  u64 location_and_references = 0;  // PteLocation in the low 48 bits, reference count above
  u32 flink = ~0u;                  // on a list: next; active page table: used entries
  u32 blink = ~0u;                  // on a list: previous; active: share count

  static constexpr u64 kOwned = 1ull << 12;    // in a state of this database (not never-used, not part of a run)
  static constexpr u64 kTouched = 1ull << 13;  // has held bytes
  static constexpr u64 kModified = 1ull << 14;
  static constexpr u64 kPrototype = 1ull << 15;
  static constexpr u64 kDeleted = 1ull << 16;  // freed while referenced
  static constexpr u32 kLocationShift = 17;    // 3 bits
  static constexpr u32 kUseShift = 20;         // 4 bits
  static constexpr u64 kFlagsMask = 0xFFFF'F000ull;
  static constexpr u64 kLocationMask = (1ull << 48) - 1;

  [[nodiscard]] bool has(u64 flag) const { return (original_and_flags & flag) != 0; }
  void set(u64 flags, bool on) { original_and_flags = on ? original_and_flags | flags : original_and_flags & ~flags; }
  [[nodiscard]] bool is_owned() const { return has(kOwned); }
  [[nodiscard]] PageLocation location() const {
    return static_cast<PageLocation>((original_and_flags >> kLocationShift) & 7);
  }
  void set_location(PageLocation where) {
    original_and_flags = (original_and_flags & ~(7ull << kLocationShift)) | u64{static_cast<u8>(where)}
                                                                                << kLocationShift;
  }
  [[nodiscard]] FrameUse use() const { return static_cast<FrameUse>((original_and_flags >> kUseShift) & 15); }
  void set_use(FrameUse use) {
    original_and_flags = (original_and_flags & ~(15ull << kUseShift)) | u64{static_cast<u8>(use)} << kUseShift;
  }
  [[nodiscard]] u32 references() const { return static_cast<u32>(location_and_references >> 48); }
  void set_references(u32 count) {
    VITRINE_CHECK(count <= 0xFFFF);
    location_and_references = (location_and_references & kLocationMask) | u64{count} << 48;
  }
};

}  // namespace vitrine::mm
