// The functions of table 5-13 of Windows Internals 5: creating, naming, asking and ending threads; and the counters of
// table 5-12 that come from the process list.
#include <windows.h>
#include <winternl.h>

#include <cstdio>
#include <vector>

#include "report.h"

namespace {

HANDLE go;

DWORD WINAPI waits(void* argument) {
  WaitForSingleObject(go, INFINITE);
  return static_cast<DWORD>(reinterpret_cast<ULONG_PTR>(argument));
}

DWORD WINAPI exits(void*) { ExitThread(31); }

void __stdcall fiber(void* main_fiber) { SwitchToFiber(main_fiber); }

void creation() {
  DWORD id = 0, remote_id = 0;
  const HANDLE thread = CreateThread(nullptr, 0, waits, reinterpret_cast<void*>(11), CREATE_SUSPENDED, &id);
  const HANDLE remote =
      CreateRemoteThread(GetCurrentProcess(), nullptr, 0, waits, reinterpret_cast<void*>(12), 0, &remote_id);
  Report{"created %d and %d, ids differ %d, are those of the handles %d %d\n",
         thread != nullptr,
         remote != nullptr,
         id != remote_id,
         GetThreadId(thread) == id,
         GetThreadId(remote) == remote_id};
  const HANDLE opened = OpenThread(THREAD_QUERY_INFORMATION | SYNCHRONIZE, FALSE, id);
  Report{"opened by id %d, the same thread %d, no such id: %d error %lu\n", opened != nullptr,
         GetThreadId(opened) == id, OpenThread(SYNCHRONIZE, FALSE, 0x7FFFFFFC) == nullptr, GetLastError()};
  DWORD code = 0;
  const BOOL asked = GetExitCodeThread(thread, &code);
  std::printf("exit code %d: still active %d\n", asked, code == STILL_ACTIVE);
  ResumeThread(thread);
  SetEvent(go);
  WaitForSingleObject(thread, INFINITE);
  WaitForSingleObject(remote, INFINITE);
  GetExitCodeThread(thread, &code);
  std::printf("ended with %lu", code);
  GetExitCodeThread(remote, &code);
  std::printf(" and %lu\n", code);
  ResetEvent(go);
}

void endings() {
  DWORD code = 0;
  const HANDLE by_itself = CreateThread(nullptr, 0, exits, nullptr, 0, nullptr);
  WaitForSingleObject(by_itself, INFINITE);
  GetExitCodeThread(by_itself, &code);
  std::printf("ExitThread: %lu\n", code);
  const HANDLE by_another = CreateThread(nullptr, 0, waits, nullptr, 0, nullptr);
  const BOOL done = TerminateThread(by_another, 32);
  WaitForSingleObject(by_another, INFINITE);
  GetExitCodeThread(by_another, &code);
  std::printf("TerminateThread: %d, %lu\n", done, code);
}

void self() {
  std::printf("pseudo handle %d, id through it %d\n", GetCurrentThread() == reinterpret_cast<HANDLE>(-2),
              GetThreadId(GetCurrentThread()) == GetCurrentThreadId());
  std::printf("fiber before %d", IsThreadAFiber());
  void* main_fiber = ConvertThreadToFiber(nullptr);
  std::printf(" converted %d", IsThreadAFiber());
  void* other = CreateFiber(0, fiber, main_fiber);
  SwitchToFiber(other);
  DeleteFiber(other);
  ConvertFiberToThread();
  std::printf(" back %d\n", IsThreadAFiber());
}

void times() {
  const auto query_thread = reinterpret_cast<decltype(&NtQueryInformationThread)>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQueryInformationThread")));
  FILETIME created{}, ended{}, kernel{}, user{};
  const BOOL asked = GetThreadTimes(GetCurrentThread(), &created, &ended, &kernel, &user);
  std::printf("times %d, created %d, not ended %d\n", asked, created.dwHighDateTime != 0, ended.dwHighDateTime == 0);
  // QueryThreadCycleTime is empty in Wine 8.0's kernelbase; this is the service behind it.
  struct {
    ULONG64 accumulated, now;
  } before{}, after{};
  constexpr auto kThreadCycleTime = static_cast<THREADINFOCLASS>(23);
  NTSTATUS cycles = query_thread(GetCurrentThread(), kThreadCycleTime, &before, sizeof before, nullptr);
  for (int i = 0; i < 100000; ++i) asm volatile("");
  cycles |= query_thread(GetCurrentThread(), kThreadCycleTime, &after, sizeof after, nullptr);
  std::printf("cycle time %lx grows %d\n", cycles, after.accumulated > before.accumulated);
}

void contexts() {
  const HANDLE thread = CreateThread(nullptr, 0, waits, reinterpret_cast<void*>(7), CREATE_SUSPENDED, nullptr);
  alignas(16) CONTEXT context{};
  context.ContextFlags = CONTEXT_FULL;
  const BOOL got = GetThreadContext(thread, &context);
  const DWORD64 argument = context.Rdx;
  context.Rdx = 9;  // where the start routine's argument is at first
  const BOOL set = SetThreadContext(thread, &context);
  SetEvent(go);
  ResumeThread(thread);
  WaitForSingleObject(thread, INFINITE);
  DWORD code = 0;
  GetExitCodeThread(thread, &code);
  std::printf("context got %d with argument %llu, set %d, ended with %lu\n", got, argument, set, code);
  ResetEvent(go);
  const auto get_selector = reinterpret_cast<BOOL(WINAPI*)(HANDLE, DWORD, LDT_ENTRY*)>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "GetThreadSelectorEntry")));
  std::printf("GetThreadSelectorEntry is there %d\n", get_selector != nullptr);
}

// SYSTEM_PROCESS_INFORMATION and SYSTEM_THREAD_INFORMATION as far as they are asked here; winternl.h hides most of
// them.
struct ThreadEntry {
  LARGE_INTEGER kernel_time, user_time, create_time;
  ULONG wait_time;
  void* start_address;
  ULONG_PTR process_id, thread_id;
  LONG priority, base_priority;
  ULONG context_switches, state, wait_reason;
};

void counters() {
  DWORD id = 0;
  const HANDLE thread = CreateThread(nullptr, 0, waits, nullptr, 0, &id);
  SetThreadPriority(thread, THREAD_PRIORITY_ABOVE_NORMAL);
  Sleep(50);  // now it waits
  std::vector<char> buffer(1 << 20);
  ULONG needed = 0;
  const auto query = reinterpret_cast<decltype(&NtQuerySystemInformation)>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQuerySystemInformation")));
  const NTSTATUS status = query(SystemProcessInformation, buffer.data(), static_cast<ULONG>(buffer.size()), &needed);
  std::printf("process list %lx\n", status);
  for (char* at = buffer.data();;) {
    const auto* process = reinterpret_cast<SYSTEM_PROCESS_INFORMATION*>(at);
    const auto* entries = reinterpret_cast<ThreadEntry*>(at + 0x100);
    for (ULONG i = 0; i < process->NumberOfThreads; ++i) {
      const ThreadEntry& entry = entries[i];
      if (entry.thread_id != id) continue;
      std::printf("priority base of the process %ld\n", process->BasePriority);
      std::printf("thread: its process %d, priority base %ld current %d, state %lu, wait reason %lu\n",
                  entry.process_id == GetCurrentProcessId(), entry.base_priority, entry.priority >= entry.base_priority,
                  entry.state, entry.wait_reason);
      std::printf("switches %d, start address %d, created %d, times %d %d\n", entry.context_switches > 0,
                  entry.start_address != nullptr, entry.create_time.QuadPart > 0, entry.kernel_time.QuadPart >= 0,
                  entry.user_time.QuadPart >= 0);
    }
    if (process->NextEntryOffset == 0) break;
    at += process->NextEntryOffset;
  }
  SetEvent(go);
  WaitForSingleObject(thread, INFINITE);
}

}  // namespace

int main() {
  go = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  creation();
  endings();
  self();
  times();
  contexts();
  counters();
  return 0;
}
