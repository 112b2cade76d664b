// CONTEXT and EXCEPTION_RECORD for x64, and the stack frames on which the kernel enters ntdll's dispatchers.
// [winnt.h, public WDK header; frame shapes as ntdll's dispatchers read them, seen in Wine 8.0's user mode]
#pragma once

#include <array>
#include <cstddef>

#include "base/types.h"

namespace vitrine::abi {

namespace context_flags {
inline constexpr u32 kAmd64 = 0x0010'0000;
inline constexpr u32 kControl = kAmd64 | 0x01;         // SegSs Rsp SegCs Rip EFlags
inline constexpr u32 kInteger = kAmd64 | 0x02;         // the other general registers, Rbp among them
inline constexpr u32 kSegments = kAmd64 | 0x04;        // SegDs SegEs SegFs SegGs
inline constexpr u32 kFloatingPoint = kAmd64 | 0x08;   // FltSave
inline constexpr u32 kDebugRegisters = kAmd64 | 0x10;  // Dr0-3, Dr6, Dr7
inline constexpr u32 kXstate = kAmd64 | 0x40;          // the extended area behind CONTEXT
inline constexpr u32 kFull = kControl | kInteger | kFloatingPoint;
inline constexpr u32 kAll = kFull | kSegments | kDebugRegisters;
}  // namespace context_flags

// Selectors that a 64-bit user thread sees [seen in CONTEXT records; hardware-independent constants of NT x64].
inline constexpr u16 kUserCs = 0x33;
inline constexpr u16 kUserDs = 0x2B;
inline constexpr u16 kUserFs = 0x53;

struct alignas(16) Context {  // CONTEXT
  std::array<u64, 6> p_home;
  u32 context_flags;
  u32 mx_csr;
  u16 seg_cs, seg_ds, seg_es, seg_fs, seg_gs, seg_ss;
  u32 eflags;
  u64 dr0, dr1, dr2, dr3, dr6, dr7;
  std::array<u64, 16> gpr;  // Rax Rcx Rdx Rbx Rsp Rbp Rsi Rdi R8-R15: the hardware's numbering
  u64 rip;
  std::array<std::byte, 512> flt_save;  // FXSAVE image
  std::array<std::byte, 416> vector_register;
  u64 vector_control;
  u64 debug_control;
  u64 last_branch_to_rip, last_branch_from_rip, last_exception_to_rip, last_exception_from_rip;
};
static_assert(sizeof(Context) == 0x4D0);
static_assert(offsetof(Context, context_flags) == 0x30);
static_assert(offsetof(Context, seg_cs) == 0x38);
static_assert(offsetof(Context, eflags) == 0x44);
static_assert(offsetof(Context, gpr) == 0x78);
static_assert(offsetof(Context, rip) == 0xF8);
static_assert(offsetof(Context, flt_save) == 0x100);
static_assert(offsetof(Context, vector_control) == 0x4A0);

inline constexpr u32 kMaximumExceptionParameters = 15;
struct ExceptionRecord {  // EXCEPTION_RECORD
  u32 code;
  u32 flags;
  Va record;
  Va address;
  u32 parameter_count;
  u32 padding;
  std::array<u64, kMaximumExceptionParameters> information;
};
static_assert(sizeof(ExceptionRecord) == 0x98);

inline constexpr u32 kExceptionNoncontinuable = 1;

struct ContextChunk {  // CONTEXT_CHUNK
  i32 offset;
  u32 length;
};
struct ContextEx {  // CONTEXT_EX
  ContextChunk all, legacy, xstate;
  u64 padding;
};
static_assert(sizeof(ContextEx) == 0x20);

// What KiUserExceptionDispatcher finds at RSP.
struct alignas(16) ExceptionFrame {
  Context context;
  ContextEx context_ex;
  ExceptionRecord record;
  u64 padding;
};
static_assert(offsetof(ExceptionFrame, context_ex) == 0x4D0);
static_assert(offsetof(ExceptionFrame, record) == 0x4F0);
static_assert(sizeof(ExceptionFrame) == 0x590);

// What KiUserApcDispatcher finds above RSP (RSP points 8 bytes below it, as after a call).
struct alignas(16) ApcFrame {
  std::array<u64, 4> home;
  Va function;
  u64 padding0;
  Context context;
  ContextEx context_ex;
};
static_assert(offsetof(ApcFrame, function) == 0x20);
static_assert(offsetof(ApcFrame, context) == 0x30);
static_assert(offsetof(ApcFrame, context_ex) == 0x500);
static_assert(sizeof(ApcFrame) == 0x520);

}  // namespace vitrine::abi
