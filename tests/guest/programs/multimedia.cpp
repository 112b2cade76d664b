// The multimedia class scheduler through avrt.dll [WI5 ch.5; Microsoft: "Multimedia Class Scheduler Service"]: names,
// priorities while a share lasts, the share itself on one processor, and the way back.
// clang-format off: avrt.h needs windows.h before it
#include <windows.h>
#include <avrt.h>
// clang-format on

#include <cstdio>

#include "thread_counters.h"

namespace {

void refusals() {
  DWORD index = 0;
  SetLastError(0);
  HANDLE task = AvSetMmThreadCharacteristicsW(L"No Such Task", &index);
  std::printf("a name that is none: %d error %lu\n", task != nullptr, GetLastError());
  task = AvSetMmThreadCharacteristicsA("Playback", &index);
  std::printf("by its narrow name: %d, an index: %d\n", task != nullptr, index != 0);
  SetLastError(0);
  DWORD again = 0;
  const HANDLE second = AvSetMmThreadCharacteristicsW(L"Games", &again);
  std::printf("a thread has one task: %d error %lu\n", second != nullptr, GetLastError());
  ULONG percent = 0;
  const BOOL good = AvQuerySystemResponsiveness(task, &percent);
  std::printf("responsiveness: %d %lu\n", good, percent);
  std::printf("reverted: %d\n", AvRevertMmThreadCharacteristics(task));
}

// Highest and lowest priority that it has over some periods, as another thread sees them.
struct Range {
  LONG highest = 0, lowest = 31;
};
Range watch(DWORD thread, double ms) {
  Range range;
  const double end = clock_ms() + ms;
  while (clock_ms() < end) {
    const LONG priority = counters_of(thread).priority;
    if (priority > range.highest) range.highest = priority;
    if (priority < range.lowest) range.lowest = priority;
    Sleep(1);
  }
  return range;
}

struct Player {
  const wchar_t* task;
  const wchar_t* second;
  AVRT_PRIORITY priority;
  HANDLE joined, go_on;
};

DWORD WINAPI play(void* argument) {
  auto& self = *static_cast<Player*>(argument);
  DWORD index = 0;
  const HANDLE task = self.second != nullptr ? AvSetMmMaxThreadCharacteristicsW(self.task, self.second, &index)
                                             : AvSetMmThreadCharacteristicsW(self.task, &index);
  if (self.priority != AVRT_PRIORITY_NORMAL) AvSetMmThreadPriority(task, self.priority);
  SetEvent(self.joined);
  WaitForSingleObject(self.go_on, INFINITE);
  AvRevertMmThreadCharacteristics(task);
  return static_cast<DWORD>(own_counters().priority);
}

void show(const char* what, const wchar_t* task, AVRT_PRIORITY priority, const wchar_t* second = nullptr) {
  Player player{task, second, priority, CreateEventW(nullptr, FALSE, FALSE, nullptr),
                CreateEventW(nullptr, FALSE, FALSE, nullptr)};
  DWORD id = 0;
  const HANDLE thread = CreateThread(nullptr, 0, play, &player, 0, &id);
  SetThreadPriorityBoost(thread, TRUE);
  WaitForSingleObject(player.joined, INFINITE);
  const Range range = watch(id, 20 * tick_ms());
  SetEvent(player.go_on);
  WaitForSingleObject(thread, INFINITE);
  DWORD after = 0;
  GetExitCodeThread(thread, &after);
  std::printf("%-28s %ld, then %ld; afterwards %lu\n", what, range.highest, range.lowest, after);
  CloseHandle(thread);
}

volatile LONG g_stop;
DWORD WINAPI keep_busy(void*) {
  while (g_stop == 0) work_a_little();
  return 0;
}
DWORD WINAPI keep_playing(void* joined) {
  DWORD index = 0;
  AvSetMmThreadCharacteristicsW(L"Pro Audio", &index);
  SetEvent(joined);
  while (g_stop == 0) work_a_little();
  return 0;
}

// NT: four fifths of the time belong to the task, in spite of a busy thread of priority 15.
void share() {
  DWORD player_id = 0, busy_id = 0;
  const HANDLE joined = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  SetProcessAffinityMask(GetCurrentProcess(), 1);  // or each has a processor of its own
  SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_TIME_CRITICAL);
  const HANDLE threads[2] = {CreateThread(nullptr, 0, keep_playing, joined, 0, &player_id),
                             CreateThread(nullptr, 0, keep_busy, nullptr, CREATE_SUSPENDED, &busy_id)};
  WaitForSingleObject(joined, INFINITE);
  SetThreadPriority(threads[1], THREAD_PRIORITY_TIME_CRITICAL);
  ResumeThread(threads[1]);
  Sleep(static_cast<DWORD>(100 * tick_ms()));
  const auto time = [](DWORD id) {
    const ThreadCounters c = counters_of(id);
    return static_cast<double>(c.user_time + c.kernel_time);
  };
  const double played = time(player_id), was_busy = time(busy_id), part = played / (played + was_busy);
  g_stop = 1;
  WaitForMultipleObjects(2, threads, TRUE, INFINITE);
  std::printf("the player's part of the time is four fifths: %d\n", part > 0.75 && part < 0.85);
  if (part <= 0.75 || part >= 0.85) std::printf("  %f\n", part);
}

}  // namespace

int main() {
  refusals();
  show("Pro Audio:", L"Pro Audio", AVRT_PRIORITY_NORMAL);
  show("Pro Audio, critical:", L"Pro Audio", AVRT_PRIORITY_CRITICAL);
  show("Games:", L"Games", AVRT_PRIORITY_NORMAL);
  show("Audio, low:", L"Audio", AVRT_PRIORITY_LOW);
  show("the better of two:", L"Games", AVRT_PRIORITY_NORMAL, L"Audio");
  share();
  return 0;
}
