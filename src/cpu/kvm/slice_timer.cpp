#include "cpu/kvm/slice_timer.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>

#include "base/check.h"

namespace vitrine::cpu::kvm {
namespace {

// A signal handler belongs to the process and is told nothing but the signal: what it needs has to be found from here.
// None of this is seen by a guest.
thread_local u8* volatile current_exit = nullptr;   // tidy: allow global: the only way to the handler
thread_local volatile sig_atomic_t timer_came = 0;  // tidy: allow global: the only way out of the handler
std::once_flag installed;                           // tidy: allow global: one handler for the process

int signal_number() { return SIGRTMIN + 7; }

void on_signal(int, siginfo_t* info, void*) {
  if (info->si_code == SI_TIMER) timer_came = 1;
  if (u8* const flag = current_exit; flag != nullptr) *const_cast<volatile u8*>(flag) = 1;
}

void install_handler() {
  struct sigaction action{};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal_number(), &action, nullptr);
}

pid_t this_thread() { return static_cast<pid_t>(syscall(SYS_gettid)); }

void set(timer_t timer, u64 nanoseconds) {
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(nanoseconds / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000);
  VITRINE_CHECK(timer_settime(timer, 0, &when, nullptr) == 0);
}

}  // namespace

SliceTimer::~SliceTimer() {
  if (owner_ != 0) timer_delete(timer_);
}

void SliceTimer::make_timer() {
  std::call_once(installed, install_handler);
  if (owner_ != 0) timer_delete(timer_);
  owner_ = this_thread();
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = signal_number();
  event._sigev_un._tid = owner_;
  VITRINE_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0);
}

void SliceTimer::start(u64 nanoseconds, u8* immediate_exit) {
  if (owner_ != this_thread()) make_timer();
  timer_came = 0;
  current_exit = immediate_exit;
  running_.store(owner_, std::memory_order_release);
  set(timer_, nanoseconds);
}

bool SliceTimer::expired() { return timer_came != 0; }

void SliceTimer::stop() {
  set(timer_, 0);
  running_.store(0, std::memory_order_release);
  current_exit = nullptr;
}

void SliceTimer::interrupt() const {
  const pid_t thread = running_.load(std::memory_order_acquire);
  if (thread != 0) (void)syscall(SYS_tgkill, getpid(), thread, signal_number());
}

}  // namespace vitrine::cpu::kvm
