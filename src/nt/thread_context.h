// A thread's CONTEXT for NtGetContextThread and NtSetContextThread. A thread that is not running has its registers
// stored, whatever it waits for. One that has not run yet is seen, as on NT, where it will begin after the loader's
// work: its record for LdrInitializeThunk is made early and that is what is read and changed.
#pragma once

#include "nt/capture.h"

namespace vitrine::nt {

// Writes what `context`'s flags ask for. Errors: access_violation, invalid_parameter (flags), unsuccessful
// (terminated).
[[nodiscard]] Status get_thread_context(Call call, ps::Thread& target, Va context);
// Errors: as above.
[[nodiscard]] Status set_thread_context(Call call, ps::Thread& target, Va context);

}  // namespace vitrine::nt
