// Small measures: what each way between guest and kernel costs.
#pragma once

#include <span>

#include "base/types.h"

namespace vitrine::bench {

void print_micro(std::span<const u8> image, int repetitions);

}  // namespace vitrine::bench
