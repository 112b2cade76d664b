// Reserve, commit, protect, query, guard pages, decommit, release: what VirtualQuery says after each, and the errors.
#include <windows.h>

#include <cstdio>
#include <cstring>

namespace {
char* base;
void query(const char* what, SIZE_T offset) {
  MEMORY_BASIC_INFORMATION info{};
  SIZE_T size = VirtualQuery(base + offset, &info, sizeof info);
  std::printf(
      "%-10s size %llu at %lld base %lld alloc-protect %lx region %llx state %lx protect %lx type %lx\n", what,
      static_cast<unsigned long long>(size), static_cast<long long>(static_cast<char*>(info.BaseAddress) - base),
      info.AllocationBase ? static_cast<long long>(static_cast<char*>(info.AllocationBase) - base) : -1,
      info.AllocationProtect, static_cast<unsigned long long>(info.RegionSize), info.State, info.Protect, info.Type);
}

volatile DWORD last_code;
LONG CALLBACK handler(EXCEPTION_POINTERS* pointers) {
  last_code = pointers->ExceptionRecord->ExceptionCode;
  if (last_code == STATUS_GUARD_PAGE_VIOLATION) return EXCEPTION_CONTINUE_EXECUTION;
  if (last_code != STATUS_ACCESS_VIOLATION) return EXCEPTION_CONTINUE_SEARCH;
  DWORD old;
  auto address = reinterpret_cast<char*>(pointers->ExceptionRecord->ExceptionInformation[1]);
  if (!VirtualAlloc(address, 1, MEM_COMMIT, PAGE_READWRITE)) return EXCEPTION_CONTINUE_SEARCH;
  VirtualProtect(address, 1, PAGE_READWRITE, &old);
  return EXCEPTION_CONTINUE_EXECUTION;
}

void protections() {
  DWORD old = 0;
  BOOL done = VirtualProtect(base + 0x1000, 0x2000, PAGE_READONLY, &old);
  std::printf("protect %d old %lx\n", done, old);
  query("split", 0);
  query("read-only", 0x1000);
  query("after", 0x3000);
  std::printf("guard %d\n", VirtualProtect(base + 0x4000, 0x1000, PAGE_READWRITE | PAGE_GUARD, &old));
  query("guarded", 0x4000);
  last_code = 0;
  static_cast<volatile char*>(base)[0x4000] = 1;
  std::printf("guard hit %08lx\n", last_code);
  query("unguarded", 0x4000);
  std::printf("no access %d\n", VirtualProtect(base + 0x5000, 0x1000, PAGE_NOACCESS, &old));
  last_code = 0;
  static_cast<volatile char*>(base)[0x5010] = 3;
  std::printf("committed by the handler: code %08lx value %d\n", last_code, base[0x5010]);
}

void errors() {
  DWORD old = 0;
  SetLastError(0);
  std::printf("bad protection %p", VirtualAlloc(nullptr, 0x1000, MEM_COMMIT, 0x300));
  std::printf(" error %lu\n", GetLastError());
  BOOL done = VirtualProtect(base + 0x10000, 0x1000, PAGE_READONLY, &old);
  std::printf("protect reserved %d error %lu\n", done, GetLastError());
  done = VirtualFree(base + 0x1000, 0, MEM_RELEASE);
  std::printf("release inside %d error %lu\n", done, GetLastError());
  done = VirtualFree(base, 0x1000, MEM_RELEASE);
  std::printf("release with size %d error %lu\n", done, GetLastError());
  void* again = VirtualAlloc(base, 0x1000, MEM_RESERVE, PAGE_READWRITE);
  std::printf("reserve again %d error %lu\n", again != nullptr, GetLastError());
  void* huge = VirtualAlloc(nullptr, 1ull << 46, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  std::printf("commit too much %d\n", huge != nullptr);
}
}  // namespace

int main() {
  AddVectoredExceptionHandler(1, handler);
  base = static_cast<char*>(VirtualAlloc(nullptr, 0x21000, MEM_RESERVE, PAGE_NOACCESS));
  std::printf("aligned to 64 KB %d\n", (reinterpret_cast<ULONG_PTR>(base) & 0xffff) == 0);
  query("reserved", 0x123);
  VirtualAlloc(base, 0x8000, MEM_COMMIT, PAGE_READWRITE);
  query("committed", 0);
  query("rest", 0x8000);
  int nonzero = 0;
  for (int i = 0; i < 0x8000; ++i) nonzero += base[i] != 0;
  std::printf("nonzero bytes %d\n", nonzero);
  std::memset(base, 0x5a, 0x8000);
  protections();
  errors();
  std::printf("decommit %d\n", VirtualFree(base + 0x6000, 0x1000, MEM_DECOMMIT));
  query("decommit", 0x6000);
  VirtualAlloc(base + 0x6000, 0x1000, MEM_COMMIT, PAGE_READWRITE);
  std::printf("fresh after decommit %d\n", base[0x6000]);
  std::printf("release %d\n", VirtualFree(base, 0, MEM_RELEASE));
  MEMORY_BASIC_INFORMATION info{};
  VirtualQuery(base, &info, sizeof info);
  std::printf("free       state %lx protect %lx type %lx\n", info.State, info.Protect, info.Type);
  auto* top = VirtualAlloc(nullptr, 0x10000, MEM_RESERVE | MEM_TOP_DOWN, PAGE_READWRITE);
  std::printf("top down is high %d\n", reinterpret_cast<ULONG_PTR>(top) > (1ull << 40));
  long long total = 0;  // many pages touched, freed, touched
  for (int round = 0; round < 20; ++round) {
    auto* block = static_cast<char*>(VirtualAlloc(nullptr, 4 << 20, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
    for (int page = 0; page < 1024; ++page) total += block[page * 4096]++;
    VirtualFree(block, 0, MEM_RELEASE);
  }
  std::printf("sum of fresh pages %lld\n", total);
  return 0;
}
