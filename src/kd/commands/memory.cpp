// !vad, !pte, !pool, !vm: the memory manager's books.
#include "ex/pool_regions.h"
#include "kd/command.h"
#include "mm/section.h"

namespace vitrine::kd {
namespace {

std::expected<const ps::Process*, std::string> process_with_memory(const Target& target, std::string_view text) {
  auto process = target.process(text);
  if (process && (*process)->space == nullptr)
    return std::unexpected(fmt::format("process {:#x} has no user memory", (*process)->id));
  return process;
}

std::string what_is(const mm::Pte pte, const mm::Vad* vad) {
  if (pte.is_valid()) {
    return fmt::format("valid, frame {:#x}, PAGE_{:#x}{}{}", pte.pfn().value, mm::protection_to_win32(pte.protection()),
                       pte.is_dirty() ? ", dirty" : "", pte.is_copy_on_write() ? ", copy on write" : "");
  }
  if (pte.is_empty()) {
    if (vad == nullptr) return "no entry, and no range holds the address";
    return vad->is_private() ? "empty: the range says what a touch makes (demand zero, if it is committed)"
                             : "empty: a touch looks into the section";
  }
  if (pte.is_shadow())
    return fmt::format("shadow: frame {:#x} is owned, its bytes are made at the first touch", pte.pfn().value);
  if (pte.is_transition()) return fmt::format("transition, frame {:#x}", pte.pfn().value);
  if (pte.is_decommitted()) return "decommitted";
  if (pte.is_page_file()) return "in the page file";
  if (pte.is_prototype()) return "prototype: the section's entry decides";
  return fmt::format("demand zero, PAGE_{:#x}", mm::protection_to_win32(pte.protection()));
}

// Kernel address space [facts 8.11, 8.12]: which region holds what, and what maps it.
void show_kernel_regions(const Target& target, Report& report) {
  const nt::Executive& executive = target.executive();
  const sim::KernelLayout& layout = executive.profile.layout;
  const mm::Books books = executive.memory.books();
  const mm::PhysicalMemory& physical = executive.memory.memory();
  Table& table = report.table({"kernel addresses", "from", "size", "pages in use", "page tables", "what"});
  const auto add = [&table](std::string_view name, const sim::Region& region, u64 used, u64 tables, std::string what) {
    table.rows.push_back({std::string(name), hex(region.start), fmt::format("{} MB", region.bytes >> 20),
                          fmt::format("{}", used), fmt::format("{}", tables), std::move(what)});
  };
  add("page tables", layout.page_tables, books.held.page_table_pages, 0, "of all processes, each its own map");
  u64 lists = 0;
  for (const ps::Process& process : executive.processes.active_processes()) {
    if (process.space != nullptr) lists += process.space->hyperspace().list_pages();
  }
  add("hyperspace", layout.hyperspace, books.held.hyperspace_pages, 0,
      fmt::format("of all processes, tables included; {} pages of working-set lists", lists));
  add("system PTEs", layout.system_ptes, books.held.system_ptes, books.held.system_table_pages,
      fmt::format("{} kernel stacks", books.held.kernel_stacks));
  const auto pools = ex::pool_regions(layout);
  for (const ex::PoolType type : ex::kPoolTypes) {
    add(type == ex::PoolType::session ? "session space" : ex::pool_type_name(type), pools[static_cast<u32>(type)],
        executive.pool.pages(type), physical.pool_table_pages(type),
        fmt::format("{} blocks", executive.pool.usage(type).blocks));
  }
  const cc::CacheCounters& cache = executive.cache.counters();
  add("system cache", layout.system_cache, books.held.system_cache_pages, books.held.system_cache_table_pages,
      fmt::format("{} views of files; {} reads, {} missed, {} writes", executive.cache.views(), cache.copy_reads,
                  cache.copy_read_misses, cache.copy_writes));
  add("PFN database", layout.pfn_database, books.reserved_pages, 0, fmt::format("{} frames", books.total_pages));
}

}  // namespace

void show_vads(const Target& target, const Arguments& arguments, Report& report) {
  const auto process = process_with_memory(target, arguments.empty() ? "." : arguments[0]);
  if (!process) return report.fail("{}", process.error());
  const mm::VadTree& vads = (*process)->space->vads();
  Table& table = report.table({"start", "end", "pages", "committed", "protection", "kind"});
  for (const mm::Vad* vad = vads.first(); vad != nullptr; vad = vads.next(*vad)) {
    const std::string_view kind = vad->shadow_ != 0   ? "TEB or PEB"
                                  : vad->is_private() ? "private"
                                  : vad->is_image()   ? "image"
                                                      : "section";
    table.rows.push_back({hex(vad->start()), hex(vad->end() - 1), fmt::format("{}", vad->pages()),
                          fmt::format("{}", vad->commit_charge()),
                          fmt::format("PAGE_{:#x}", mm::protection_to_win32(vad->protection())), std::string(kind)});
  }
}

void show_pte(const Target& target, const Arguments& arguments, Report& report) {
  if (arguments.empty()) return report.fail("!pte of which address? Give [PROCESS:]ADDRESS");
  const std::string_view text = arguments[0];
  const auto colon = text.find(':');
  const auto process = process_with_memory(target, colon == text.npos ? "." : text.substr(0, colon));
  if (!process) return report.fail("{}", process.error());
  const auto va = parse_number(colon == text.npos ? text : text.substr(colon + 1));
  if (!va || *va >= (*process)->space->vads().highest_plus_one()) return report.fail("{} is no user address", text);
  // NT x64: the self-map's entry for the address [facts 8.2].
  const mm::Pte pte = (*process)->space->page_table().get(*va);
  report.say("{:#x} in process {:#x}: entry at {:#x} holds {:#018x}", *va, (*process)->id,
             target.executive().profile.layout.page_tables.start + (*va >> kPageShift) * 8, pte.bits);
  report.say("  {}", what_is(pte, (*process)->space->vads().find(*va)));
}

void show_pool(const Target& target, const Arguments&, Report& report) {
  Table& table = report.table({"pool", "tag", "blocks", "bytes", "peak", "allocations", "frees"});
  for (const ex::PoolTagInfo& tag : target.executive().pool.tags()) {
    const std::string_view pool = ex::pool_type_name(tag.type);
    table.rows.push_back({std::string(pool.substr(0, pool.find(' '))), ex::pool_tag_text(tag.tag),
                          fmt::format("{}", tag.usage.blocks), fmt::format("{}", tag.usage.bytes),
                          fmt::format("{}", tag.usage.peak_bytes), fmt::format("{}", tag.usage.allocations),
                          fmt::format("{}", tag.usage.frees)});
  }
}

void show_memory(const Target& target, const Arguments&, Report& report) {
  const mm::Books books = target.executive().memory.books();
  Table& table = report.table({"what", "pages"});
  const auto add = [&table](std::string_view what, u64 pages) {
    table.rows.push_back({std::string(what), fmt::format("{}", pages)});
  };
  add("frames", books.total_pages);
  add("available (zeroed, free, standby)", books.held.available_pages);
  add("modified", books.held.modified_pages);
  add("private to processes", books.held.private_pages);
  add("shared (sections)", books.held.shared_pages);
  add("page tables", books.held.page_table_pages);
  add("kernel stacks", books.held.kernel_stack_pages);
  add("untouched TEBs and PEBs", books.held.shadow_pages);
  for (const ex::PoolType type : ex::kPoolTypes) add(ex::pool_type_name(type), target.executive().pool.pages(type));
  add("hyperspace", books.held.hyperspace_pages);
  add("committed", books.held.committed_pages);
  add("commit limit", books.commit_limit_pages);
  report.say("{} page faults: {} demand zero, {} soft, {} hard, {} copies on write", books.page_faults,
             books.demand_zero_faults, books.soft_faults, books.hard_faults, books.copy_on_write_faults);
  show_kernel_regions(target, report);
}

}  // namespace vitrine::kd
