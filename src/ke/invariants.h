// The structure of the dispatcher's books, checked: each thread is in exactly the place that its state names, summaries
// equal the lists, links are whole, no processor idles while a ready thread may run there, wait blocks hang on the
// objects that they name, timers are in the right list. For tests and `--check`; costs a walk over everything.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ke/kernel.h"

namespace vitrine::ke {

// Every violation in words; empty when all is well. `threads`: all threads that exist (any order); those of the
// processes that the kernel knows are found from the lists as well.
[[nodiscard]] std::vector<std::string> check_invariants(const Kernel& kernel, std::span<Thread* const> threads);

// The part that costs little, however many threads there are: who runs, is on standby and ready on each processor is in
// that state, lists and summaries agree, no processor idles while a ready thread may run there.
[[nodiscard]] std::vector<std::string> check_processors(const Kernel& kernel);

}  // namespace vitrine::ke
