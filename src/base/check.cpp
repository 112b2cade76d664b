#include "base/check.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace vitrine {
namespace {
// The one process-wide variable: a crash has no Machine to ask. It decides nothing that a guest can see.
std::atomic<CheckHook> g_check_hook{nullptr};  // tidy: allow global: see above
}  // namespace

void set_check_hook(CheckHook hook) { g_check_hook = hook; }

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "vitrine: internal check failed: %s (%s:%d); please report this with the command line\n", condition,
               file, line);
  if (CheckHook hook = g_check_hook.exchange(nullptr)) hook(condition, file, line);
  std::abort();
}

}  // namespace vitrine
