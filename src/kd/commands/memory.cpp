// !vad, !pte, !pool, !vm: the memory manager's books.
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
  constexpr Va kPteBase = 0xFFFF'F680'0000'0000;
  const mm::Pte pte = (*process)->space->page_table().get(*va);
  report.say("{:#x} in process {:#x}: entry at {:#x} holds {:#018x}", *va, (*process)->id,
             kPteBase + (*va >> kPageShift) * 8, pte.bits);
  report.say("  {}", what_is(pte, (*process)->space->vads().find(*va)));
}

void show_pool(const Target& target, const Arguments&, Report& report) {
  Table& table = report.table({"pool", "tag", "blocks", "bytes", "peak", "allocations", "frees"});
  for (const ex::PoolTagInfo& tag : target.executive().pool.tags()) {
    table.rows.push_back({tag.type == ex::PoolType::nonpaged ? "nonpaged" : "paged", ex::pool_tag_text(tag.tag),
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
  add("nonpaged pool", target.executive().pool.pages(ex::PoolType::nonpaged));
  add("paged pool", target.executive().pool.pages(ex::PoolType::paged));
  add("committed", books.held.committed_pages);
  add("commit limit", books.commit_limit_pages);
  report.say("{} page faults: {} demand zero, {} soft, {} hard, {} copies on write", books.page_faults,
             books.demand_zero_faults, books.soft_faults, books.hard_faults, books.copy_on_write_faults);
}

}  // namespace vitrine::kd
