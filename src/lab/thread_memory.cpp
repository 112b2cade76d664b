#include "lab/thread_memory.h"

#include <fmt/format.h>

#include <map>

#include "lab/lab_machine.h"
#include "mm/books.h"
#include "vitrine/run_loop.h"

namespace vitrine::lab {
namespace {

constexpr u64 kCurrentProcess = ~0ull;
constexpr u64 kAllAccess = 0x1F'FFFF, kCreateSuspended = 1;
constexpr u64 kStackBytes = 64 << 10;
// So many leaves of a handle table are filled: the first needs nothing, the second a mid-level page too, the third is
// plain growth. Two tables grow at different times.
constexpr u32 kLeaves = 4;
constexpr u32 kTableTag = ex::pool_tag("Obtb");

struct Counts {
  mm::HeldBooks held;
  u64 paged_pages = 0, nonpaged_pages = 0, pool_tables = 0, ids = 0, handles = 0;
};

// What one creation takes, and all of them by kind.
class Creations {
 public:
  Creations(Machine& machine, const ps::Process& process) : machine_(machine), process_(process) {
    machine_.pool.set_listener([this](const ex::PoolEvent& event) { observe(event); });
  }
  ~Creations() { machine_.pool.set_listener({}); }
  Creations(const Creations&) = delete;
  Creations& operator=(const Creations&) = delete;

  void begin() {
    rows_.clear();
    before_ = count();
    watching_ = true;
  }
  void end() {
    watching_ = false;
    add_books(before_, count());
    CreationCost cost;
    for (const MemoryRow& row : rows_) {
      if (row.tag == kTableTag) cost.table_pages += row.bytes / kPageSize;
    }
    for (MemoryRow& row : rows_) {
      // The page of a table counts instead of the entries in it.
      if (row.kind == MemoryKind::table_entry) row.counted = cost.table_pages == 0;
      (row.counted ? cost.counted_bytes : cost.uncounted_bytes) +=
          row.kind == MemoryKind::table_entry && !row.counted ? 0 : row.bytes;
    }
    cost.rows = std::move(rows_);
    ++costs_.try_emplace(cost.table_pages, std::move(cost)).first->second.calls;
    ++made_;
  }
  [[nodiscard]] u64 made() const { return made_; }
  [[nodiscard]] std::vector<CreationCost> take() {
    std::vector<CreationCost> costs;
    for (auto& [pages, cost] : costs_) costs.push_back(std::move(cost));
    return costs;
  }

 private:
  [[nodiscard]] Counts count() const {
    return {.held = machine_.memory.books().held,
            .paged_pages = machine_.pool.pages(ex::PoolType::paged),
            .nonpaged_pages = machine_.pool.pages(ex::PoolType::nonpaged),
            .pool_tables = machine_.physical.pool_table_pages(),
            .ids = machine_.processes->ids().count(),
            .handles = process_.handles->count()};
  }
  void observe(const ex::PoolEvent& event) {
    const ps::Thread* current = machine_.processes->current();
    if (!watching_ || event.is_free || current == nullptr || current->process != &process_) return;
    const bool paged = event.type == ex::PoolType::paged;
    const std::string& site = machine_.pool.site_info(event.site).name;
    // 5.2 has the user stack made by kernel32 before the call, 6.0 by the kernel in it; the seed counts neither.
    const bool user_stack = event.tag == ex::pool_tag("VadS");
    rows_.push_back({site, paged ? MemoryKind::paged_pool : MemoryKind::nonpaged_pool, event.tag, event.charged_bytes,
                     !user_stack});
  }
  void add(const char* site, MemoryKind kind, u64 bytes, bool counted) {
    if (bytes != 0) rows_.push_back({site, kind, 0, bytes, counted});
  }
  void add_books(const Counts& a, const Counts& b) {
    const u64 stack = b.held.kernel_stack_pages - a.held.kernel_stack_pages;
    const u64 teb = b.held.shadow_pages - a.held.shadow_pages;
    const u64 pool = b.paged_pages - a.paged_pages + b.nonpaged_pages - a.nonpaged_pages;
    const u64 tables = b.held.page_table_pages - a.held.page_table_pages + b.held.system_table_pages -
                       a.held.system_table_pages + b.pool_tables - a.pool_tables;
    const u64 commit = b.held.committed_pages - a.held.committed_pages;
    add("MmCreateTeb: TEB", MemoryKind::teb, teb * kPageSize, true);
    add("MmCreateKernelStack: kernel stack", MemoryKind::kernel_stack, stack * kPageSize, true);
    const u64 entry = machine_.profile.sizes.handle_table_entry;
    add("PspCidTable: entry", MemoryKind::table_entry, (b.ids - a.ids) * entry, true);
    add("process handle table: entry", MemoryKind::table_entry, (b.handles - a.handles) * entry, true);
    add("user stack with its guard", MemoryKind::user_stack, (commit - stack - teb - pool - tables) * kPageSize, false);
    add("page tables, for many threads", MemoryKind::page_table, tables * kPageSize, false);
  }

  Machine& machine_;
  const ps::Process& process_;
  std::vector<MemoryRow> rows_;
  Counts before_;
  bool watching_ = false;
  u64 made_ = 0;
  std::map<u64, CreationCost> costs_;  // by table pages
};

// Handles stay open, so that the process's own table grows, too.
cpu::Script create_threads(cpu::ScriptContext& context, Creations* creations, u64 wanted, Va sleeper) {
  const u32 create = LabMachine::service("NtCreateThreadEx");
  const Va slot = context.initial(cpu::Gpr::rsp) - 0x100;
  (void)co_await context.store(slot, 0);
  for (u64 i = 0; i < wanted; ++i) {
    creations->begin();
    const u64 status = co_await context.syscall(create, slot, kAllAccess, 0, kCurrentProcess, sleeper, 0,
                                                kCreateSuspended, 0, kPageSize, kStackBytes, 0);
    if (status != 0) break;
    creations->end();
  }
  (void)co_await context.syscall(LabMachine::service("NtTerminateProcess"), kCurrentProcess, 0);
}

}  // namespace

std::expected<ThreadMemoryReport, std::string> measure_thread_memory(const sim::Profile& profile) {
  auto lab = LabMachine::create({.profile = &profile});
  if (!lab) return std::unexpected(lab.error());
  Machine& machine = (*lab)->machine();
  const auto process = (*lab)->new_process();
  if (!process) return std::unexpected(fmt::format("no process could be made: {}", status_name(process.error())));
  const u64 wanted = u64{kLeaves} * profile.handles.entries_per_leaf;
  const Va sleeper = machine.scripted->register_program(
      [](cpu::ScriptContext& context) -> cpu::Script { (void)co_await context.compute(1); });
  Creations creations(machine, **process);
  const Va entry = machine.scripted->register_program(
      [&](cpu::ScriptContext& context) { return create_threads(context, &creations, wanted, sleeper); });
  if (!(*lab)->start(**process, entry)) return std::unexpected("the first thread could not be made");
  const u64 ptes_before = machine.memory.books().held.system_ptes;
  u64 ptes_during = 0;
  machine.trace.add_listener([&](const trace::Event& event) {
    if (event.type == trace::EventType::thread_create) ptes_during = machine.memory.books().held.system_ptes;
  });
  RunLoop loop(machine, {});
  if (loop.run(**process) != RunEnd::exited || creations.made() != wanted) {
    return std::unexpected(fmt::format("only {} of {} threads could be created", creations.made(), wanted));
  }
  machine.trace.remove_listeners();
  ThreadMemoryReport report;
  report.costs = creations.take();
  report.threads = creations.made();
  report.address_space_bytes = (ptes_during - ptes_before) / report.threads * kPageSize;
  return report;
}

}  // namespace vitrine::lab
