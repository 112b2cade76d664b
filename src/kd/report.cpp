#include "kd/report.h"

#include <algorithm>

namespace vitrine::kd {
namespace {

void append_row(std::string& text, const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    // The last column is not padded: it holds words.
    line += i + 1 == cells.size() ? cells[i] : fmt::format("{:<{}}  ", cells[i], widths[i]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  text += line + "\n";
}

void append_table(std::string& text, const Table& table) {
  std::vector<std::size_t> widths;
  for (const std::string& column : table.columns) widths.push_back(column.size());
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  append_row(text, table.columns, widths);
  for (const auto& row : table.rows) append_row(text, row, widths);
}

}  // namespace

std::string Report::text() const {
  std::string text;
  for (const auto& part : parts) {
    if (const auto* sentence = std::get_if<std::string>(&part)) {
      text += *sentence + "\n";
    } else {
      append_table(text, std::get<Table>(part));
    }
  }
  return text;
}

}  // namespace vitrine::kd
