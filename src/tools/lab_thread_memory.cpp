// `vitrine lab thread-memory`: seed 000's table and flow chart, from the books.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "ex/pool.h"
#include "lab/graph.h"
#include "lab/thread_memory.h"
#include "tools/commands.h"
#include "tools/external.h"
#include "tools/lab_commands.h"

namespace vitrine::tools {
namespace {

struct Settings {
  std::string profile{sim::kDefaultProfile};
  std::string graph;
  std::string json;
};

std::string kind_name(trace::AllocationKind kind) {
  using enum trace::AllocationKind;
  switch (kind) {
    case nonpaged_pool:
      return "nonpaged pool";
    case paged_pool:
      return "paged pool";
    case kernel_stack:
      return "kernel stack";
    case committed:
      return "user commit";
    case page_table:
      return "page table";
    case table_entry:
      return "table entry";
  }
  return {};
}

std::string tag_name(u32 tag) { return tag == 0 ? "" : ex::pool_tag_text(tag); }

// The path without the service and the allocator that all share.
std::string short_path(const std::string& path) {
  std::string text = path;
  for (const std::string_view common : {" > ExAllocatePoolWithTag"}) {
    if (text.ends_with(common)) text.resize(text.size() - common.size());
  }
  return text;
}

void print_cost(const lab::CreationCost& cost) {
  fmt::print("\n{} of the creations: {}\n\n", cost.calls,
             cost.table_pages == 0
                 ? "no handle table grows"
                 : fmt::format("handle tables grow by {} page{}", cost.table_pages, cost.table_pages == 1 ? "" : "s"));
  fmt::print("{:>8} {:>8}  {:<13} {:<4}  {:<34} {}\n", "bytes", "sum", "kind", "tag", "site", "called by");
  u64 sum = 0;
  for (const lab::MemoryRow& row : cost.rows) {
    const bool counts = cost.counts(row);
    if (counts) sum += row.allocation.bytes;
    fmt::print("{:>8} {:>8}  {:<13} {:<4}  {:<34} {}\n", row.allocation.bytes, counts ? fmt::format("{}", sum) : "-",
               kind_name(row.allocation.kind), tag_name(row.allocation.tag), row.allocation.site, short_path(row.path));
  }
  fmt::print("{:>8} bytes = {:.1f} KiB of kernel memory", cost.counted_bytes,
             static_cast<double>(cost.counted_bytes) / 1024);
  if (cost.table_pages != 0) fmt::print("; the entries lie inside pages that are booked already");
  fmt::print("\n");
  if (cost.uncounted_bytes != 0) {
    fmt::print("{:>8} bytes more for the user stack and page tables (-), which the seed does not count\n",
               cost.uncounted_bytes);
  }
}

nlohmann::ordered_json to_json(const lab::ThreadMemoryReport& report, std::string_view profile) {
  nlohmann::ordered_json all{{"profile", profile},
                             {"threads", report.threads},
                             {"kernel_address_space_bytes_per_thread", report.address_space_bytes},
                             {"creations", nlohmann::ordered_json::array()}};
  for (const lab::CreationCost& cost : report.costs) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const lab::MemoryRow& row : cost.rows) {
      rows.push_back({{"site", row.allocation.site},
                      {"kind", kind_name(row.allocation.kind)},
                      {"tag", tag_name(row.allocation.tag)},
                      {"bytes", row.allocation.bytes},
                      {"counted", cost.counts(row)},
                      {"path", row.path}});
    }
    all["creations"].push_back({{"calls", cost.calls},
                                {"handle_table_pages", cost.table_pages},
                                {"counted_bytes", cost.counted_bytes},
                                {"uncounted_bytes", cost.uncounted_bytes},
                                {"allocations", rows}});
  }
  return all;
}

std::expected<void, std::string> draw(const lab::ThreadMemoryReport& report, const std::string& path) {
  const std::string dot = lab::to_dot(report.graph, lab::places_of_the_seed());
  if (path.ends_with(".dot")) return write_file(path, dot);
  if (!path.ends_with(".svg") && !path.ends_with(".png")) {
    return std::unexpected(fmt::format("--graph {}: give a file that ends in .svg, .png or .dot", path));
  }
  return run_external({"dot", "-T" + path.substr(path.size() - 3), "-o", path}, dot, "graphviz");
}

int run(const Settings& settings) {
  const sim::Profile* profile = lab_profile(settings.profile);
  if (profile == nullptr) return kExitUsage;
  const auto report = lab::measure_thread_memory(*profile);
  if (!report) return fail(kExitUsage, report.error());
  fmt::print("NtCreateThreadEx on {}: {} threads, what the kernel booked in each call.\n", profile->name,
             report->threads);
  for (const lab::CreationCost& cost : report->costs) print_cost(cost);
  fmt::print("\nEach stack with its guard takes {} bytes of kernel address space.\n", report->address_space_bytes);
  if (!settings.json.empty()) {
    const auto written = write_file(settings.json, to_json(*report, profile->name).dump(2) + "\n");
    if (!written) return fail(kExitUsage, written.error());
  }
  if (!settings.graph.empty()) {
    const auto drawn = draw(*report, settings.graph);
    if (!drawn) return fail(kExitUsage, drawn.error());
  }
  return 0;
}

}  // namespace

void add_thread_memory_command(CLI::App& lab, int& exit_code) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command =
      lab.add_subcommand("thread-memory", "What kernel memory a thread takes, allocation by allocation");
  command->add_option("--profile", settings->profile, "nt52-x86, nt52-x64 or nt61-x64")->capture_default_str();
  command->add_option("--graph", settings->graph, "Draw the calls that lead to memory: FILE.svg, FILE.png or FILE.dot");
  command->add_option("--json", settings->json, "Write the figures to this file");
  command->callback([settings, &exit_code] { exit_code = run(*settings); });
}

}  // namespace vitrine::tools
