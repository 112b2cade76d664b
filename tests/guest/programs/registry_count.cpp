// Counts its runs in the registry, as far as that is kept.
#include <windows.h>

#include <cstdio>

int main() {
  HKEY key = nullptr;
  DWORD count = 0, bytes = sizeof count;
  if (RegCreateKeyExA(HKEY_CURRENT_USER, "Software\\Vitrine Test\\Counter", 0, nullptr, 0, KEY_ALL_ACCESS, nullptr,
                      &key, nullptr) != 0)
    return 1;
  RegQueryValueExA(key, "Runs", nullptr, nullptr, reinterpret_cast<BYTE*>(&count), &bytes);
  ++count;
  if (RegSetValueExA(key, "Runs", 0, REG_DWORD, reinterpret_cast<const BYTE*>(&count), sizeof count) != 0) return 1;
  RegCloseKey(key);
  std::printf("count %lu\n", count);
  return 0;
}
