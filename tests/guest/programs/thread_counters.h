// A thread's counters of table 5-12 of Windows Internals 5, as a program reads them: from the system's process list,
// where performance monitors take them from. And work that takes time without asking anybody for it.
#pragma once

#include <windows.h>
#include <winternl.h>

#include <vector>

// SYSTEM_THREAD_INFORMATION under its fields' real names [phnt; the public header calls most of them Reserved].
struct ThreadCounters {
  LONGLONG kernel_time, user_time, create_time;  // 100 ns
  ULONG wait_time;
  void* start_address;
  ULONG_PTR process_id, thread_id;
  LONG priority, base_priority;
  ULONG context_switches, state, wait_reason;
};

struct ProcessCounters {
  LONG base_priority = 0;
  ULONG threads = 0;
  LONGLONG kernel_time = 0, user_time = 0;
};

// Both of one moment. False: there is no such thread.
inline bool read_counters(DWORD thread_id, ThreadCounters& thread, ProcessCounters* owner = nullptr) {
  static const auto query = reinterpret_cast<decltype(&NtQuerySystemInformation)>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"ntdll"), "NtQuerySystemInformation")));
  std::vector<unsigned char> buffer(1 << 16);
  ULONG length = 0;
  if (query(SystemProcessInformation, buffer.data(), static_cast<ULONG>(buffer.size()), &length) != 0) return false;
  for (const unsigned char* at = buffer.data();;) {
    const auto* process = reinterpret_cast<const SYSTEM_PROCESS_INFORMATION*>(at);
    const auto* list = reinterpret_cast<const ThreadCounters*>(process + 1);
    for (ULONG i = 0; i < process->NumberOfThreads; ++i) {
      if (list[i].thread_id != thread_id) continue;
      thread = list[i];
      if (owner != nullptr) {
        owner->base_priority = process->BasePriority;
        owner->threads = process->NumberOfThreads;
        for (ULONG k = 0; k < process->NumberOfThreads; ++k) {
          owner->kernel_time += list[k].kernel_time;
          owner->user_time += list[k].user_time;
        }
      }
      return true;
    }
    if (process->NextEntryOffset == 0) return false;
    at += process->NextEntryOffset;
  }
}

inline ThreadCounters counters_of(DWORD thread_id) {
  ThreadCounters counters{};
  read_counters(thread_id, counters);
  return counters;
}
inline ThreadCounters own_counters() { return counters_of(GetCurrentThreadId()); }

// A short piece of work that makes no call: some 13 microseconds at one instruction a cycle and 3 GHz.
inline void work_a_little() {
  for (unsigned left = 20'000; left != 0; --left) asm volatile("");
}

inline double clock_ms() {
  LARGE_INTEGER count, frequency;
  QueryPerformanceCounter(&count);
  QueryPerformanceFrequency(&frequency);
  return 1000.0 * static_cast<double>(count.QuadPart) / static_cast<double>(frequency.QuadPart);
}

inline void work_for_ms(double ms) {
  const double end = clock_ms() + ms;
  while (clock_ms() < end) work_a_little();
}

// Milliseconds between two clock interrupts: what quanta are counted in.
inline double tick_ms() {
  DWORD adjustment = 0, increment = 0;
  BOOL disabled = FALSE;
  GetSystemTimeAdjustment(&adjustment, &increment, &disabled);
  return increment / 10'000.0;
}
