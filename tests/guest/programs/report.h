// Report{"format", a(), b()} prints like printf and calls a before b: braces fix the order of evaluation, a call's
// parentheses do not.
#pragma once

#include <cstdio>

template <typename... Values>
struct Report {
  explicit Report(const char* format, Values... values) { std::printf(format, values...); }
};
template <typename... Values>
Report(const char*, Values...) -> Report<Values...>;
