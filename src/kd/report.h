// Report: what one kd command has to say: sentences and tables, in order. The command decides nothing about their
// looks; text() is for people, and whoever wants another form (JSON) walks the parts.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace vitrine::kd {

struct Table {
  std::vector<std::string> columns;  // their names, lower case
  std::vector<std::vector<std::string>> rows;
};

struct Report {
  std::string command;     // as given
  bool understood = true;  // false: the only part is the error, one line
  std::vector<std::variant<std::string, Table>> parts;

  template <typename... Arguments>
  void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    parts.emplace_back(fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  // The table may be filled until the next part is added.
  Table& table(std::vector<std::string> columns) {
    return std::get<Table>(parts.emplace_back(Table{std::move(columns), {}}));
  }
  template <typename... Arguments>
  void fail(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    understood = false;
    parts.clear();
    say(format, std::forward<Arguments>(arguments)...);
  }

  // A sentence a line; tables in columns.
  [[nodiscard]] std::string text() const;
};

}  // namespace vitrine::kd
