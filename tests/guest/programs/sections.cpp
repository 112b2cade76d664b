// Sections: shared memory by name, two views of one page, a file mapped and written through, copy on write, the errors.
#include <windows.h>

#include <psapi.h>

#include <cstdio>
#include <cstring>

#include "report.h"

namespace {
// The last part of the name of the file that is mapped there; the rest differs between machines.
void print_mapped_file(const char* what, void* address) {
  char name[1024] = "";
  const DWORD length = K32GetMappedFileNameA(GetCurrentProcess(), address, name, sizeof name);
  const char* const last = std::strrchr(name, '\\');
  std::printf("%s is %s error %lu\n", what, last == nullptr ? name : last + 1, length == 0 ? GetLastError() : 0);
}
}  // namespace

int main() {
  HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0, 200000, "vitrine-section");
  HANDLE opened = OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, "vitrine-section");
  auto* first = static_cast<char*>(MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, 0));
  auto* second = static_cast<char*>(MapViewOfFile(opened, FILE_MAP_READ, 0, 65536, 4096));
  std::printf("two views %d zero at first %d\n", first != second, second[10]);
  std::strcpy(first + 65536 + 10, "seen through the other view");
  std::printf("%s\n", second + 10);
  MEMORY_BASIC_INFORMATION info{};
  VirtualQuery(first, &info, sizeof info);
  std::printf("region %llx state %lx protect %lx type %lx\n", static_cast<unsigned long long>(info.RegionSize),
              info.State, info.Protect, info.Type);
  char* copy = static_cast<char*>(MapViewOfFile(section, FILE_MAP_COPY, 0, 65536, 4096));
  copy[10] = 'S';
  std::printf("private %c shared %c\n", copy[10], second[10]);
  void* misaligned = MapViewOfFile(section, FILE_MAP_READ, 0, 4096, 0);
  std::printf("offset not on 64 KB %d error %lu\n", misaligned != nullptr, GetLastError());
  Report{"unmap %d %d %d\n", UnmapViewOfFile(first), UnmapViewOfFile(second), UnmapViewOfFile(copy)};
  BOOL again = UnmapViewOfFile(first);
  std::printf("again %d error %lu\n", again, GetLastError());
  CloseHandle(section);
  CloseHandle(opened);

  HANDLE file = CreateFileA("mapped.bin", GENERIC_READ | GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, 0, nullptr);
  DWORD count = 0;
  char block[5000];
  std::memset(block, 'a', sizeof block);
  WriteFile(file, block, sizeof block, &count, nullptr);
  section = CreateFileMappingA(file, nullptr, PAGE_READWRITE, 0, 0, nullptr);
  auto* view = static_cast<char*>(MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, 0));
  std::printf("file byte %c beyond the end %d\n", view[4999], view[5000]);
  print_mapped_file("view", view);
  print_mapped_file("module", reinterpret_cast<void*>(GetModuleHandleA("ntdll.dll")));
  print_mapped_file("stack", &count);
  view[4096] = 'b';
  std::printf("flush %d\n", FlushViewOfFile(view, 0));
  UnmapViewOfFile(view);
  CloseHandle(section);
  SetFilePointer(file, 4095, nullptr, FILE_BEGIN);
  ReadFile(file, block, 3, &count, nullptr);
  std::printf("read back %.3s\n", block);
  CloseHandle(file);
  std::printf("delete %d\n", DeleteFileA("mapped.bin"));
  return 0;
}
