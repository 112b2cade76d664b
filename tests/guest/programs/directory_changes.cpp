// ReadDirectoryChangesW: through an event, a completion routine and a completion port; filters, subfolders, a buffer
// that is too small.
#include <windows.h>

#include <cstdio>

namespace {

alignas(4) char buffer[4096];

void print(const char* title, DWORD bytes) {
  std::printf("%s: %s\n", title, bytes == 0 ? "look for yourself" : "");
  for (char* at = buffer; bytes != 0;) {
    auto* information = reinterpret_cast<FILE_NOTIFY_INFORMATION*>(at);
    std::printf("  %lu %.*ls\n", information->Action, static_cast<int>(information->FileNameLength / 2),
                information->FileName);
    if (information->NextEntryOffset == 0) break;
    at += information->NextEntryOffset;
  }
}

HANDLE open_folder(const char* name) {
  return CreateFileA(name, FILE_LIST_DIRECTORY, 7, nullptr, OPEN_EXISTING,
                     FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED, nullptr);
}

void put(const char* name, const char* text) {
  HANDLE file = CreateFileA(name, GENERIC_WRITE, 7, nullptr, CREATE_ALWAYS, 0, nullptr);
  DWORD count = 0;
  if (*text != 0) WriteFile(file, text, lstrlenA(text), &count, nullptr);
  CloseHandle(file);
}

constexpr DWORD kNames = FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME;

void with_an_event() {
  HANDLE folder = open_folder("watched");
  OVERLAPPED request{};
  request.hEvent = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  DWORD bytes = 0;
  std::printf("asked %d\n",
              ReadDirectoryChangesW(folder, buffer, sizeof buffer, TRUE, kNames, nullptr, &request, nullptr));
  std::printf("yet %lu\n", WaitForSingleObject(request.hEvent, 0));
  put("watched\\a.txt", "");
  std::printf("now %lu\n", WaitForSingleObject(request.hEvent, 2000));
  std::printf("result %d\n", GetOverlappedResult(folder, &request, &bytes, FALSE));
  print("made", bytes);
  ReadDirectoryChangesW(folder, buffer, sizeof buffer, TRUE, kNames, nullptr, &request, nullptr);
  DeleteFileA("watched\\a.txt");
  GetOverlappedResult(folder, &request, &bytes, TRUE);
  print("deleted", bytes);
  ReadDirectoryChangesW(folder, buffer, sizeof buffer, TRUE, kNames, nullptr, &request, nullptr);
  CreateDirectoryA("watched\\sub\\deeper", nullptr);
  GetOverlappedResult(folder, &request, &bytes, TRUE);
  print("below", bytes);
  std::printf("cancelled %d\n",
              (ReadDirectoryChangesW(folder, buffer, sizeof buffer, TRUE, kNames, nullptr, &request, nullptr),
               CancelIo(folder)));
  const BOOL ok = GetOverlappedResult(folder, &request, &bytes, TRUE);
  std::printf("result %d error %lu\n", ok, GetLastError());
  CloseHandle(folder);
}

DWORD completed_bytes;
bool completed;
void CALLBACK on_change(DWORD error, DWORD bytes, OVERLAPPED*) {
  std::printf("routine %lu\n", error);
  completed_bytes = bytes;
  completed = true;
}

void with_a_routine() {
  HANDLE folder = open_folder("watched");
  OVERLAPPED request{};
  ReadDirectoryChangesW(folder, buffer, sizeof buffer, FALSE, FILE_NOTIFY_CHANGE_SIZE, nullptr, &request, on_change);
  put("watched\\b.txt", "grows");
  while (!completed) SleepEx(1000, TRUE);
  print("routine", completed_bytes);
  CloseHandle(folder);
}

void with_a_port() {
  HANDLE folder = open_folder("watched");
  HANDLE port = CreateIoCompletionPort(folder, nullptr, 77, 0);
  OVERLAPPED request{};
  ReadDirectoryChangesW(folder, buffer, sizeof buffer, FALSE, FILE_NOTIFY_CHANGE_ATTRIBUTES, nullptr, &request,
                        nullptr);
  SetFileAttributesA("watched\\b.txt", FILE_ATTRIBUTE_READONLY);
  DWORD bytes = 0;
  ULONG_PTR key = 0;
  OVERLAPPED* which = nullptr;
  const BOOL ok = GetQueuedCompletionStatus(port, &bytes, &key, &which, 2000);
  std::printf("packet %d key %llu same %d\n", ok, static_cast<unsigned long long>(key), which == &request);
  print("attributes", bytes);
  SetFileAttributesA("watched\\b.txt", FILE_ATTRIBUTE_NORMAL);
  CloseHandle(folder);
  CloseHandle(port);
}

void wait_for_notification() {
  HANDLE change = FindFirstChangeNotificationA("watched", FALSE, FILE_NOTIFY_CHANGE_FILE_NAME);
  std::printf("quiet %lu\n", WaitForSingleObject(change, 0));
  put("watched\\c.txt", "");
  std::printf("change %lu\n", WaitForSingleObject(change, 2000));
  std::printf("next %d\n", FindNextChangeNotification(change));
  DeleteFileA("watched\\c.txt");
  std::printf("change %lu\n", WaitForSingleObject(change, 2000));
  FindCloseChangeNotification(change);
}

}  // namespace

int main() {
  CreateDirectoryA("watched", nullptr);
  CreateDirectoryA("watched\\sub", nullptr);
  with_an_event();
  with_a_routine();
  with_a_port();
  wait_for_notification();
  return 0;
}
