// Wait-completion packets (NtAssociateWaitCompletionPacket): objects that report to a completion port. [Microsoft:
// NtCreateWaitCompletionPacket, NtAssociateWaitCompletionPacket, NtCancelWaitCompletionPacket]
#include <windows.h>
#include <winternl.h>

#include <cstdio>

#include "report.h"

namespace {

template <typename Function>
Function service(const char* name) {
  return reinterpret_cast<Function>(GetProcAddress(GetModuleHandleA("ntdll"), name));
}
const auto create_packet = service<NTSTATUS(NTAPI*)(HANDLE*, ACCESS_MASK, void*)>("NtCreateWaitCompletionPacket");
const auto associate_packet =
    service<NTSTATUS(NTAPI*)(HANDLE, HANDLE, HANDLE, void*, void*, NTSTATUS, ULONG_PTR, BOOLEAN*)>("NtAssociateWaitCompletionPacket");
const auto cancel_packet = service<NTSTATUS(NTAPI*)(HANDLE, BOOLEAN)>("NtCancelWaitCompletionPacket");
const auto zw_cancel = service<NTSTATUS(NTAPI*)(HANDLE, BOOLEAN)>("ZwCancelWaitCompletionPacket");

constexpr ACCESS_MASK kAll = 0xF0001;
HANDLE port;

HANDLE new_packet() {
  HANDLE packet = nullptr;
  create_packet(&packet, kAll, nullptr);
  return packet;
}

// The status, and whether the target was signalled already.
void associate(const char* what, HANDLE packet, HANDLE target, ULONG_PTR key) {
  BOOLEAN signalled = 9;
  const ULONG status = static_cast<ULONG>(associate_packet(packet, port, target, reinterpret_cast<void*>(key),
                                                           reinterpret_cast<void*>(key + 1), 0, key + 2, &signalled));
  if (status == 0) {
    std::printf("%s: 0, already %d\n", what, signalled);
  } else {
    std::printf("%s: %lx\n", what, status);
  }
}

// All that is at the port now.
void drain(const char* what) {
  std::printf("%s:", what);
  for (;;) {
    DWORD bytes = 0;
    ULONG_PTR key = 0;
    OVERLAPPED* overlapped = nullptr;
    if (!GetQueuedCompletionStatus(port, &bytes, &key, &overlapped, 0)) break;
    std::printf(" [%llu %llu %lu]", static_cast<unsigned long long>(key),
                static_cast<unsigned long long>(reinterpret_cast<ULONG_PTR>(overlapped)), bytes);
  }
  std::printf("\n");
}

void events() {
  const HANDLE packet = new_packet();
  const HANDLE event = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  associate("an event", packet, event, 10);
  associate("again while it waits", packet, event, 20);
  drain("before the signal");
  SetEvent(event);
  // The packet has taken the auto-reset event's signal.
  Report{"event after the signal %lx\n", WaitForSingleObject(event, 0)};
  associate("again while the packet lies at the port", packet, event, 20);
  drain("after the signal");
  SetEvent(event);
  associate("a signalled event", packet, event, 30);
  Report{"event after that %lx\n", WaitForSingleObject(event, 0)};
  drain("at once");
  CloseHandle(event);
  CloseHandle(packet);
}

void order_among_waiters() {
  // First come, first served: a thread that waits first gets the only signal, then the packet.
  const HANDLE packet = new_packet();
  const HANDLE semaphore = CreateSemaphoreA(nullptr, 0, 5, nullptr);
  const HANDLE thread = CreateThread(
      nullptr, 0, [](void* handle) -> DWORD { return WaitForSingleObject(handle, INFINITE); }, semaphore, 0, nullptr);
  Sleep(20);
  associate("a semaphore behind a thread", packet, semaphore, 40);
  ReleaseSemaphore(semaphore, 1, nullptr);
  WaitForSingleObject(thread, INFINITE);
  drain("one released");
  ReleaseSemaphore(semaphore, 1, nullptr);
  drain("two released");
  CloseHandle(thread);
  CloseHandle(semaphore);
  CloseHandle(packet);
}

void other_objects() {
  const HANDLE packet = new_packet();
  const HANDLE timer = CreateWaitableTimerA(nullptr, TRUE, nullptr);
  LARGE_INTEGER due;
  due.QuadPart = -200'000;
  SetWaitableTimer(timer, &due, 0, nullptr, nullptr, FALSE);
  associate("a timer", packet, timer, 50);
  Sleep(50);
  drain("timer");
  const HANDLE thread = CreateThread(
      nullptr, 0, [](void*) -> DWORD { return Sleep(10), 0; }, nullptr, 0, nullptr);
  associate("a thread", packet, thread, 60);
  WaitForSingleObject(thread, INFINITE);
  drain("thread ended");
  const HANDLE mutex = CreateMutexA(nullptr, FALSE, nullptr);
  associate("a mutex", packet, mutex, 70);
  associate("the port itself", packet, port, 80);
  PostQueuedCompletionStatus(port, 1, 2, nullptr);
  drain("post to a port that waits for itself");
  const HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0, 4096, nullptr);
  associate("a section", packet, section, 90);
  associate("no handle", packet, reinterpret_cast<HANDLE>(0x7770), 90);
  associate("a port for a packet", port, timer, 90);
  CloseHandle(section);
  CloseHandle(mutex);
  CloseHandle(thread);
  CloseHandle(timer);
  CloseHandle(packet);
}

void cancelling() {
  const HANDLE packet = new_packet();
  const HANDLE event = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  Report{"cancel nothing %lx\n", static_cast<ULONG>(cancel_packet(packet, FALSE))};
  associate("to be cancelled", packet, event, 100);
  Report{"cancel a wait %lx\n", static_cast<ULONG>(zw_cancel(packet, FALSE))};
  SetEvent(event);
  drain("after the cancellation");
  associate("signalled", packet, event, 110);
  Report{"cancel a queued packet %lx, taking it back %lx\n", static_cast<ULONG>(cancel_packet(packet, FALSE)),
         static_cast<ULONG>(cancel_packet(packet, TRUE))};
  drain("after taking it back");
  ResetEvent(event);
  associate("to be closed", packet, event, 120);
  CloseHandle(packet);
  SetEvent(event);
  drain("after closing the packet");
  CloseHandle(event);
}

void wakes_a_reader() {
  const HANDLE packet = new_packet();
  const HANDLE event = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  const HANDLE reader = CreateThread(
      nullptr, 0,
      [](void*) -> DWORD {
        DWORD bytes = 0;
        ULONG_PTR key = 0;
        OVERLAPPED* overlapped = nullptr;
        GetQueuedCompletionStatus(port, &bytes, &key, &overlapped, INFINITE);
        return static_cast<DWORD>(key);
      },
      nullptr, 0, nullptr);
  Sleep(20);
  associate("with a reader", packet, event, 130);
  SetEvent(event);
  WaitForSingleObject(reader, INFINITE);
  DWORD code = 0;
  GetExitCodeThread(reader, &code);
  std::printf("the reader got key %lu\n", code);
  CloseHandle(reader);
  CloseHandle(event);
  CloseHandle(packet);
}

}  // namespace

int main() {
  port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
  events();
  order_among_waiters();
  other_objects();
  cancelling();
  wakes_a_reader();
}
