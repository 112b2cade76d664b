// Small measures: what each way between guest and kernel costs.
#pragma once

#include <span>

#include "base/types.h"

namespace vitrine::bench {

void print_micro(std::span<const u8> image, int repetitions);
// Only the speed of translation, again and again: for a profiler, and to compare two builds.
void print_translation(std::span<const u8> image, int repetitions);

}  // namespace vitrine::bench
