// What `--stats` prints: to standard error, so that the program's own output stays as it is.
#pragma once

#include "vitrine/run.h"

namespace vitrine::tools {

void print_statistics(const RunResult& result);
void print_statistics_json(const RunResult& result);

}  // namespace vitrine::tools
