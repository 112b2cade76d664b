// The heap under load: many sizes, several threads, realloc, private heaps, large blocks; the contents are checked.
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "report.h"

namespace {
struct Block {
  unsigned char* data;
  unsigned size;
};

unsigned next(unsigned* state) { return *state = *state * 1664525u + 1013904223u; }

int torture(unsigned seed, int rounds) {
  static thread_local Block blocks[512];
  unsigned state = seed;
  int errors = 0;
  for (int round = 0; round < rounds; ++round) {
    Block& block = blocks[(next(&state) >> 8) % 512];
    unsigned size = (next(&state) >> 10) % (round % 100 == 0 ? 300000 : 2000) + 1;
    if (block.data) {
      for (unsigned i = 0; i < block.size; i += 97) errors += block.data[i] != static_cast<unsigned char>(block.size);
      if (round % 3 == 0) {
        block.data = static_cast<unsigned char*>(std::realloc(block.data, size));
      } else {
        std::free(block.data);
        block.data = static_cast<unsigned char*>(std::malloc(size));
      }
    } else {
      block.data = static_cast<unsigned char*>(std::malloc(size));
    }
    block.size = size;
    std::memset(block.data, static_cast<unsigned char>(size), size);
  }
  for (Block& block : blocks) std::free(block.data);
  return errors;
}
DWORD WINAPI worker(void* seed) {
  return static_cast<DWORD>(torture(static_cast<unsigned>(reinterpret_cast<UINT_PTR>(seed)), 3000));
}
}  // namespace

int main() {
  std::printf("errors %d\n", torture(1, 5000));
  HANDLE threads[4];
  for (int i = 0; i < 4; ++i)
    threads[i] = CreateThread(nullptr, 0, worker, reinterpret_cast<void*>(static_cast<UINT_PTR>(i + 2)), 0, nullptr);
  WaitForMultipleObjects(4, threads, TRUE, INFINITE);
  for (HANDLE thread : threads) {
    DWORD code = 1;
    GetExitCodeThread(thread, &code);
    std::printf("thread errors %lu\n", code);
  }
  HANDLE heap = HeapCreate(0, 0, 1 << 20);
  int fitted = 0;
  while (HeapAlloc(heap, 0, 10000)) ++fitted;
  std::printf("a heap of 1 MB holds about a hundred blocks of 10 KB %d\n", fitted > 80 && fitted < 106);
  std::printf("destroy %d\n", HeapDestroy(heap));
  void* zeroed = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, 100000);
  Report{"size %llu first byte %d\n", static_cast<unsigned long long>(HeapSize(GetProcessHeap(), 0, zeroed)),
         *static_cast<char*>(zeroed)};
  Report{"validate %d\n", HeapValidate(GetProcessHeap(), 0, nullptr)};
  return 0;
}
