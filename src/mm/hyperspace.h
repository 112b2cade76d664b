// Hyperspace: the region of kernel address space of which each process has its own. It holds the process's working-set
// list, an entry (WSLE) for each valid page of its user half, and the page of its VAD bitmap. Pages are taken as the
// list grows, and the page tables that map them.
//
// Owns those frames and their charges. Refuses: which pages are in the working set (AddressSpace), trimming; the
// entries have no bytes, so what they say is read from the page table. NT: MmCreateProcessAddressSpace,
// MiAddWorkingSetPage [facts 5.4 3B, 8.9, 8.12; GC "MMWSL" for the list's addresses].
#pragma once

#include <vector>

#include "mm/region_tables.h"
#include "sim/profile.h"

namespace vitrine::mm {

class Hyperspace {
 public:
  // `pages_of_all` counts the frames of every process's hyperspace. All outlive it.
  Hyperspace(PhysicalMemory& memory, const sim::Profile& profile, u64& pages_of_all);
  ~Hyperspace();
  Hyperspace(const Hyperspace&) = delete;
  Hyperspace& operator=(const Hyperspace&) = delete;

  // The tables above the region's, the VAD bitmap, the list's first page. Once. Error: no_memory.
  [[nodiscard]] Status create();

  // Afterwards `add_entry` cannot fail. Error: no_memory (no commit, resident memory, frame or addresses for a page of
  // the list).
  [[nodiscard]] Status make_room() { return entries_ < capacity_ ? Status::success : grow(); }
  void add_entry() {
    VITRINE_CHECK(entries_ < capacity_);
    if (++entries_ > peak_entries_) peak_entries_ = entries_;
  }
  void remove_entry() {
    VITRINE_CHECK(entries_ > 0);
    --entries_;
  }

  [[nodiscard]] u64 entries() const { return entries_; }
  [[nodiscard]] u64 peak_entries() const { return peak_entries_; }
  // Pages of the list; it shrinks only when its process ends, as nothing trims.
  [[nodiscard]] u64 list_pages() const { return list_pages_; }
  // Of the list's first page [NT: EPROCESS.WorkingSetPage].
  [[nodiscard]] Pfn list_frame() const;
  // Frames in all: list, bitmap and tables.
  [[nodiscard]] u64 pages() const { return frames_.size() + tables_.pages(); }

 private:
  [[nodiscard]] Status grow();
  [[nodiscard]] Status take_page(u64 region_page);
  [[nodiscard]] Status take_frame();

  PhysicalMemory& memory_;
  const sim::Profile& profile_;
  u64& pages_of_all_;
  u64 list_start_;  // page of the region
  u64 entries_ = 0, peak_entries_ = 0, capacity_ = 0;
  u64 list_pages_ = 0;
  // First those of the tables above the region's, then those of its pages: the VAD bitmap's, before the list, and the
  // list's.
  std::vector<FrameRun> frames_;
  RegionTables tables_;
};

}  // namespace vitrine::mm
