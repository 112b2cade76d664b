// The environment block: set, get, expand, enumerate in order, delete; and the errors.
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main() {
  char buffer[256];
  SetEnvironmentVariableA("VITRINE_B", "second");
  SetEnvironmentVariableA("vitrine_a", "first");
  SetEnvironmentVariableA("VITRINE_C", "third %VITRINE_B%");
  std::printf("length %lu\n", GetEnvironmentVariableA("VITRINE_A", buffer, sizeof buffer));
  std::printf("value %s\n", buffer);
  std::printf("too small %lu\n", GetEnvironmentVariableA("VITRINE_A", buffer, 3));
  SetLastError(0);
  DWORD length = GetEnvironmentVariableA("VITRINE_ABSENT", buffer, sizeof buffer);
  std::printf("absent %lu error %lu\n", length, GetLastError());
  ExpandEnvironmentStringsA("<%vitrine_a%|%VITRINE_C%|%VITRINE_ABSENT%>", buffer, sizeof buffer);
  std::printf("expanded %s\n", buffer);
  SetEnvironmentVariableA("VITRINE_B", nullptr);
  char* block = GetEnvironmentStringsA();
  for (char* entry = block; *entry; entry += std::strlen(entry) + 1)
    if (_strnicmp(entry, "vitrine_", 8) == 0) std::printf("entry %s\n", entry);
  FreeEnvironmentStringsA(block);
  _putenv("VITRINE_D=from the run-time");
  std::printf("getenv %s\n", std::getenv("VITRINE_D"));
  std::printf("systemroot %s\n", std::getenv("SystemRoot"));
  return 0;
}
