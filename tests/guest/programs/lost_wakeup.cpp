// A wake-up that comes before anybody waits: the producer pulses an event (or, with `reset`, sets and resets it) while
// the consumer is still busy, and the consumer then waits for it for ever. Never ends by itself: kd explains why.
#include <windows.h>

#include <cstring>

#include "name_thread.h"

namespace {

HANDLE ready;

DWORD WINAPI consumer(void*) {
  name_thread(L"consumer");
  Sleep(20);  // still at something else
  WaitForSingleObject(ready, INFINITE);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  name_thread(L"producer");
  ready = CreateEventW(nullptr, TRUE, FALSE, L"Ready");
  const HANDLE thread = CreateThread(nullptr, 0, consumer, nullptr, 0, nullptr);
  Sleep(5);
  if (argc > 1 && std::strcmp(argv[1], "reset") == 0) {
    SetEvent(ready);
    ResetEvent(ready);
  } else {
    PulseEvent(ready);
  }
  WaitForSingleObject(thread, INFINITE);
  return 0;
}
