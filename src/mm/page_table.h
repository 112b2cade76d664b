// PageTable: the x64 four-level page table of one address space, in guest RAM, where the processor walks it.
//
// Owns the table pages of the user half: made on demand (a frame and a page of commit each), returned when their last
// entry is cleared. Refuses: what an entry means (the fault path, VADs), frames that entries name. Nothing suspends.
//
// Edits that take rights away from a valid entry are collected and must be committed to the back end (`commit_edits`)
// before anything runs; the public operations of AddressSpace do that at their end.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "cpu/backend.h"
#include "mm/physical_memory.h"
#include "mm/pte.h"

namespace vitrine::mm {

class PageTable {
 public:
  explicit PageTable(PhysicalMemory& memory) : memory_(memory) {}
  ~PageTable();
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;

  // Makes the root. Error: no_memory, commitment_limit. To be called once, before anything else.
  Status create(cpu::Backend& backend);
  // Gives up the root. Precondition: no entry is left.
  void destroy();

  [[nodiscard]] Pfn root() const { return root_; }
  [[nodiscard]] cpu::Space* space() const { return space_.get(); }

  // The leaf entry of `va`; empty when there is no table.
  [[nodiscard]] Pte get(Va va) const;
  // Makes the tables that lead to `va` (they stay while empty until an entry in them is set and cleared, or `trim`
  // runs). Error: no_memory, commitment_limit.
  Status ensure(Va va);
  // Precondition: the leaf table exists (`ensure`, or the old entry is not empty), unless `pte` is empty.
  void set(Va va, Pte pte);
  // ensure and set.
  Status put(Va va, Pte pte);
  // Returns the tables of `va` if they are empty.
  void trim(Va va);
  // Where the entry of `va` is. Precondition: its table exists.
  [[nodiscard]] PteLocation location(Va va) const;

  // The first address >= `va` and < `end` whose entry is not empty; `end` when none. Skips missing tables.
  [[nodiscard]] Va next_used(Va va, Va end) const;
  // The kernel touched the page as a processor would: sets accessed (and dirty).
  void mark(Va va, u64 accessed_and_dirty);
  // Table pages now, root included.
  [[nodiscard]] u64 table_pages() const { return table_pages_; }

  void commit_edits(cpu::Backend& backend);
  [[nodiscard]] std::size_t pending_edits() const { return edits_.size(); }

 private:
  [[nodiscard]] u64* table(Pfn pfn) const;
  [[nodiscard]] bool find_leaf(Va va, Pfn& leaf) const;
  [[nodiscard]] Result<Pfn> make_table();
  void free_table(Pfn pfn);
  void free_empty_path(Va va);
  [[nodiscard]] Va next_used_at(Pfn table_pfn, u32 level, Va va, Va end) const;

  PhysicalMemory& memory_;
  Pfn root_{};
  std::unique_ptr<cpu::Space> space_;
  u64 table_pages_ = 0;
  std::vector<cpu::PteEdit> edits_;
  mutable u64 cached_region_ = ~0ull;  // va >> 21 of the leaf table last used
  mutable Pfn cached_leaf_{};
};

}  // namespace vitrine::mm
