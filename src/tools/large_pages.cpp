#include "tools/large_pages.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>

namespace vitrine::tools {
namespace {

constexpr std::uintptr_t kLargePage = 2u << 20;
constexpr int kStepBytes = 64 << 20;
constexpr std::chrono::microseconds kLook{500};
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE of Linux 5.14, which Debian 12's headers may lack

// As the kernel has it: the C library's copy is another thread's to change.
std::uintptr_t heap_end() { return static_cast<std::uintptr_t>(syscall(SYS_brk, 0)); }

int advise(std::uintptr_t from, std::uintptr_t to, int advice) {
  return madvise(reinterpret_cast<void*>(from), to - from, advice);
}

void follow_heap(const std::stop_token& stop) {
  std::uintptr_t done = (heap_end() + kLargePage - 1) & ~(kLargePage - 1);
  bool populates = true;
  while (!stop.stop_requested()) {
    const std::uintptr_t end = heap_end() & ~(kLargePage - 1);
    if (end <= done) {
      if (end < done) done = end + kLargePage;  // it shrank, and will have to be asked for again
      std::this_thread::sleep_for(kLook);
      continue;
    }
    (void)advise(done, end, MADV_HUGEPAGE);
    for (; done < end && !stop.stop_requested(); done += kLargePage) {
      populates = populates && advise(done, done + kLargePage, kPopulateWrite) == 0;
    }
  }
}

}  // namespace

LargePages::LargePages() {
  (void)mallopt(M_TOP_PAD, kStepBytes);
  // Signals are the main thread's to take.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  worker_ = std::jthread(follow_heap);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LargePages::~LargePages() = default;

}  // namespace vitrine::tools
