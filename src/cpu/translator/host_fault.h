// HostFaultScope: while one lives, a SIGFPE raised by generated code becomes an exit of that code instead of the end of
// the process. The guest may unmask floating-point exceptions; its instructions run on the host with the guest's MXCSR
// and x87 control word, so the host's processor reports them, precisely, before anything is written.
//
// The handler is installed when a guest first unmasks an exception, not before. It only moves the thread to a stub; a
// SIGFPE from anywhere else goes to the handler that was there before. The thread-local pointer is the one thing a
// signal handler can find its way by.
#pragma once

#include "cpu/translator/code_cache.h"
#include "cpu/translator/frame.h"

namespace vitrine::cpu::translator {

class HostFaultScope {
 public:
  HostFaultScope(Frame& frame, const CodeCache& cache, const u8* stub);
  ~HostFaultScope();
  HostFaultScope(const HostFaultScope&) = delete;
  HostFaultScope& operator=(const HostFaultScope&) = delete;

  static void install_handler();

  // True if the fault was in generated code: the address to go on at is in `stub`. `vector`: #MF or #XM; an instruction
  // that converts between MMX and XMM registers may raise either.
  [[nodiscard]] bool take(const void* host_pc, u64 vector, const u8** stub) const;

 private:
  Frame& frame_;
  const CodeCache& cache_;
  const u8* stub_;
  HostFaultScope* outer_;
};

}  // namespace vitrine::cpu::translator
