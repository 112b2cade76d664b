// Handles and names: duplication, inheritance flags, named objects, closing, and the errors of each.
#include <windows.h>

#include <cstdio>

#include "report.h"

int main() {
  HANDLE event = CreateEventA(nullptr, TRUE, FALSE, "vitrine-event");
  std::printf("created %d error %lu\n", event != nullptr, GetLastError());
  HANDLE again = CreateEventA(nullptr, TRUE, FALSE, "vitrine-event");
  std::printf("again %d error %lu distinct handles %d\n", again != nullptr, GetLastError(), again != event);
  SetEvent(again);
  std::printf("same object %lu\n", WaitForSingleObject(event, 0));
  HANDLE opened = OpenEventA(SYNCHRONIZE, FALSE, "vitrine-event");
  BOOL set = SetEvent(opened);
  std::printf("opened %d set without the right %d error %lu\n", opened != nullptr, set, GetLastError());
  HANDLE wrong = OpenMutexA(SYNCHRONIZE, FALSE, "vitrine-event");
  std::printf("as a mutex %d error %lu\n", wrong != nullptr, GetLastError());
  HANDLE absent = OpenEventA(SYNCHRONIZE, FALSE, "vitrine-other");
  std::printf("absent %d error %lu\n", absent != nullptr, GetLastError());

  HANDLE copy = nullptr;
  HANDLE self = GetCurrentProcess();
  std::printf("duplicate %d\n", DuplicateHandle(self, event, self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS));
  DWORD flags = 0;
  GetHandleInformation(copy, &flags);
  std::printf("inherits %lu\n", flags);
  SetHandleInformation(copy, HANDLE_FLAG_INHERIT, 0);
  GetHandleInformation(copy, &flags);
  std::printf("no more %lu\n", flags);
  std::printf("close %d\n", CloseHandle(copy));
  Report{"again %d error %lu\n", CloseHandle(copy), GetLastError()};
  HANDLE moved = nullptr;
  std::printf("move %d",
              DuplicateHandle(self, again, self, &moved, 0, FALSE, DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE));
  Report{" works %d source gone %d\n", SetEvent(moved), moved == again || !SetEvent(again)};
  CloseHandle(moved);
  CloseHandle(event);
  CloseHandle(opened);
  HANDLE gone = OpenEventA(SYNCHRONIZE, FALSE, "vitrine-event");
  std::printf("name goes with the last handle %d error %lu\n", gone != nullptr, GetLastError());

  HANDLE real = nullptr;
  DuplicateHandle(self, GetCurrentThread(), self, &real, 0, FALSE, DUPLICATE_SAME_ACCESS);
  Report{"thread id from a real handle %d\n", GetThreadId(real) == GetCurrentThreadId()};
  HANDLE many[5000];
  for (HANDLE& handle : many) handle = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  int bad = 0;
  for (HANDLE handle : many) bad += handle == nullptr || (reinterpret_cast<UINT_PTR>(handle) & 3) != 0;
  for (HANDLE handle : many) bad += !CloseHandle(handle);
  std::printf("five thousand handles, bad %d\n", bad);
  return 0;
}
