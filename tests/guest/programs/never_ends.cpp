// Runs for ever: says so, then spins ("spin"), sleeps ("sleep"), or keeps four threads busy ("threads").
#include <windows.h>

#include <cstdio>
#include <string>

namespace {
volatile unsigned long long counter;
DWORD WINAPI spin(void*) {
  for (;;) counter = counter + 1;
}
}  // namespace

int main(int argc, char** argv) {
  std::string way = argc > 1 ? argv[1] : "spin";
  std::printf("running\n");
  std::fflush(stdout);
  if (way == "sleep") Sleep(INFINITE);
  if (way == "threads")
    for (int i = 0; i < 4; ++i) CreateThread(nullptr, 0, spin, nullptr, 0, nullptr);
  spin(nullptr);
}
