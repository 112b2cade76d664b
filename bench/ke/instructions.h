// How many instructions a piece of work takes, exactly, also where a virtual machine has no performance counters: a
// fork of this process does it while we let it run one instruction at a time. A `rep` instruction counts once for each
// repetition; none runs on the paths measured here (their addresses never repeat).
#pragma once

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/types.h"

namespace vitrine::ke {

// From the child's stop to its next signal. 0: this host does not let us trace.
template <typename Work>
u64 count_instructions(Work work) {
  const pid_t child = fork();
  if (child < 0) return 0;
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
    std::raise(SIGSTOP);
    work();
    std::raise(SIGUSR1);
    _exit(0);
  }
  int status = 0;
  u64 steps = 0;
  if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return 0;
  do {
    ++steps;
    if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
  } while (waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return steps;
}

// Of one of `count` repetitions; what the measuring itself takes is taken off.
template <typename Work>
double instructions_each(u64 count, Work work) {
  const u64 nothing = count_instructions([] {});
  const u64 all = count_instructions([&] {
    for (u64 i = 0; i < count; ++i) work();
  });
  return all <= nothing ? 0 : static_cast<double>(all - nothing) / static_cast<double>(count);
}

}  // namespace vitrine::ke
