// Exceptions on their way to user mode (KiDispatchException). A processor fault becomes an exception record; the first
// chance goes to ntdll's dispatcher on the thread's own stack, and one that nobody handled (or that cannot be
// delivered) ends the process with the exception's code. No debugger and no error port exist here, which are NT's other
// takers.
//
// Every exception is recorded as trace::EventType::exception.
#pragma once

#include "abi/context.h"
#include "cpu/backend.h"
#include "nt/executive.h"

namespace vitrine::nt {

enum class Chance : u8 { first = 1, second = 2 };

// Delivers `record` to the thread, whose registers say where it was raised. Afterwards it goes on in its dispatcher, or
// its process is being terminated.
void dispatch_exception(Executive& executive, ps::Thread& thread, const abi::ExceptionRecord& record, Chance chance);

// The thread stopped with a processor exception other than a page fault.
void dispatch_cpu_exception(Executive& executive, ps::Thread& thread, const cpu::Exit& exit);

// The thread stopped with a page fault that mm refused with `status`.
void dispatch_page_fault(Executive& executive, ps::Thread& thread, const cpu::Exit& exit, Status status);

}  // namespace vitrine::nt
