// How `vitrine top` shows a sample: lines of text, the busiest threads first.
#pragma once

#include <string>
#include <vector>

#include "vitrine/counters.h"

namespace vitrine::tools {

// At most `rows` lines of at most `columns` characters; 0: no limit.
[[nodiscard]] std::vector<std::string> top_lines(const CounterSample& sample, std::size_t rows, std::size_t columns);

}  // namespace vitrine::tools
