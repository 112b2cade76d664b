// Fibers: three of them hand control around, with values in registers, stack and fiber-local storage.
#include <windows.h>

#include <cstdio>

namespace {
void* fibers[3];
void* home;
int trace[64], traced;
DWORD slot;

void CALLBACK run(void* argument) {
  auto self = static_cast<int>(reinterpret_cast<INT_PTR>(argument));
  FlsSetValue(slot, argument);
  for (int round = 0; round < 5; ++round) {
    trace[traced++] = self * 10 + round;
    if (FlsGetValue(slot) != argument) trace[traced++] = -1;
    SwitchToFiber(self == 2 ? home : fibers[self + 1]);
  }
  SwitchToFiber(home);
}
}  // namespace

int main() {
  home = ConvertThreadToFiber(nullptr);
  slot = FlsAlloc(nullptr);
  for (int i = 0; i < 3; ++i) fibers[i] = CreateFiber(65536, run, reinterpret_cast<void*>(static_cast<INT_PTR>(i)));
  for (int round = 0; round < 5; ++round) SwitchToFiber(fibers[0]);
  for (int i = 0; i < traced; ++i) std::printf("%d ", trace[i]);
  std::printf("\n");
  for (void* fiber : fibers) DeleteFiber(fiber);
  std::printf("back %d\n", ConvertFiberToThread());
  return 0;
}
