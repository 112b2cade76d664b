// Two threads hand a turn to and fro over two auto-reset events.
#include <windows.h>

#include <cstdio>
#include <cstdlib>

namespace {
HANDLE g_ping, g_pong;
int g_rounds;

DWORD WINAPI partner(void*) {
  for (int i = 0; i < g_rounds; ++i) {
    WaitForSingleObject(g_ping, INFINITE);
    SetEvent(g_pong);
  }
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  g_rounds = argc > 1 ? std::atoi(argv[1]) : 100'000;
  g_ping = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  g_pong = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  HANDLE thread = CreateThread(nullptr, 0, partner, nullptr, 0, nullptr);
  for (int i = 0; i < g_rounds; ++i) {
    SetEvent(g_ping);
    WaitForSingleObject(g_pong, INFINITE);
  }
  WaitForSingleObject(thread, INFINITE);
  std::printf("%d rounds\n", g_rounds);
  return 0;
}
