#include "lab/ledger.h"

#include <map>

#include "base/check.h"
#include "mm/books.h"
#include "vitrine/machine.h"

namespace vitrine::lab {
namespace {

// Handle tables grow only [ex/handle_table.h]: what those that outlive an experiment have grown by is no loss. With it
// goes what maps it.
struct Tables {
  u64 pages = 0, blocks = 0, bytes = 0, mapping = 0;
};

// Pages of paged pool that hold nothing but these tables. A small part (the top array of a table of three levels)
// shares its page with others and counts once they have gone.
class TablePages {
 public:
  explicit TablePages(const ex::Pool& pool) : pool_(pool) {}
  void add(ex::PoolBlock block) {
    const u64 bytes = pool_.charged_bytes(block);
    if (bytes % kPageSize == 0) {
      whole_ += bytes / kPageSize;
      return;
    }
    Shared& page = shared_[page_floor(pool_.address(block))];
    page.in_use = pool_.page_bytes(block);
    page.ours += bytes;
  }
  [[nodiscard]] u64 count() const {
    u64 pages = whole_;
    for (const auto& [address, page] : shared_) pages += page.ours == page.in_use ? 1 : 0;
    return pages;
  }

 private:
  struct Shared {
    u64 in_use = 0, ours = 0;  // bytes
  };
  const ex::Pool& pool_;
  u64 whole_ = 0;
  std::map<Va, Shared> shared_;
};

Tables lasting_tables(const Machine& machine) {
  Tables tables{.mapping = machine.physical.pool_table_pages()};
  TablePages pages(machine.pool);
  for (const ex::HandleTable* table : {&machine.processes->ids(), &machine.csrss->process().handles->table()}) {
    for (const ex::PoolBlock block : table->blocks()) pages.add(block);
    tables.blocks += table->blocks().size();
    tables.bytes += table->booked_bytes();
  }
  tables.pages = pages.count();
  return tables;
}

void add_memory(Ledger& ledger, const mm::HeldBooks& held, const Tables& tables) {
  const auto add = [&](const char* name, u64 value) { ledger.push_back({name, static_cast<i64>(value)}); };
  add("committed pages", held.committed_pages - tables.pages - tables.mapping);
  add("resident available pages", static_cast<u64>(held.resident_available_pages) + tables.mapping);
  add("available pages", held.available_pages + tables.mapping);
  add("system pages", held.system_pages - tables.mapping);
  add("modified pages", held.modified_pages);
  add("private pages", held.private_pages);
  add("shared pages", held.shared_pages);
  add("page-table pages", held.page_table_pages);
  add("kernel stack pages", held.kernel_stack_pages);
  add("pages of TEBs and PEBs", held.shadow_pages);
  add("pool pages", held.pool_pages);
  add("system PTEs", held.system_ptes);
  add("page tables of system PTEs", held.system_table_pages);
  add("kernel stacks", held.kernel_stacks);
  add("VADs", held.vads);
  add("views", held.views);
  add("segments", held.segments);
  add("address spaces", held.spaces);
}

}  // namespace

u64 lasting_table_pages(const Machine& machine) { return lasting_tables(machine).pages; }

Ledger take_ledger(const Machine& machine) {
  Ledger ledger;
  const auto add = [&](std::string name, u64 value) { ledger.push_back({std::move(name), static_cast<i64>(value)}); };
  const Tables tables = lasting_tables(machine);
  add_memory(ledger, machine.memory.books().held, tables);
  for (const ex::PoolType type : ex::kPoolTypes) {
    const bool paged = type == ex::PoolType::paged;  // as handle tables are
    const std::string name(ex::pool_type_name(type));
    add("blocks of " + name, machine.pool.usage(type).blocks - (paged ? tables.blocks : 0));
    add("bytes of " + name, machine.pool.usage(type).bytes - (paged ? tables.bytes : 0));
  }
  add("ids", machine.processes->ids().count());
  add("threads", machine.processes->counts().threads);
  add("CSRSS's threads", machine.csrss->threads());
  add("CSRSS's handles", machine.csrss->handle_count());
  add("CSRSS's heap pages", machine.csrss->heap_committed_pages());
  add("messages for CSRSS", machine.csrss->queued_deaths());
  return ledger;
}

std::vector<LedgerDifference> compare(const Ledger& before, const Ledger& after) {
  VITRINE_CHECK(before.size() == after.size());
  std::vector<LedgerDifference> differences;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].value != after[i].value) differences.push_back({before[i].name, before[i].value, after[i].value});
  }
  return differences;
}

}  // namespace vitrine::lab
