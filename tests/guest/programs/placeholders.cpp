// Placeholders (VirtualAlloc2's and MapViewOfFile3's way to arrange memory without gaps in time) and write watch.
#include <windows.h>
#include <winternl.h>

#include <cstdio>
#include <cstring>

#include "report.h"

namespace {

constexpr ULONG kReservePlaceholder = 0x40000, kReplacePlaceholder = 0x4000, kPreserve = 2, kCoalesce = 1;
constexpr SIZE_T kUnit = 0x10000;

template <typename Function>
Function service(const char* name) {
  return reinterpret_cast<Function>(GetProcAddress(GetModuleHandleA("ntdll"), name));
}
const auto allocate_ex =
    service<NTSTATUS(NTAPI*)(HANDLE, void**, SIZE_T*, ULONG, ULONG, void*, ULONG)>("NtAllocateVirtualMemoryEx");
const auto free_memory = service<NTSTATUS(NTAPI*)(HANDLE, void**, SIZE_T*, ULONG)>("NtFreeVirtualMemory");
const auto map_ex =
    service<NTSTATUS(NTAPI*)(HANDLE, HANDLE, void**, LARGE_INTEGER*, SIZE_T*, ULONG, ULONG, void*, ULONG)>(
        "NtMapViewOfSectionEx");
const auto unmap_ex = service<NTSTATUS(NTAPI*)(HANDLE, void*, ULONG)>("NtUnmapViewOfSectionEx");

ULONG allocate(char* base, SIZE_T size, ULONG type, ULONG protect) {
  void* at = base;
  return static_cast<ULONG>(allocate_ex(GetCurrentProcess(), &at, &size, type, protect, nullptr, 0));
}
ULONG release(char* base, SIZE_T size, ULONG how) {
  void* at = base;
  return static_cast<ULONG>(free_memory(GetCurrentProcess(), &at, &size, MEM_RELEASE | how));
}

// Regions from `base` on: where they begin, how large they are, R reserved, C committed, F free.
void show(char* base, int count) {
  char* at = base;
  for (int i = 0; i < count; ++i) {
    MEMORY_BASIC_INFORMATION info{};
    VirtualQuery(at, &info, sizeof info);
    const char state = info.State == MEM_COMMIT ? 'C' : info.State == MEM_RESERVE ? 'R' : 'F';
    if (state == 'F') {
      std::printf(" %lld:F", static_cast<long long>((at - base) / static_cast<long long>(kUnit)));
      break;
    }
    std::printf(" %lld:%c%lld", static_cast<long long>((at - base) / static_cast<long long>(kUnit)), state,
                static_cast<long long>(info.RegionSize / kUnit));
    at += info.RegionSize;
  }
  std::printf("\n");
}

void placeholders() {
  void* at = nullptr;
  SIZE_T size = 8 * kUnit;
  Report{"reserve %lx", static_cast<ULONG>(allocate_ex(GetCurrentProcess(), &at, &size,
                                                       MEM_RESERVE | kReservePlaceholder, PAGE_NOACCESS, nullptr, 0))};
  char* base = static_cast<char*>(at);
  show(base, 1);
  Report{"commit in a placeholder %lx\n", allocate(base, kUnit, MEM_COMMIT, PAGE_READWRITE)};
  Report{"replace a part of one %lx\n",
         allocate(base, kUnit, MEM_RESERVE | MEM_COMMIT | kReplacePlaceholder, PAGE_READWRITE)};
  Report{"split %lx %lx", release(base + 2 * kUnit, 3 * kUnit, kPreserve), release(base, kUnit, kPreserve)};
  show(base, 4);
  Report{"replace %lx",
         allocate(base + 2 * kUnit, 3 * kUnit, MEM_RESERVE | MEM_COMMIT | kReplacePlaceholder, PAGE_READWRITE)};
  show(base, 4);
  std::memset(base + 2 * kUnit, 7, 3 * kUnit);
  const HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0, 3 * kUnit, nullptr);
  void* view = base + 5 * kUnit;
  SIZE_T view_size = 3 * kUnit;
  LARGE_INTEGER offset{};
  Report{"map %lx", static_cast<ULONG>(map_ex(section, GetCurrentProcess(), &view, &offset, &view_size,
                                              kReplacePlaceholder, PAGE_READWRITE, nullptr, 0))};
  show(base, 4);
  std::memset(base + 5 * kUnit, 9, kUnit);
  std::printf("values %d %d\n", base[2 * kUnit], base[5 * kUnit]);
  Report{"coalesce over memory %lx\n", release(base, 8 * kUnit, kCoalesce)};
  Report{"unmap %lx", static_cast<ULONG>(unmap_ex(GetCurrentProcess(), base + 5 * kUnit, kPreserve))};
  Report{" free %lx", release(base + 2 * kUnit, 0, kPreserve)};
  show(base, 4);
  Report{"coalesce a part %lx\n", release(base, kUnit + kUnit / 2, kCoalesce)};
  Report{"coalesce %lx", release(base, 8 * kUnit, kCoalesce)};
  show(base, 1);
  Report{"replace all %lx", allocate(base, 8 * kUnit, MEM_RESERVE | MEM_COMMIT | kReplacePlaceholder, PAGE_READWRITE)};
  std::printf(" zero again %d\n", base[2 * kUnit] == 0);
  Report{"release %lx", release(base, 0, 0)};
  show(base, 1);
  CloseHandle(section);
}

struct AddressRequirements {
  void *lowest, *highest;
  SIZE_T alignment;
};
struct ExtendedParameter {
  ULONG64 type;
  union {
    ULONG64 value;
    void* pointer;
  };
};

// Where a view goes (MEM_ADDRESS_REQUIREMENTS), and what is refused.
void placed_views() {
  const HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0, 3 * kUnit, nullptr);
  const auto map = [&](const char* what, AddressRequirements wanted, void* at = nullptr, ULONG count = 1) {
    ExtendedParameter parameters[2]{{1, {}}, {1, {}}};
    parameters[0].pointer = parameters[1].pointer = &wanted;
    SIZE_T size = 0;
    LARGE_INTEGER offset{};
    void* base = at;
    const ULONG status = static_cast<ULONG>(
        map_ex(section, GetCurrentProcess(), &base, &offset, &size, 0, PAGE_READWRITE, parameters, count));
    const auto address = reinterpret_cast<ULONG_PTR>(base);
    std::printf("%s: %lx", what, status);
    if (status == 0) {
      const auto lowest = reinterpret_cast<ULONG_PTR>(wanted.lowest), highest = reinterpret_cast<ULONG_PTR>(wanted.highest);
      std::printf(" size %zx, above the lowest %d, below the highest %d, aligned %d", size, address >= lowest,
                  highest == 0 || address + size - 1 <= highest, wanted.alignment == 0 || address % wanted.alignment == 0);
      unmap_ex(GetCurrentProcess(), base, 0);
    }
    std::printf("\n");
  };
  const auto at = [](ULONG_PTR address) { return reinterpret_cast<void*>(address); };
  map("a view between 4 and 5 GB", {at(0x1'0000'0000), at(0x1'3FFF'FFFF), 0});
  map("at a multiple of 1 GB", {nullptr, nullptr, 0x4000'0000});
  map("both", {at(0x12'3456'0000), at(0x20'0000'0000 - 1), 0x100'0000});
  map("where there is no room", {at(0x1'0000'0000), at(0x1'0000'FFFF), 0});
  map("an alignment of three units", {nullptr, nullptr, 3 * kUnit});
  map("with an address", {at(0x1'0000'0000), nullptr, 0}, at(0x2'0000'0000));
  map("twice", {nullptr, nullptr, 0}, nullptr, 2);
  CloseHandle(section);
}

UINT watch(char* base, SIZE_T size, bool reset, void** pages, ULONG_PTR capacity, ULONG_PTR* count) {
  DWORD granularity = 0;
  *count = capacity;
  return GetWriteWatch(reset ? WRITE_WATCH_FLAG_RESET : 0, base, size, pages, count, &granularity);
}

void write_watch() {
  constexpr SIZE_T kPage = 0x1000;
  char* base =
      static_cast<char*>(VirtualAlloc(nullptr, 16 * kPage, MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH, PAGE_READWRITE));
  void* pages[16];
  ULONG_PTR count = 0;
  const auto show_pages = [&](const char* what, UINT result) {
    std::printf("%s %u:", what, result);
    for (ULONG_PTR i = 0; i < count; ++i)
      std::printf(" %d", static_cast<int>((static_cast<char*>(pages[i]) - base) / static_cast<int>(kPage)));
    std::printf("\n");
  };
  show_pages("untouched", watch(base, 16 * kPage, false, pages, 16, &count));
  volatile char sum = 0;
  for (int i = 0; i < 16; ++i) sum = static_cast<char>(sum + base[i * static_cast<int>(kPage)]);
  show_pages("read", watch(base, 16 * kPage, false, pages, 16, &count));
  base[3 * kPage] = 1;
  base[9 * kPage + 5] = 1;
  show_pages("written", watch(base, 16 * kPage, false, pages, 16, &count));
  show_pages("the first", watch(base, 16 * kPage, false, pages, 1, &count));
  show_pages("from 4", watch(base + 4 * kPage, 12 * kPage, true, pages, 16, &count));
  show_pages("after that", watch(base, 16 * kPage, false, pages, 16, &count));
  std::printf("reset %u\n", ResetWriteWatch(base, 16 * kPage));
  base[9 * kPage] = 2;
  show_pages("again", watch(base, 16 * kPage, true, pages, 16, &count));
  // The kernel's writes count, too.
  HANDLE read_end, write_end;
  CreatePipe(&read_end, &write_end, nullptr, 0);
  DWORD done;
  WriteFile(write_end, "xyz", 3, &done, nullptr);
  ReadFile(read_end, base + 12 * kPage, 3, &done, nullptr);
  show_pages("by the kernel", watch(base, 16 * kPage, false, pages, 16, &count));
  char* plain = static_cast<char*>(VirtualAlloc(nullptr, kPage, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
  Report{"unwatched %u", watch(plain, kPage, false, pages, 16, &count)};
  Report{" reset %u\n", ResetWriteWatch(plain, kPage)};
  CloseHandle(read_end);
  CloseHandle(write_end);
}

}  // namespace

int main() {
  placeholders();
  placed_views();
  write_watch();
}
