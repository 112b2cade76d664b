// What `--kd` prints at each look: to standard error, so that the program's own output stays as it is.
#pragma once

#include <string_view>
#include <vector>

#include "kd/report.h"

namespace vitrine::tools {

void print_look(std::string_view moment, const std::vector<kd::Report>& reports);
// One document a look, on one line: {"moment", "reports": [{"command", "understood", "parts": [sentence or [row,
// ...]]}]}; a row is an object by column.
void print_look_json(std::string_view moment, const std::vector<kd::Report>& reports);

}  // namespace vitrine::tools
