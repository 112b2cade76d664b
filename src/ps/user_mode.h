// Entering ntdll's dispatchers: the kernel lays a frame on the user stack and sends the thread there. And the way back:
// a CONTEXT in user memory, with the extended part (AVX, AVX-512) behind it if it has one, becomes the thread's
// registers. NT: KiDispatchException, KiInitializeUserApc, KeContextFromKframes and back. None suspends. [seen in
// Wine 8.0's user mode]
//
// Precondition everywhere: the thread has entered user mode (thread.user is there) and its address space lives.
#pragma once

#include "abi/context.h"
#include "base/status.h"
#include "ke/apc.h"
#include "mm/address_space.h"
#include "ps/thread.h"

namespace vitrine::ps {

// The thread goes on in KiUserExceptionDispatcher with `record` and its present registers as the CONTEXT.
// Errors: what writing below its RSP gives (stack_overflow, access_violation); unhandled_exception when the process has
// no dispatcher. The registers are unchanged then.
[[nodiscard]] Status enter_user_exception(Thread& thread, const abi::ExceptionRecord& record);

// The thread goes on in KiUserApcDispatcher, and after it where it is now. Errors: as above.
[[nodiscard]] Status enter_user_apc(Thread& thread, const ke::UserApcCall& call);

// Writes the parts of `registers` that `flags` (context_flags) asks for into the CONTEXT at `va`; other fields stay as
// they are. With kXstate, CONTEXT_EX behind it says where the extended part is, and the header there which components
// are asked for. NT: SetXStateFeaturesMask before GetThreadContext. Errors: access_violation; invalid_parameter
// (CONTEXT_EX makes no sense).
[[nodiscard]] Status write_user_context(mm::AddressSpace& space, Va va, const cpu::GuestContext& registers, u32 flags);

// Loads what the CONTEXT at `va` holds. Errors: access_violation; invalid_parameter (not a CONTEXT for this processor).
[[nodiscard]] Status read_user_context(mm::AddressSpace& space, Va va, cpu::GuestContext& registers);

}  // namespace vitrine::ps
