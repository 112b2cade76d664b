// Writes until something refuses, and says on standard error what and after how many bytes. Verbs: output SIZE (to
// standard output), file NAME SIZE (to a file), map NAME SIZE (through a view), copy (standard input to standard
// output, bytes unchanged), read NAME (a file that may be gone).
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

int fill(HANDLE to, long long size) {
  std::vector<char> block(10'000);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>('a' + i % 26);
  long long done = 0;
  while (done < size) {
    DWORD count = 0;
    const DWORD wanted = static_cast<DWORD>(size - done < 10'000 ? size - done : 10'000);
    if (!WriteFile(to, block.data(), wanted, &count, nullptr)) {
      std::fprintf(stderr, "error %lu after %lld\n", GetLastError(), done);
      return 3;
    }
    done += count;
  }
  if (!FlushFileBuffers(to)) std::fprintf(stderr, "flush %lu\n", GetLastError());
  std::fprintf(stderr, "wrote %lld\n", done);
  return 0;
}

int map(const char* name, long long size) {
  HANDLE file = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, 0, nullptr);
  HANDLE mapping = CreateFileMappingA(file, nullptr, PAGE_READWRITE, static_cast<DWORD>(size >> 32),
                                      static_cast<DWORD>(size), nullptr);
  if (mapping == nullptr) {
    std::fprintf(stderr, "map error %lu\n", GetLastError());
    return 3;
  }
  auto* view = static_cast<char*>(MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0));
  view[0] = 'x';
  std::fprintf(stderr, "mapped, flush %d\n", FlushViewOfFile(view, 0));
  return 0;
}

int copy() {
  HANDLE from = GetStdHandle(STD_INPUT_HANDLE), to = GetStdHandle(STD_OUTPUT_HANDLE);
  char block[5000];
  DWORD count = 0;
  while (ReadFile(from, block, sizeof block, &count, nullptr) && count != 0) {
    DWORD put = 0;
    if (!WriteFile(to, block, count, &put, nullptr) || put != count) return 3;
  }
  return 0;
}

int read(const char* name) {
  HANDLE file = CreateFileA(name, GENERIC_READ, 7, nullptr, OPEN_EXISTING, 0, nullptr);
  if (file == INVALID_HANDLE_VALUE) {
    std::fprintf(stderr, "open error %lu\n", GetLastError());
    return 3;
  }
  std::fprintf(stderr, "opened\n");
  char text[100] = {};
  DWORD count = 0;
  ReadFile(GetStdHandle(STD_INPUT_HANDLE), text, 1, &count, nullptr);  // until somebody says go
  const BOOL ok = ReadFile(file, text, sizeof text - 1, &count, nullptr);
  std::fprintf(stderr, "read %d %lu %s\n", ok, count, text);
  CloseHandle(file);
  file = CreateFileA(name, GENERIC_READ, 7, nullptr, OPEN_EXISTING, 0, nullptr);
  std::fprintf(stderr, "again %lu\n", file == INVALID_HANDLE_VALUE ? GetLastError() : 0);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string verb = count > 1 ? arguments[1] : "";
  if (verb == "output") return fill(GetStdHandle(STD_OUTPUT_HANDLE), std::atoll(arguments[2]));
  if (verb == "copy") return copy();
  if (verb == "read") return read(arguments[2]);
  if (verb == "map") return map(arguments[2], std::atoll(arguments[3]));
  if (verb != "file") return 2;
  HANDLE file = CreateFileA(arguments[2], GENERIC_WRITE, FILE_SHARE_READ, nullptr, CREATE_ALWAYS, 0, nullptr);
  if (file == INVALID_HANDLE_VALUE) {
    std::fprintf(stderr, "open error %lu\n", GetLastError());
    return 3;
  }
  return fill(file, std::atoll(arguments[3]));
}
