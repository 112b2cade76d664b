// Worker factories: a thread pool in forty lines on top of the kernel's half of one. [WI6p1 ch.5 "Worker Factories (Thread Pools)"]
#include <windows.h>
#include <winternl.h>

#include <cstdio>

#include "report.h"

namespace {

struct Packet {
  ULONG_PTR key, value;
  IO_STATUS_BLOCK io_status;
};
struct Basic {
  LONGLONG timeout, retry_timeout, idle_timeout;
  BYTE paused, timer_set, queued, may_create, create_in_progress, inserted, shut_down;
  ULONG binding_count, minimum, maximum, pending, waiting, total, releases;
  LONGLONG goal;
  void *start_routine, *start_parameter;
  HANDLE process_id;
  SIZE_T stack_reserve, stack_commit;
  NTSTATUS last_creation;
};

template <typename Function>
Function service(const char* name) {
  return reinterpret_cast<Function>(GetProcAddress(GetModuleHandleA("ntdll"), name));
}
const auto create_factory =
    service<NTSTATUS(NTAPI*)(HANDLE*, ACCESS_MASK, void*, HANDLE, HANDLE, void*, void*, ULONG, SIZE_T, SIZE_T)>("NtCreateWorkerFactory");
const auto query = service<NTSTATUS(NTAPI*)(HANDLE, ULONG, void*, ULONG, ULONG*)>("NtQueryInformationWorkerFactory");
const auto set = service<NTSTATUS(NTAPI*)(HANDLE, ULONG, void*, ULONG)>("NtSetInformationWorkerFactory");
const auto shut_down = service<NTSTATUS(NTAPI*)(HANDLE, LONG*)>("NtShutdownWorkerFactory");
const auto release_worker = service<NTSTATUS(NTAPI*)(HANDLE)>("NtReleaseWorkerFactoryWorker");
const auto worker_ready = service<NTSTATUS(NTAPI*)(HANDLE)>("NtWorkerFactoryWorkerReady");
const auto wait_for_work = service<NTSTATUS(NTAPI*)(HANDLE, Packet*, ULONG, ULONG*, void*)>("NtWaitForWorkViaWorkerFactory");

constexpr ULONG kTimeout = 0, kBindingCount = 3, kMinimum = 4, kMaximum = 5, kPaused = 6, kBasic = 7;
enum Work : ULONG_PTR { kCount = 1, kBlock = 2 };  // keys of packets

HANDLE factory, port, gate;
volatile LONG started, done, timed_out, too_late, released;

DWORD WINAPI worker(void*) {
  InterlockedIncrement(&started);
  worker_ready(factory);
  for (;;) {
    Packet packet{};
    ULONG got = 0;
    const ULONG status = static_cast<ULONG>(wait_for_work(factory, &packet, 1, &got, nullptr));
    if (status == 0x102) InterlockedIncrement(&timed_out);
    if (status == 0xC0000189) InterlockedIncrement(&too_late);
    if (status != 0) return status;
    if (packet.key == 0) InterlockedIncrement(&released);
    if (packet.key == kBlock) WaitForSingleObject(gate, INFINITE);
    InterlockedIncrement(&done);
  }
}

ULONG set_number(ULONG what, ULONG value) { return static_cast<ULONG>(set(factory, what, &value, sizeof value)); }

// Long enough for a worker to start on a slow processor. With `ms`: shorter than what else goes by time then.
void settle(const char* what, DWORD ms = 500) {
  Sleep(ms);
  Basic b{};
  query(factory, kBasic, &b, sizeof b, nullptr);
  std::printf("%s: total %lu, waiting %lu, pending %lu, releases %lu; started %ld, done %ld\n", what, b.total, b.waiting, b.pending,
              b.releases, started, done);
}

void make(ULONG concurrency, ULONG maximum) {
  port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, concurrency);
  const ULONG status = static_cast<ULONG>(create_factory(&factory, 0xF003F, nullptr, port, GetCurrentProcess(),
                                                         reinterpret_cast<void*>(worker), nullptr, maximum, 0, 0));
  std::printf("factory: %lx\n", status);
}

void post(int count, ULONG_PTR key) {
  for (int i = 0; i < count; ++i) PostQueuedCompletionStatus(port, 0, key, nullptr);
}

void pool() {
  make(2, 4);
  settle("new");
  post(1, kCount);
  settle("a packet, but nothing is bound");
  Report{"release: %lx\n", static_cast<ULONG>(release_worker(factory))};
  settle("one released");
  Report{"bind: %lx\n", set_number(kBindingCount, 1)};
  post(20, kCount);
  settle("twenty packets");
  post(1, kBlock);
  post(1, kCount);
  settle("one worker blocks, another serves");
  post(2, kBlock);
  post(1, kCount);
  settle("three block, the fourth serves");
  post(1, kBlock);
  post(1, kCount);
  settle("the maximum: four block, a packet lies there");
  ReleaseSemaphore(gate, 4, nullptr);
  settle("all go on");
}

void limits() {
  Report{"minimum above the maximum: %lx\n", set_number(kMinimum, 9)};
  Report{"maximum of none: %lx\n", set_number(kMaximum, 0)};
  LARGE_INTEGER interval;
  interval.QuadPart = -500'000;
  Report{"time-out: %lx", static_cast<ULONG>(set(factory, kTimeout, &interval, sizeof interval))};
  Report{", minimum: %lx\n", set_number(kMinimum, 1)};
  // Those that wait already do so under the old time-out: each gets one packet.
  post(4, kBlock);
  Sleep(30);
  ReleaseSemaphore(gate, 4, nullptr);
  Sleep(300);
  settle("idle for long", 30);
  std::printf("ended by time-out: %ld\n", timed_out);
  Report{"pause: %lx\n", set_number(kPaused, 1)};
  post(1, kBlock);
  post(1, kCount);
  settle("paused, the only worker blocks", 30);
  Report{"go on: %lx\n", set_number(kPaused, 0)};
  settle("another one serves", 30);
  ReleaseSemaphore(gate, 1, nullptr);
  Sleep(10);
}

void end() {
  LONG remaining = -1;
  Report{"shut down: %lx", static_cast<ULONG>(shut_down(factory, &remaining))};
  std::printf(", remaining %ld\n", remaining);
  Sleep(30);
  Report{"release afterwards: %lx\n", static_cast<ULONG>(release_worker(factory))};
  settle("at the end", 30);
  std::printf("too late: %ld\n", too_late);
  CloseHandle(factory);
  CloseHandle(port);
}

void refusals() {
  HANDLE made = nullptr;
  const HANDLE other = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
  const HANDLE event = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  const auto create = [&](HANDLE with, HANDLE process, ULONG maximum) {
    void* const start = reinterpret_cast<void*>(worker);
    return static_cast<ULONG>(create_factory(&made, 0xF003F, nullptr, with, process, start, nullptr, maximum, 0, 0));
  };
  Report{"no maximum: %lx\n", create(other, GetCurrentProcess(), 0)};
  Report{"an event for a port: %lx\n", create(event, GetCurrentProcess(), 1)};
  Report{"an event for a process: %lx\n", create(other, event, 1)};
  Report{"nowhere to put the handle: %lx\n",
         static_cast<ULONG>(create_factory(nullptr, 0xF003F, nullptr, other, GetCurrentProcess(), nullptr, nullptr, 1, 0, 0))};
  Report{"a port for a factory: %lx\n", static_cast<ULONG>(release_worker(other))};
  create(other, GetCurrentProcess(), 1);
  factory = made;
  Report{"ready by a stranger: %lx\n", static_cast<ULONG>(worker_ready(factory))};
  ULONG got = 0;
  Packet packet{};
  Report{"wait for no packets: %lx\n", static_cast<ULONG>(wait_for_work(factory, &packet, 0, &got, nullptr))};
  Report{"unknown class: %lx\n", static_cast<ULONG>(query(factory, 99, &packet, sizeof packet, nullptr))};
  Report{"short buffer: %lx\n", static_cast<ULONG>(query(factory, kBasic, &packet, 8, nullptr))};
  CloseHandle(factory);
}

}  // namespace

int main() {
  gate = CreateSemaphoreA(nullptr, 0, 100, nullptr);
  pool();
  limits();
  end();
  refusals();
}
