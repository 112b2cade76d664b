// Slices, classes and priorities, measured by the threads themselves. Everything runs on one processor: the scheduler's
// rules are between threads of one. Each line is a rule of [WI5 ch.5 "Thread Scheduling"]; a client's quanta are short
// and variable: two clock ticks for a background process [facts 6.3].
#include <cstdio>
#include <vector>

#include "report.h"
#include "thread_counters.h"

namespace {

constexpr double kGapMs = 1;  // a spinner that does not see the clock for longer was not running

struct Spinner {
  HANDLE thread = nullptr;
  DWORD id = 0;
  std::vector<double> slices;  // whole ones: begun and ended by another thread
  double ran_ms = 0;
};

volatile LONG g_stop;

DWORD WINAPI spin(void* argument) {
  auto& self = *static_cast<Spinner*>(argument);
  double begin = clock_ms(), last = begin;
  bool whole = false;  // the first slice began before the measurement did
  while (g_stop == 0) {
    work_a_little();
    const double now = clock_ms();
    if (now - last > kGapMs) {
      if (whole) self.slices.push_back(last - begin);
      self.ran_ms += last - begin;
      begin = now;
      whole = true;
    }
    last = now;
  }
  self.ran_ms += last - begin;
  return 0;
}

// All start at once: the caller, of higher priority, holds the processor until it waits.
void start(std::vector<Spinner>& spinners, std::initializer_list<int> priorities) {
  spinners.resize(priorities.size());
  auto spinner = spinners.begin();
  for (const int priority : priorities) {
    spinner->thread = CreateThread(nullptr, 0, spin, &*spinner, 0, &spinner->id);
    SetThreadPriority(spinner->thread, priority);
    ++spinner;
  }
}

void stop(std::vector<Spinner>& spinners) {
  g_stop = 1;
  for (Spinner& spinner : spinners) {
    WaitForSingleObject(spinner.thread, INFINITE);
    CloseHandle(spinner.thread);
  }
  g_stop = 0;
}

// NT 6.1 counts a quantum of two ticks in cycles and looks at ticks only; what the interrupts took is not charged, so
// that after two ticks a few cycles are missing and the third ends it [WI6p1 ch.5 "Quantum Accounting"]. Expected: 800
// ms are 51 ticks, seventeen slices of three; the three spinners' first and last ones are not whole, which leaves at
// least ten. In turns, each gets a third of the time, and one slice more or less is less than the twelfth that a
// quarter allows.
void equal_priorities() {
  std::vector<Spinner> spinners;
  start(spinners, {THREAD_PRIORITY_NORMAL, THREAD_PRIORITY_NORMAL, THREAD_PRIORITY_NORMAL});
  Sleep(800);
  stop(spinners);
  std::size_t slices = 0, right = 0;
  double total = 0, least = 1e9;
  for (const Spinner& spinner : spinners) {
    for (const double slice : spinner.slices) {
      ++slices;
      const double ticks = slice / tick_ms();
      right += ticks > 1.9 && ticks < 3.1;
    }
    total += spinner.ran_ms;
    least = spinner.ran_ms < least ? spinner.ran_ms : least;
  }
  std::printf(
      "three spinners of one priority: at least ten slices %d, each of two to three ticks %d, nobody got less than a "
      "quarter %d\n",
      slices >= 10, right == slices, least > total / 4);
}

// The ready thread of the highest priority runs; a lower one gets nothing while that one does not wait, for seconds at
// least [facts 6.6: starvation is looked at after 300 ticks].
void different_priorities() {
  std::vector<Spinner> spinners;
  start(spinners, {THREAD_PRIORITY_BELOW_NORMAL, THREAD_PRIORITY_NORMAL});
  Sleep(300);
  const ThreadCounters low = counters_of(spinners[0].id), high = counters_of(spinners[1].id);
  Report{"lower priority: state %lu (ready), user time %lld\n", low.state, low.user_time};
  std::printf("higher priority: user time of at least 15 ticks %d\n", high.user_time >= 15 * tick_ms() * 10'000);
  // Lifted above the other, it preempts it at once.
  SetThreadPriority(spinners[0].thread, THREAD_PRIORITY_ABOVE_NORMAL);
  Sleep(100);
  const ThreadCounters lifted = counters_of(spinners[0].id), lowered = counters_of(spinners[1].id);
  std::printf("lifted: priority %ld, runs %d; the other: state %lu, got nothing more %d\n", lifted.priority,
              lifted.user_time > low.user_time, lowered.state, lowered.user_time <= high.user_time);
  stop(spinners);
}

// The classes' bases 4, 6, 8, 10, 13, 24, and what relative priorities add [facts 6.1]; idle and time-critical are ends
// of the range, not distances. Expected, by hand: the base and -2, -1, 0, +1, +2 around it, 1 and 15 at the ends; the
// high class's 13 + 2 is 15 as well. Without SeIncreaseBasePriorityPrivilege, real time becomes high.
void classes() {
  constexpr DWORD kClasses[] = {IDLE_PRIORITY_CLASS, BELOW_NORMAL_PRIORITY_CLASS, NORMAL_PRIORITY_CLASS,
                                ABOVE_NORMAL_PRIORITY_CLASS, HIGH_PRIORITY_CLASS};
  constexpr int kRelative[] = {THREAD_PRIORITY_IDLE,         THREAD_PRIORITY_LOWEST,       THREAD_PRIORITY_BELOW_NORMAL,
                               THREAD_PRIORITY_NORMAL,       THREAD_PRIORITY_ABOVE_NORMAL, THREAD_PRIORITY_HIGHEST,
                               THREAD_PRIORITY_TIME_CRITICAL};
  for (const DWORD priority_class : kClasses) {
    SetPriorityClass(GetCurrentProcess(), priority_class);
    ThreadCounters self{};
    ProcessCounters process;
    SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_NORMAL);
    read_counters(GetCurrentThreadId(), self, &process);
    std::printf("class %lx: process %ld, threads", GetPriorityClass(GetCurrentProcess()), process.base_priority);
    for (const int relative : kRelative) {
      SetThreadPriority(GetCurrentThread(), relative);
      std::printf(" %ld", own_counters().base_priority);
    }
    std::printf("\n");
  }
  SetPriorityClass(GetCurrentProcess(), NORMAL_PRIORITY_CLASS);
  SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_HIGHEST);
}

// Lowering the class takes every thread along, and another process's thread of normal class goes first: the child is
// this program, spinning. Expected: base 4 against 8 gets no tick in 100 ms, as starvation is not looked at before 300
// ticks.
void class_between_processes(const char* self) {
  std::vector<Spinner> spinners;
  STARTUPINFOA startup{};
  startup.cb = sizeof startup;
  PROCESS_INFORMATION child{};
  char line[MAX_PATH + 16];
  std::snprintf(line, sizeof line, "\"%s\" spin", self);
  if (!CreateProcessA(nullptr, line, nullptr, nullptr, FALSE, CREATE_SUSPENDED, nullptr, nullptr, &startup, &child))
    return;
  SetProcessAffinityMask(child.hProcess, 1);
  SetPriorityClass(child.hProcess, IDLE_PRIORITY_CLASS);
  start(spinners, {THREAD_PRIORITY_NORMAL});
  ResumeThread(child.hThread);
  Sleep(100);
  const ThreadCounters idle = counters_of(child.dwThreadId), normal = counters_of(spinners[0].id);
  std::printf("child of the idle class: base %ld, got %d ticks; ours of the normal class: base %ld, got most %d\n",
              idle.base_priority, static_cast<int>((idle.user_time + idle.kernel_time) / (tick_ms() * 10'000)),
              normal.base_priority, normal.user_time >= 4 * tick_ms() * 10'000);
  stop(spinners);
  Sleep(100);  // nobody else wants the processor: now the child runs
  const ThreadCounters alone = counters_of(child.dwThreadId);
  std::printf("alone, the child runs %d\n", alone.user_time + alone.kernel_time > idle.user_time + idle.kernel_time);
  TerminateProcess(child.hProcess, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    for (;;) work_a_little();
  }
  SetProcessAffinityMask(GetCurrentProcess(), 1);
  SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_HIGHEST);
  equal_priorities();
  different_priorities();
  classes();
  class_between_processes(argv[0]);
  return 0;
}
