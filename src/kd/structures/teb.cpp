// TEB and PEB: what user mode knows of its thread and process. They lie in the process's memory, where user mode writes
// them; read as a 64-bit guest lays them out (6.1's offsets, which Wine's DLLs share). Fields: the thread tables, table
// 5-10 of WI5; public symbols [VOL].
#include "abi/teb.h"

#include <fmt/format.h>

#include "abi/peb.h"
#include "kd/guest_memory.h"
#include "kd/layouts.h"
#include "kd/structures/values.h"

namespace vitrine::kd {
namespace {

// The guest's layout is 6.1 x64's, whatever the profile books.
u32 guest_offset(std::string_view structure, std::string_view name) {
  const auto offset = offset_of(*sim::find_profile("nt61-x64"), structure, name);
  VITRINE_CHECK(offset.has_value());
  return *offset;
}

template <typename Value>
std::string read_at(const Target& target, const ps::Process& process, Va block, u64 offset) {
  if (block == 0) return "no such block";
  const auto value = read_guest<Value>(target, process, block + offset);
  return value ? hex(*value) : "not in memory";
}

#define TEB_FIELD(type, name, meaning)                                          \
  field<ps::Thread>(name, meaning, [](auto& target, auto& t) {                  \
    return read_at<type>(target, *t.process, t.teb, guest_offset("TEB", name)); \
  })
#define NT_TIB_FIELD(offset, name, meaning) \
  field<ps::Thread>(name, meaning,          \
                    [](auto& target, auto& t) { return read_at<u64>(target, *t.process, t.teb, offset); })

constexpr std::string_view kNoGui = "set by win32k's DLLs only, and win32k is missing";

constexpr Field kTebFields[] = {
    NT_TIB_FIELD(0x00, "ExceptionList", "x86: first SEH handler; a 64-bit thread keeps ~0, its handlers are in tables"),
    NT_TIB_FIELD(0x08, "StackBase", "above the highest address of the user stack"),
    NT_TIB_FIELD(0x10, "StackLimit", "lowest committed address of the user stack"),
    NT_TIB_FIELD(0x20, "FiberData", "the fiber that it runs"),
    TEB_FIELD(u64, "ClientId", "process id (the thread id follows)"),
    TEB_FIELD(u64, "ActiveRpcHandle", "RPC: the call in progress"),
    TEB_FIELD(u64, "ThreadLocalStoragePointer", "TLS of the images, by index"),
    TEB_FIELD(u64, "ProcessEnvironmentBlock", "its PEB"),
    TEB_FIELD(u32, "LastErrorValue", "what GetLastError returns"),
    unchanging(TEB_FIELD(u32, "CountOfOwnedCriticalSections", "critical sections that it owns"),
               "only checked builds of Microsoft's ntdll count them; Wine's does not"),
    TEB_FIELD(u32, "CurrentLocale", "its locale id"),
    unchanging(TEB_FIELD(u32, "ExceptionCode", "code of the last exception"),
               "Microsoft's x86 runtime keeps it there; 64-bit code and Wine's DLLs do not"),
    TEB_FIELD(u64, "ActivationContextStackPointer", "its activation contexts"),
    unchanging(TEB_FIELD(u32, "GdiTebBatch", "GDI calls that wait to be sent together"), kNoGui),
    unchanging(TEB_FIELD(u64, "glContext", "OpenGL: the current context"),
               "opengl32 needs a window, and win32k is missing"),
    TEB_FIELD(u32, "LastStatusValue", "the last NTSTATUS that became an error code"),
    TEB_FIELD(u64, "DeallocationStack", "lowest reserved address of the user stack"),
    TEB_FIELD(u64, "TlsSlots", "the first of 64 TlsAlloc slots"),
    TEB_FIELD(u64, "TlsExpansionSlots", "TlsAlloc slots beyond 64"),
    unchanging(TEB_FIELD(u64, "ReservedForNtRpc", "RPC's own"),
               "rpcrt4 of Microsoft keeps it; Wine's keeps its thread data in TLS"),
    TEB_FIELD(u64, "WinSockData", "Winsock's own: what ws2_32 keeps for the thread"),
    absent("ImpersonationLocale", "locale id of the client that it impersonates",
           "MUI of Microsoft's kernel32 keeps it; Wine's does not"),
    unchanging(TEB_FIELD(u32, "IsImpersonating", "a copy of whether it impersonates, for MUI"),
               "Microsoft's ntdll keeps it; Wine's does not: see ETHREAD.ImpersonationInfo"),
    TEB_FIELD(u64, "FlsData", "fiber-local storage"),
    TEB_FIELD(u32, "GuaranteedStackBytes", "stack kept for handling stack overflows"),
};

#define PEB_FIELD(type, name, meaning) \
  field<ps::Process>(name, meaning,    \
                     [](auto& target, auto& p) { return read_at<type>(target, p, p.peb, guest_offset("PEB", name)); })

constexpr Field kPebFields[] = {
    PEB_FIELD(u8, "BeingDebugged", "a debugger is attached"),
    PEB_FIELD(u64, "ImageBaseAddress", "where the main image lies"),
    PEB_FIELD(u64, "Ldr", "the loaded modules"),
    PEB_FIELD(u64, "ProcessParameters", "command line, folders, environment"),
    PEB_FIELD(u64, "ProcessHeap", "the default heap"),
    PEB_FIELD(u64, "FastPebLock", "the critical section around the PEB"),
    PEB_FIELD(u64, "TlsBitmap", "TlsAlloc slots in use"),
    PEB_FIELD(u32, "NumberOfProcessors", "processors"),
    PEB_FIELD(u32, "NtGlobalFlag", "debugging flags"),
    PEB_FIELD(u64, "CriticalSectionTimeout", "100 ns, negative"),
    PEB_FIELD(u64, "LoaderLock", "the critical section of the loader"),
    PEB_FIELD(u32, "OSMajorVersion", "the version that programs see"),
    PEB_FIELD(u32, "ImageSubsystem", "3: console"),
    PEB_FIELD(u32, "SessionId", "session"),
};

}  // namespace

const Structure kTeb{"TEB", "a thread, as user mode sees it", "THREAD", kTebFields, &find_ethread};
const Structure kPeb{"PEB", "a process, as user mode sees it", "PROCESS", kPebFields, &find_eprocess};

}  // namespace vitrine::kd
