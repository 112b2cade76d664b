#include "mm/region_tables.h"

#include <algorithm>

#include "mm/physical_memory.h"

namespace vitrine::mm {

Status RegionTables::use(u64 first, u64 count) {
  const u64 end = first + count;
  const u64 last_table = (end - 1) / ptes_per_table_;
  if (tables_.size() <= last_table) tables_.resize(last_table + 1);
  for (u64 page = first; page < end;) {
    Table& table = tables_[page / ptes_per_table_];
    const u64 next = std::min(end, (page / ptes_per_table_ + 1) * ptes_per_table_);
    if (table.used == 0) {
      if (const Status status = charge(table); !is_success(status)) {
        if (page > first) release(first, page - first);
        return status;
      }
    }
    table.used += static_cast<u32>(next - page);
    page = next;
  }
  return Status::success;
}

void RegionTables::release(u64 first, u64 count) {
  const u64 end = first + count;
  for (u64 page = first; page < end;) {
    Table& table = tables_[page / ptes_per_table_];
    const u64 next = std::min(end, (page / ptes_per_table_ + 1) * ptes_per_table_);
    VITRINE_CHECK(table.used >= next - page);
    table.used -= static_cast<u32>(next - page);
    if (table.used == 0) give_back(table);
    page = next;
  }
}

Status RegionTables::charge(Table& table) {
  const auto frame = memory_.allocate_system_page();
  if (!frame) return frame.error();
  table.frame = *frame;
  ++pages_;
  return Status::success;
}

void RegionTables::give_back(Table& table) {
  memory_.free_system_page(table.frame);
  --pages_;
}

}  // namespace vitrine::mm
