// Message queues of threads without windows, as a console program meets them through user32 [Microsoft: "About Messages
// and Message Queues", PostThreadMessage, GetMessage, PeekMessage, PostQuitMessage, MsgWaitForMultipleObjectsEx,
// SetTimer]. With the argument "boost": the priority that window input gives [WI5 ch.5; facts 6.5].
#include <cstdio>
#include <cstring>

#include "report.h"
#include "thread_counters.h"

namespace {

constexpr UINT kFirst = WM_APP + 1, kSecond = WM_APP + 2, kThird = WM_APP + 3, kStop = WM_APP + 9;

const char* name_of(UINT message) {
  switch (message) {
    case kFirst:
      return "first";
    case kSecond:
      return "second";
    case kThird:
      return "third";
    case kStop:
      return "stop";
    case WM_QUIT:
      return "WM_QUIT";
    case WM_TIMER:
      return "WM_TIMER";
    default:
      return "another";
  }
}

void show(const char* what, BOOL result, const MSG& message) {
  if (!result && message.message != WM_QUIT) {
    std::printf("%-28s nothing\n", what);
    return;
  }
  std::printf("%-28s %d %s %llu %lld window %d\n", what, result, name_of(message.message),
              static_cast<unsigned long long>(message.wParam), static_cast<long long>(message.lParam),
              message.hwnd != nullptr);
}

BOOL peek(MSG& message, UINT flags, UINT first = 0, UINT last = 0, HWND window = nullptr) {
  message = {};
  return PeekMessageW(&message, window, first, last, flags);
}
BOOL get(MSG& message) {
  message = {};
  return GetMessageW(&message, nullptr, 0, 0);
}

void post(UINT message, WPARAM w = 0, LPARAM l = 0) { PostThreadMessageW(GetCurrentThreadId(), message, w, l); }

void order_and_filters() {
  MSG m;
  show("empty queue:", peek(m, PM_REMOVE), m);
  post(kFirst, 1, -1);
  post(kSecond, 2, -2);
  post(kThird, 3, -3);
  show("look without taking:", peek(m, PM_NOREMOVE), m);
  show("by number:", peek(m, PM_REMOVE, kSecond, kSecond), m);
  show("that one is gone:", peek(m, PM_REMOVE, kSecond, kSecond), m);
  show("of the thread alone:", peek(m, PM_REMOVE, 0, 0, reinterpret_cast<HWND>(-1)), m);
  show("the rest in order:", get(m), m);
  show("empty again:", peek(m, PM_REMOVE), m);
  // A message posted to no window is one to the thread.
  std::printf("PostMessage to no window: %d\n", PostMessageW(nullptr, kFirst, 7, 8));
  show("  and here it is:", get(m), m);
}

// WM_QUIT is no posted message: it comes when the posted ones are through, in spite of any range.
void quit() {
  MSG m;
  PostQuitMessage(42);
  post(kFirst, 1);
  show("posted after quit:", get(m), m);
  show("quit:", get(m), m);
  show("quit once only:", peek(m, PM_REMOVE), m);
}

struct Partner {
  HANDLE ready;
  DWORD main_thread;
};

DWORD WINAPI answer(void* argument) {
  const auto& partner = *static_cast<const Partner*>(argument);
  MSG m;
  PeekMessageW(&m, nullptr, 0, 0, PM_NOREMOVE);  // makes the queue
  SetEvent(partner.ready);
  unsigned total = 0, count = 0;
  while (GetMessageW(&m, nullptr, 0, 0) > 0) {
    if (m.message == kStop) PostQuitMessage(static_cast<int>(total));
    if (m.message != kFirst) continue;
    total += static_cast<unsigned>(m.wParam);
    ++count;
    PostThreadMessageW(partner.main_thread, kSecond, m.wParam, static_cast<LPARAM>(total));
  }
  std::printf("the partner got %u messages and leaves with %u\n", count, static_cast<unsigned>(m.wParam));
  return static_cast<DWORD>(m.wParam);
}

void between_threads() {
  Partner partner{CreateEventW(nullptr, FALSE, FALSE, nullptr), GetCurrentThreadId()};
  DWORD id = 0;
  const HANDLE thread = CreateThread(nullptr, 0, answer, &partner, 0, &id);
  WaitForSingleObject(partner.ready, INFINITE);
  unsigned errors = 0;
  for (unsigned i = 1; i <= 100; ++i) {
    MSG m;
    if (!PostThreadMessageW(id, kFirst, i, 0)) ++errors;
    if (get(m) != 1 || m.message != kSecond || m.wParam != i || m.lParam != static_cast<LPARAM>(i * (i + 1) / 2))
      ++errors;
  }
  PostThreadMessageW(id, kStop, 0, 0);
  WaitForSingleObject(thread, INFINITE);
  DWORD code = 0;
  GetExitCodeThread(thread, &code);
  std::printf("a hundred questions and answers: %u errors, exit code %lu\n", errors, code);
  SetLastError(0);
  const BOOL posted = PostThreadMessageW(id, kFirst, 0, 0);
  std::printf("to a thread that has ended: %d error %lu\n", posted, GetLastError());
  CloseHandle(thread);
  CloseHandle(partner.ready);
}

DWORD WINAPI post_later(void* id) {
  Sleep(50);
  PostThreadMessageW(static_cast<DWORD>(reinterpret_cast<ULONG_PTR>(id)), kFirst, 9, 9);
  return 0;
}

// The queue is the last object; what a look has already seen is not new.
void waits() {
  MSG m;
  HANDLE events[2] = {CreateEventW(nullptr, TRUE, FALSE, nullptr), CreateEventW(nullptr, TRUE, FALSE, nullptr)};
  const auto wait = [&](DWORD ms, DWORD mask = QS_ALLINPUT, DWORD flags = 0) {
    return MsgWaitForMultipleObjectsEx(2, events, ms, mask, flags);
  };
  std::printf("nothing there: %lu\n", wait(0));
  post(kFirst);
  std::printf("a message: %lu\n", wait(1000));
  std::printf("another kind of input: %lu\n", wait(0, QS_MOUSE));
  SetEvent(events[1]);
  std::printf("the lowest wins: %lu\n", wait(1000));
  ResetEvent(events[1]);
  show("the message:", peek(m, PM_NOREMOVE), m);
  std::printf("seen is not new: %lu\n", wait(20));
  std::printf("but available: %lu\n", wait(1000, QS_ALLINPUT, MWMO_INPUTAVAILABLE));
  std::printf("all, without the events: %lu\n", wait(20, QS_ALLINPUT, MWMO_WAITALL | MWMO_INPUTAVAILABLE));
  SetEvent(events[0]);
  SetEvent(events[1]);
  std::printf("all: %lu\n", wait(1000, QS_ALLINPUT, MWMO_WAITALL | MWMO_INPUTAVAILABLE));
  show("taken:", get(m), m);
  ResetEvent(events[0]);
  ResetEvent(events[1]);
  QueueUserAPC([](ULONG_PTR) { std::printf("the APC runs\n"); }, GetCurrentThread(), 0);
  std::printf("alertable: %lu\n", wait(1000, QS_ALLINPUT, MWMO_ALERTABLE));
  const HANDLE poster = CreateThread(nullptr, 0, post_later,
                                     reinterpret_cast<void*>(static_cast<ULONG_PTR>(GetCurrentThreadId())), 0, nullptr);
  std::printf("posted by another while it waits: %lu\n", wait(INFINITE));
  show("taken:", get(m), m);
  WaitForSingleObject(poster, INFINITE);
  CloseHandle(poster);
  SetLastError(0);
  HANDLE bad = reinterpret_cast<HANDLE>(static_cast<ULONG_PTR>(0x7FF0));
  const DWORD failed = MsgWaitForMultipleObjects(1, &bad, FALSE, 0, QS_ALLINPUT);
  std::printf("a bad handle: %lu error %lu\n", failed, GetLastError());
}

void status() {
  MSG m;
  GetQueueStatus(QS_ALLINPUT);
  post(kFirst);
  const DWORD fresh = GetQueueStatus(QS_POSTMESSAGE), seen = GetQueueStatus(QS_POSTMESSAGE);
  peek(m, PM_REMOVE);
  const DWORD taken = GetQueueStatus(QS_POSTMESSAGE);
  std::printf("queue status: new %lx there %lx, then new %lx there %lx, taken: %lx\n", fresh & 0xFFFF, fresh >> 16,
              seen & 0xFFFF, seen >> 16, taken);
  std::printf("input state: %d\n", GetInputState());
}

volatile LONG g_calls;
void CALLBACK on_timer(HWND, UINT message, UINT_PTR, DWORD) {
  if (message == WM_TIMER) g_calls = g_calls + 1;
}

void timers() {
  MSG m;
  const UINT_PTR plain = SetTimer(nullptr, 0, 20, nullptr);
  unsigned wrong = 0;
  for (int i = 0; i < 3; ++i) {
    if (get(m) != 1 || m.message != WM_TIMER || m.wParam != plain || m.lParam != 0) ++wrong;
  }
  std::printf("three ticks of a timer: %u wrong, killed %d\n", wrong, KillTimer(nullptr, plain));
  const UINT_PTR called = SetTimer(nullptr, 0, 10, on_timer);
  while (g_calls < 3 && get(m) > 0) DispatchMessageW(&m);
  Report{"its procedure was called, killed %d, not twice: %d\n", KillTimer(nullptr, called),
         KillTimer(nullptr, called)};
  // A posted message goes before a timer's that is due for longer.
  const UINT_PTR behind = SetTimer(nullptr, 0, 10, nullptr);
  Sleep(60);
  post(kFirst, 5);
  show("posted before timers:", get(m), m);
  show("not asked for timers:", peek(m, PM_REMOVE | PM_QS_PAINT), m);
  std::printf("then the timer: %d\n", get(m) == 1 && m.message == WM_TIMER && m.wParam == behind);
  KillTimer(nullptr, behind);
}

void station() {
  const HWINSTA window_station = GetProcessWindowStation();
  const HDESK desktop = GetThreadDesktop(GetCurrentThreadId());
  WCHAR text[64] = {};
  DWORD needed = 0;
  for (const HANDLE object : {static_cast<HANDLE>(window_station), static_cast<HANDLE>(desktop)}) {
    for (const int index : {UOI_TYPE, UOI_NAME}) {
      const BOOL good = GetUserObjectInformationW(object, index, text, sizeof text, &needed);
      std::printf("%ls (%d, %lu bytes) ", text, good, needed);
    }
    std::printf("\n");
  }
  USEROBJECTFLAGS flags{};
  const BOOL good = GetUserObjectInformationW(window_station, UOI_FLAGS, &flags, sizeof flags, &needed);
  std::printf("visible: %d\n", good && (flags.dwFlags & WSF_VISIBLE) != 0);
}

struct Woken {
  HANDLE ready;
  LONG at_once, later;
};

DWORD WINAPI woken_by_message(void* argument) {
  auto& self = *static_cast<Woken*>(argument);
  MSG m;
  PeekMessageW(&m, nullptr, 0, 0, PM_NOREMOVE);
  SetEvent(self.ready);
  GetMessageW(&m, nullptr, 0, 0);
  self.at_once = own_counters().priority;
  work_for_ms(9 * tick_ms());
  self.later = own_counters().priority;
  return 0;
}

// NT: window input wakes a thread at its base, 8, plus 2; each quantum end takes one off [facts 6.5].
void boost() {
  Woken self{CreateEventW(nullptr, FALSE, FALSE, nullptr), 0, 0};
  DWORD id = 0;
  const HANDLE thread = CreateThread(nullptr, 0, woken_by_message, &self, 0, &id);
  WaitForSingleObject(self.ready, INFINITE);
  Sleep(40);
  PostThreadMessageW(id, kFirst, 0, 0);
  WaitForSingleObject(thread, INFINITE);
  std::printf("a message wakes at %ld, later at %ld\n", self.at_once, self.later);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "boost") == 0) {
    boost();
    return 0;
  }
  order_and_filters();
  quit();
  between_threads();
  waits();
  status();
  timers();
  station();
  return 0;
}
