// Rules of files that programs lean on: delete pending, delete on close, share modes of deletes and renames, byte-range
// locks, attributes, times, views beside reads and writes, renames and links.
#include <windows.h>

#include <cstdio>
#include <cstring>

#include "report.h"

namespace {

HANDLE open(const char* name, DWORD access, DWORD share = 7, DWORD how = OPEN_EXISTING, DWORD flags = 0) {
  return CreateFileA(name, access, share, nullptr, how, flags, nullptr);
}
DWORD open_error(const char* name, DWORD access = GENERIC_READ, DWORD share = 7) {
  HANDLE file = open(name, access, share);
  const DWORD error = file == INVALID_HANDLE_VALUE ? GetLastError() : 0;
  if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
  return error;
}
void put(const char* name, const char* text) {
  HANDLE file = open(name, GENERIC_WRITE, 7, CREATE_ALWAYS);
  DWORD count = 0;
  WriteFile(file, text, lstrlenA(text), &count, nullptr);
  CloseHandle(file);
}
DWORD error_of(BOOL ok) { return ok ? 0 : GetLastError(); }

void deletion() {
  put("pending.txt", "x");
  HANDLE file = open("pending.txt", GENERIC_READ | DELETE);
  FILE_DISPOSITION_INFO disposition{TRUE};
  Report{"mark %lu\n",
         error_of(SetFileInformationByHandle(file, FileDispositionInfo, &disposition, sizeof disposition))};
  Report{"open a pending one %lu\n", open_error("pending.txt")};
  FILE_STANDARD_INFO standard{};
  GetFileInformationByHandleEx(file, FileStandardInfo, &standard, sizeof standard);
  std::printf("pending %d\n", standard.DeletePending);
  disposition.DeleteFile = FALSE;
  Report{"unmark %lu\n",
         error_of(SetFileInformationByHandle(file, FileDispositionInfo, &disposition, sizeof disposition))};
  Report{"open again %lu\n", open_error("pending.txt")};
  CloseHandle(file);
  file = open("pending.txt", GENERIC_READ | DELETE, 7, OPEN_EXISTING, FILE_FLAG_DELETE_ON_CLOSE);
  Report{"without sharing deletion %lu\n", open_error("pending.txt", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE)};
  Report{"with it %lu\n", open_error("pending.txt")};
  CloseHandle(file);
  Report{"after the close %lu\n", open_error("pending.txt")};
}

void locks() {
  put("locked.txt", "0123456789");
  HANDLE one = open("locked.txt", GENERIC_READ | GENERIC_WRITE), two = open("locked.txt", GENERIC_READ | GENERIC_WRITE);
  OVERLAPPED at{};
  at.Offset = 2;
  Report{"exclusive %lu\n",
         error_of(LockFileEx(one, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 3, 0, &at))};
  Report{"again by another %lu\n", error_of(LockFileEx(two, LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at))};
  char text[10];
  DWORD count = 0;
  Report{"read inside %lu\n", error_of(ReadFile(two, text, 5, &count, nullptr))};
  SetFilePointer(two, 5, nullptr, FILE_BEGIN);
  Report{"read beyond %lu\n", error_of(ReadFile(two, text, 5, &count, nullptr))};
  Report{"write by the owner %lu\n", error_of(WriteFile(one, "abcde", 5, &count, nullptr))};
  Report{"unlock another range %lu\n", error_of(UnlockFile(one, 2, 0, 2, 0))};
  Report{"unlock %lu\n", error_of(UnlockFile(one, 2, 0, 3, 0))};
  at.Offset = 0;
  Report{"shared %lu\n", error_of(LockFileEx(one, LOCKFILE_FAIL_IMMEDIATELY, 0, 4, 0, &at))};
  Report{"shared by another %lu\n", error_of(LockFileEx(two, LOCKFILE_FAIL_IMMEDIATELY, 0, 4, 0, &at))};
  CloseHandle(one);
  UnlockFile(two, 0, 0, 4, 0);
  at.Offset = 0;
  Report{"gone with the handle %lu\n",
         error_of(LockFileEx(two, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 4, 0, &at))};
  CloseHandle(two);
}

void attributes_and_times() {
  put("attributes.txt", "x");
  Report{"read only %lu\n",
         error_of(SetFileAttributesA("attributes.txt", FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_ARCHIVE))};
  Report{"attributes %lx\n", GetFileAttributesA("attributes.txt")};
  Report{"write %lu delete %lu\n", open_error("attributes.txt", GENERIC_WRITE),
         error_of(DeleteFileA("attributes.txt"))};
  Report{"normal %lu\n", error_of(SetFileAttributesA("attributes.txt", FILE_ATTRIBUTE_NORMAL))};
  FILETIME written{0x12345678, 30'000'000}, read{0, 30'000'001};
  HANDLE file = open("attributes.txt", GENERIC_READ | GENERIC_WRITE);
  Report{"set times %lu\n", error_of(SetFileTime(file, nullptr, &read, &written))};
  FILETIME got{};
  GetFileTime(file, nullptr, nullptr, &got);
  std::printf("written %lu %lu\n", got.dwHighDateTime, got.dwLowDateTime);
  CloseHandle(file);
  WIN32_FILE_ATTRIBUTE_DATA data{};
  GetFileAttributesExA("attributes.txt", GetFileExInfoStandard, &data);
  std::printf("still %lu\n", data.ftLastWriteTime.dwHighDateTime);
}

void views() {
  put("view.bin", "0123456789");
  HANDLE file = open("view.bin", GENERIC_READ | GENERIC_WRITE);
  HANDLE mapping = CreateFileMappingA(file, nullptr, PAGE_READWRITE, 0, 5000, nullptr);
  Report{"grown to %lu\n", GetFileSize(file, nullptr)};
  char* view = static_cast<char*>(MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0));
  DWORD count = 0;
  WriteFile(file, "written", 7, &count, nullptr);
  std::printf("view sees %.10s\n", view);
  std::memcpy(view + 2, "VIEW", 4);
  char text[11] = {};
  SetFilePointer(file, 0, nullptr, FILE_BEGIN);
  ReadFile(file, text, 10, &count, nullptr);
  std::printf("read sees %s\n", text);
  SetFilePointer(file, 100, nullptr, FILE_BEGIN);
  Report{"truncate below a view %lu\n", error_of(SetEndOfFile(file))};
  UnmapViewOfFile(view);
  CloseHandle(mapping);
  Report{"truncate then %lu\n", error_of(SetEndOfFile(file))};
  CloseHandle(file);
  Report{"delete then %lu\n", error_of(DeleteFileA("view.bin"))};
}

void renames() {
  put("from.txt", "from");
  put("to.txt", "to");
  HANDLE file = open("to.txt", GENERIC_READ);
  Report{"over an open one %lu\n", error_of(MoveFileExA("from.txt", "to.txt", MOVEFILE_REPLACE_EXISTING))};
  CloseHandle(file);
  file = open("from.txt", GENERIC_READ, FILE_SHARE_READ);
  Report{"of one that shares no deletion %lu\n", error_of(MoveFileA("from.txt", "new.txt"))};
  CloseHandle(file);
  Report{"over one %lu\n", error_of(MoveFileA("from.txt", "to.txt"))};
  Report{"replacing %lu\n", error_of(MoveFileExA("from.txt", "to.txt", MOVEFILE_REPLACE_EXISTING))};
  Report{"case only %lu\n", error_of(MoveFileA("to.txt", "TO.txt"))};
  WIN32_FIND_DATAA found{};
  FindClose(FindFirstFileA("to.txt", &found));
  std::printf("is now %s\n", found.cFileName);
  CreateDirectoryA("folder", nullptr);
  file = open("TO.txt", GENERIC_READ);
  Report{"link %lu\n", error_of(CreateHardLinkA("folder\\link.txt", "TO.txt", nullptr))};
  BY_HANDLE_FILE_INFORMATION information{};
  GetFileInformationByHandle(file, &information);
  std::printf("links %lu\n", information.nNumberOfLinks);
  CloseHandle(file);
}

}  // namespace

int main() {
  deletion();
  locks();
  attributes_and_times();
  views();
  renames();
  return 0;
}
