// A DLL for load_library: counts what its entry point is told, and exports by name and by number. Also run as a program
// by the bad-input tests, which must refuse it.
#include <windows.h>

namespace {
LONG counts[4];
}

extern "C" __declspec(dllexport) LONG notifications(DWORD reason) { return reason < 4 ? counts[reason] : -1; }
extern "C" __declspec(dllexport) int add(int a, int b) { return a + b; }
extern "C" {
__declspec(dllexport) int exported_value = 1234;
}
extern "C" __declspec(dllexport) int throw_and_catch(int value) {
  try {
    throw value;
  } catch (int caught) {
    return caught + 1;
  }
}

BOOL WINAPI DllMain(HINSTANCE, DWORD reason, LPVOID) {
  if (reason < 4) InterlockedIncrement(&counts[reason]);
  return TRUE;
}
