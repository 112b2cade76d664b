// Between a thread's registers and the CONTEXT record that user mode reads and writes. What a guest hands in is made safe
// here: selectors are the real ones, RFLAGS keeps only what user mode may set, MXCSR only defined bits, RIP and RSP
// may be anything (the processor faults on them as hardware would).
#pragma once

#include "abi/context.h"
#include "cpu/context.h"

namespace vitrine::ps {

// Fills the parts of `out` that `flags` (context_flags) asks for and sets out.context_flags to `flags`.
void store_context(const cpu::GuestContext& registers, u32 flags, abi::Context& out);

// Loads the parts that in.context_flags names.
void load_context(const abi::Context& in, cpu::GuestContext& registers);

}  // namespace vitrine::ps
