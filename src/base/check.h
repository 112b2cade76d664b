// VITRINE_CHECK: an invariant of ours, checked in every build. It is for programmer errors only; nothing that a guest
// does may ever reach one.
#pragma once

namespace vitrine {

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

// Called once by check_failed before it aborts, so that the composition root can write a crash bundle (seed, trace tail).
// It must not allocate without bound and must not check again.
using CheckHook = void (*)(const char* condition, const char* file, int line);
void set_check_hook(CheckHook hook);

}  // namespace vitrine

#define VITRINE_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::vitrine::check_failed(#condition, __FILE__, __LINE__))
