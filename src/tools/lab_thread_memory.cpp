// `vitrine lab thread-memory`: seed 000's table, from the books.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "ex/pool.h"
#include "lab/thread_memory.h"
#include "tools/commands.h"
#include "tools/external.h"
#include "tools/lab_commands.h"

namespace vitrine::tools {
namespace {

struct Settings {
  std::string profile{sim::kDefaultProfile};
  std::string json;
};

std::string kind_name(lab::MemoryKind kind) {
  static constexpr std::string_view kNames[] = {"nonpaged pool", "paged pool", "kernel stack", "user pages",
                                                "user pages",    "page table", "table entry"};
  return std::string(kNames[static_cast<std::size_t>(kind)]);
}

std::string tag_name(u32 tag) { return tag == 0 ? "" : ex::pool_tag_text(tag); }

void print_cost(const lab::CreationCost& cost) {
  fmt::print("\n{} of the creations: {}\n\n", cost.calls,
             cost.table_pages == 0
                 ? "no handle table grows"
                 : fmt::format("handle tables grow by {} page{}", cost.table_pages, cost.table_pages == 1 ? "" : "s"));
  fmt::print("{:>8} {:>8}  {:<13} {:<4}  {}\n", "bytes", "sum", "kind", "tag", "site");
  u64 sum = 0;
  for (const lab::MemoryRow& row : cost.rows) {
    if (row.counted) sum += row.bytes;
    fmt::print("{:>8} {:>8}  {:<13} {:<4}  {}\n", row.bytes, row.counted ? fmt::format("{}", sum) : "-",
               kind_name(row.kind), tag_name(row.tag), row.site);
  }
  fmt::print("{:>8} bytes = {:.1f} KiB of kernel memory", cost.counted_bytes,
             static_cast<double>(cost.counted_bytes) / 1024);
  fmt::print("{}\n", cost.table_pages == 0 ? "" : "; the entries lie inside pages that are booked already");
  fmt::print("{:>8} bytes more for the user stack and page tables (-), which the seed does not count\n",
             cost.uncounted_bytes);
}

nlohmann::ordered_json to_json(const lab::ThreadMemoryReport& report, std::string_view profile) {
  nlohmann::ordered_json all{{"profile", profile},
                             {"threads", report.threads},
                             {"kernel_address_space_bytes_per_thread", report.address_space_bytes},
                             {"creations", nlohmann::ordered_json::array()}};
  for (const lab::CreationCost& cost : report.costs) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const lab::MemoryRow& row : cost.rows) {
      rows.push_back({{"site", row.site},
                      {"kind", kind_name(row.kind)},
                      {"tag", tag_name(row.tag)},
                      {"bytes", row.bytes},
                      {"counted", row.counted}});
    }
    all["creations"].push_back({{"calls", cost.calls},
                                {"handle_table_pages", cost.table_pages},
                                {"counted_bytes", cost.counted_bytes},
                                {"uncounted_bytes", cost.uncounted_bytes},
                                {"allocations", rows}});
  }
  return all;
}

int run(const Settings& settings) {
  const sim::Profile* profile = lab_profile(settings.profile);
  if (profile == nullptr) return kExitUsage;
  const auto report = lab::measure_thread_memory(*profile);
  if (!report) return lab_fail(kExitUsage, report.error());
  fmt::print("NtCreateThreadEx on {}: {} threads, what the kernel booked in each call.\n", profile->name,
             report->threads);
  for (const lab::CreationCost& cost : report->costs) print_cost(cost);
  fmt::print("\nEach stack with its guard takes {} bytes of kernel address space.\n", report->address_space_bytes);
  if (settings.json.empty()) return 0;
  const auto written = write_file(settings.json, to_json(*report, profile->name).dump(2) + "\n");
  return written ? 0 : lab_fail(kExitUsage, written.error());
}

}  // namespace

void add_thread_memory_command(CLI::App& lab, int& exit_code) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command =
      lab.add_subcommand("thread-memory", "What kernel memory a thread takes, allocation by allocation");
  command->add_option("--profile", settings->profile, "nt52-x86, nt52-x64 or nt61-x64")->capture_default_str();
  command->add_option("--json", settings->json, "Write the figures to this file");
  command->callback([settings, &exit_code] { exit_code = run(*settings); });
}

}  // namespace vitrine::tools
