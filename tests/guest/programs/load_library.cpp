// DLLs at run time: our own beside the program and the system's; exports, reference counts, notifications, resources'
// absence.
#include <windows.h>

#include <cstdio>

#include "report.h"

namespace {
template <typename T>
T find(HMODULE module, const char* name) {
  return reinterpret_cast<T>(reinterpret_cast<void*>(GetProcAddress(module, name)));
}
DWORD WINAPI nothing(void*) { return 0; }
}  // namespace

int main() {
  HMODULE library = LoadLibraryA("guest_library.dll");
  std::printf("loaded %d\n", library != nullptr);
  if (!library) return 1;
  auto notifications = find<LONG (*)(DWORD)>(library, "notifications");
  Report{"process attach %ld thread attach %ld\n", notifications(1), notifications(2)};
  for (int i = 0; i < 3; ++i) {
    HANDLE thread = CreateThread(nullptr, 0, nothing, nullptr, 0, nullptr);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
  }
  Report{"thread attach %ld detach %ld\n", notifications(2), notifications(3)};
  std::printf("add %d value %d\n", find<int (*)(int, int)>(library, "add")(40, 2),
              *find<int*>(library, "exported_value"));
  std::printf("exception inside %d\n", find<int (*)(int)>(library, "throw_and_catch")(5));
  std::printf("same module %d\n", LoadLibraryA("GUEST_LIBRARY") == library);
  FARPROC absent = GetProcAddress(library, "absent");
  std::printf("absent export %d error %lu\n", absent != nullptr, GetLastError());
  Report{"free %d %d", FreeLibrary(library), FreeLibrary(library)};
  std::printf(" gone %d\n", GetModuleHandleA("guest_library.dll") == nullptr);
  HMODULE missing = LoadLibraryA("no_such_library.dll");
  std::printf("missing %d error %lu\n", missing != nullptr, GetLastError());
  HMODULE advapi = LoadLibraryA("advapi32.dll");
  std::printf("advapi32 %d forwarded export %d\n", advapi != nullptr,
              GetProcAddress(advapi, "RegOpenKeyExA") != nullptr);
  char path[MAX_PATH];
  DWORD length = GetModuleFileNameA(nullptr, path, sizeof path);
  std::printf("own name %s\n", length > 16 ? path + length - 16 : path);
  return 0;
}
