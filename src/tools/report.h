// What `--stats` and `--threads` print: to standard error, so that the program's own output stays as it is.
#pragma once

#include "vitrine/run.h"

namespace vitrine::tools {

void print_statistics(const RunResult& result);
// With the threads, where the run recorded them.
void print_statistics_json(const RunResult& result);
// A line per thread that existed.
void print_threads(const RunResult& result);

}  // namespace vitrine::tools
