#include "tools/look.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace vitrine::tools {
namespace {

nlohmann::ordered_json json_of(const kd::Table& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const auto& cells : table.rows) {
    nlohmann::ordered_json row = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < cells.size(); ++i) row[table.columns[i]] = cells[i];
    rows.push_back(std::move(row));
  }
  return rows;
}

nlohmann::ordered_json json_of(const kd::Report& report) {
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (const auto& part : report.parts) {
    if (const auto* sentence = std::get_if<std::string>(&part)) {
      parts.push_back(*sentence);
    } else {
      parts.push_back(json_of(std::get<kd::Table>(part)));
    }
  }
  return {{"command", report.command}, {"understood", report.understood}, {"parts", std::move(parts)}};
}

}  // namespace

void print_look(std::string_view moment, const std::vector<kd::Report>& reports) {
  fmt::print(stderr, "\nkd: {}\n", moment);
  for (const kd::Report& report : reports) fmt::print(stderr, "\nkd> {}\n{}", report.command, report.text());
}

void print_look_json(std::string_view moment, const std::vector<kd::Report>& reports) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const kd::Report& report : reports) list.push_back(json_of(report));
  const nlohmann::ordered_json look = {{"moment", moment}, {"reports", std::move(list)}};
  // Names come from the guest: bytes that are no UTF-8 must not end the tool.
  fmt::print(stderr, "{}\n", look.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace vitrine::tools
