// The flow chart of seed 000 in the language of Graphviz: a line down is a call, a line to the right is the sequence in
// which a routine makes its calls; only what leads to memory is drawn.
#pragma once

#include <map>
#include <string>

#include "lab/call_recorder.h"

namespace vitrine::lab {

// `marks`: what to write beside a routine, by its name.
[[nodiscard]] std::string to_dot(const CallNode& root, const std::map<std::string, std::string>& marks);

// The four places of seed 000.
[[nodiscard]] const std::map<std::string, std::string>& places_of_the_seed();

}  // namespace vitrine::lab
