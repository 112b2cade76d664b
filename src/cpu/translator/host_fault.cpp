#include "cpu/translator/host_fault.h"

#include <signal.h>
#include <ucontext.h>

#include <mutex>

namespace vitrine::cpu::translator {
namespace {

// A signal handler belongs to the process and is told nothing but the signal: what it needs has to be found from here.
// None of this is seen by a guest.
thread_local HostFaultScope* current_scope = nullptr;  // tidy: allow global: the only way to the handler
struct sigaction previous_action;
std::once_flag installed;  // tidy: allow global: one handler for the process

void on_sigfpe(int number, siginfo_t* info, void* opaque) {
  auto* const context = static_cast<ucontext_t*>(opaque);
  greg_t& rip = context->uc_mcontext.gregs[REG_RIP];
  const auto vector = static_cast<u64>(context->uc_mcontext.gregs[REG_TRAPNO]);
  const u8* stub = nullptr;
  if (current_scope != nullptr && current_scope->take(reinterpret_cast<const void*>(rip), vector, &stub)) {
    rip = reinterpret_cast<greg_t>(stub);
    return;
  }
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr) {
    previous_action.sa_sigaction(number, info, opaque);
  } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(number);
  } else {
    signal(number, SIG_DFL);
    raise(number);
  }
}

}  // namespace

HostFaultScope::HostFaultScope(Frame& frame, const CodeCache& cache, const u8* stub)
    : frame_(frame), cache_(cache), stub_(stub), outer_(current_scope) {
  current_scope = this;
}

HostFaultScope::~HostFaultScope() { current_scope = outer_; }

void HostFaultScope::install_handler() {
  std::call_once(installed, [] {
    struct sigaction action{};
    action.sa_sigaction = on_sigfpe;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGFPE, &action, &previous_action);
  });
}

bool HostFaultScope::take(const void* host_pc, u64 vector, const u8** stub) const {
  if (!cache_.contains(host_pc)) return false;
  frame_.exit_rip = reinterpret_cast<u64>(host_pc);
  frame_.exit_argument = static_cast<u32>(vector);
  *stub = stub_;
  return true;
}

}  // namespace vitrine::cpu::translator
