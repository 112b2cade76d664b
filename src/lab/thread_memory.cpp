#include "lab/thread_memory.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "abi/thread_information.h"
#include "lab/lab_machine.h"
#include "vitrine/run_loop.h"

namespace vitrine::lab {
namespace {

constexpr std::string_view kService = "NtCreateThreadEx";
constexpr std::string_view kGrowth = "ExpAllocateHandleTableEntrySlow";
constexpr std::string_view kUserStack = "RtlCreateUserStack";
constexpr u64 kCurrentProcess = ~0ull;
constexpr u64 kStackBytes = 64 << 10;
// So many leaves of a handle table are filled: the first needs nothing, the second a mid-level page too, the third is
// plain growth. Two tables grow at different times.
constexpr u32 kLeaves = 4;

MemoryPart part_of(const std::vector<std::string>& path, const RecordedAllocation& allocation) {
  const auto below = [&](std::string_view routine) { return std::ranges::find(path, routine) != path.end(); };
  if (allocation.kind == trace::AllocationKind::page_table) return MemoryPart::page_table;
  if (below(kUserStack)) return MemoryPart::user_stack;
  const bool is_table = below(kGrowth) || allocation.kind == trace::AllocationKind::table_entry;
  return is_table ? MemoryPart::table : MemoryPart::thread;
}

CreationCost cost_of(const CallNode& call) {
  CreationCost cost;
  for_each_allocation(call, [&](const std::vector<std::string>& path, const RecordedAllocation& allocation) {
    cost.rows.push_back({fmt::format("{}", fmt::join(path, " > ")), allocation, part_of(path, allocation)});
    const bool is_page =
        cost.rows.back().part == MemoryPart::table && allocation.kind != trace::AllocationKind::table_entry;
    if (is_page) cost.table_pages += page_ceil(allocation.bytes) / kPageSize;
  });
  for (const MemoryRow& row : cost.rows) {
    const bool counted_part = row.part == MemoryPart::thread || row.part == MemoryPart::table;
    if (cost.counts(row))
      cost.counted_bytes += row.allocation.bytes;
    else if (!counted_part)
      cost.uncounted_bytes += row.allocation.bytes;
  }
  return cost;
}

class Collector {
 public:
  void add(CallNode call) {
    const CreationCost cost = cost_of(call);
    CreationCost& kind = costs_.try_emplace(cost.table_pages, cost).first->second;
    ++kind.calls;
    call.prune([](const RecordedAllocation& a) { return a.kind != trace::AllocationKind::table_entry; });
    if (graph_.routine.empty())
      graph_ = call;
    else
      graph_.merge(call);
  }
  void finish(ThreadMemoryReport& report) {
    for (auto& [pages, cost] : costs_) report.costs.push_back(std::move(cost));
    report.graph = std::move(graph_);
  }

 private:
  std::map<u64, CreationCost> costs_;  // by table pages
  CallNode graph_;
};

struct Creation {
  u64 wanted = 0, made = 0;
  Status failure = Status::success;
};

// Handles stay open, so that the process's own table grows, too.
cpu::Script creator(cpu::ScriptContext& context, Creation& creation, Va sleeper) {
  const Va handle_slot = context.initial(cpu::Gpr::rsp) - 0x100;
  (void)co_await context.store(handle_slot, 0);
  while (creation.made < creation.wanted) {
    const u64 status =
        co_await context.syscall(LabMachine::service(kService), handle_slot, 0x1F'FFFFu, 0, kCurrentProcess, sleeper, 0,
                                 abi::thread_create::kSuspended, 0, kPageSize, kStackBytes, 0);
    if (status != 0) {
      creation.failure = Status{static_cast<u32>(status)};
      break;
    }
    ++creation.made;
  }
  (void)co_await context.syscall(LabMachine::service("NtTerminateProcess"), kCurrentProcess, 0);
}

}  // namespace

bool CreationCost::counts(const MemoryRow& row) const {
  if (row.part != MemoryPart::thread && row.part != MemoryPart::table) return false;
  return row.allocation.kind != trace::AllocationKind::table_entry || table_pages == 0;
}

std::expected<ThreadMemoryReport, std::string> measure_thread_memory(const sim::Profile& profile) {
  auto lab = LabMachine::create({.profile = &profile});
  if (!lab) return std::unexpected(lab.error());
  Machine& machine = (*lab)->machine();
  const auto process = (*lab)->new_process();
  if (!process) return std::unexpected(fmt::format("no process could be made: {}", status_name(process.error())));

  Creation creation{.wanted = u64{kLeaves} * profile.handles.entries_per_leaf};
  const Va sleeper = machine.scripted->register_program(
      [](cpu::ScriptContext& context) -> cpu::Script { co_await context.compute(1); });
  const Va entry = machine.scripted->register_program(
      [&](cpu::ScriptContext& context) { return creator(context, creation, sleeper); });
  if (!(*lab)->start(**process, entry)) return std::unexpected("the first thread could not be made");

  Collector collector;
  CallRecorder recorder(kService, [&](CallNode call) {
    if (call.routine == kService) collector.add(std::move(call));
  });
  const u64 ptes_before = machine.memory.books().held.system_ptes;
  u64 ptes_during = 0;
  machine.trace.add_listener([&](const trace::Event& event) {
    if (event.type == trace::EventType::thread_create) ptes_during = machine.memory.books().held.system_ptes;
  });
  machine.pool.calls().set_observer(&recorder);
  RunLoop loop(machine, {});
  const RunEnd end = loop.run(**process);
  machine.pool.calls().set_observer(nullptr);
  if (end != RunEnd::exited || creation.made == 0) {
    return std::unexpected(fmt::format("no thread could be created: {}", status_name(creation.failure)));
  }
  ThreadMemoryReport report;
  collector.finish(report);
  report.threads = creation.made;
  report.address_space_bytes = (ptes_during - ptes_before) / creation.made * kPageSize;
  return report;
}

}  // namespace vitrine::lab
