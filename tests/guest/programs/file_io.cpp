// Files in the current folder: create, write, seek, read, attributes, share modes, enumeration, rename, delete, errors.
#include <windows.h>

#include <cstdio>
#include <cstring>

#include "report.h"

namespace {
DWORD error_of(HANDLE handle) {
  DWORD error = GetLastError();
  if (handle != INVALID_HANDLE_VALUE) CloseHandle(handle);
  return handle == INVALID_HANDLE_VALUE ? error : 0;
}
HANDLE open(const char* name, DWORD access, DWORD share, DWORD disposition, DWORD flags = FILE_ATTRIBUTE_NORMAL) {
  return CreateFileA(name, access, share, nullptr, disposition, flags, nullptr);
}

void write_and_read() {
  HANDLE file = open("data.bin", GENERIC_READ | GENERIC_WRITE, 0, CREATE_NEW);
  char block[1000];
  DWORD count = 0;
  for (int i = 0; i < 100; ++i) {
    std::memset(block, i, sizeof block);
    WriteFile(file, block, sizeof block, &count, nullptr);
  }
  LARGE_INTEGER size, where, zero{};
  GetFileSizeEx(file, &size);
  std::printf("size %lld\n", size.QuadPart);
  LARGE_INTEGER target;
  target.QuadPart = -1500;
  SetFilePointerEx(file, target, &where, FILE_END);
  ReadFile(file, block, sizeof block, &count, nullptr);
  std::printf("at %lld read %lu bytes %d %d\n", where.QuadPart, count, block[0], block[999]);
  SetFilePointerEx(file, zero, &where, FILE_CURRENT);
  std::printf("now at %lld\n", where.QuadPart);
  ReadFile(file, block, sizeof block, &count, nullptr);
  std::printf("short read %lu\n", count);
  BOOL ok = ReadFile(file, block, sizeof block, &count, nullptr);
  std::printf("end of file %d %lu\n", ok, count);
  OVERLAPPED at{};
  at.Offset = 42000;
  ReadFile(file, block, 10, &count, &at);
  std::printf("positioned %lu %d\n", count, block[0]);
  SetFilePointer(file, 2500, nullptr, FILE_BEGIN);
  std::printf("truncate %d\n", SetEndOfFile(file));
  GetFileSizeEx(file, &size);
  std::printf("size %lld\n", size.QuadPart);
  SetFilePointer(file, 5000, nullptr, FILE_BEGIN);
  WriteFile(file, "x", 1, &count, nullptr);
  SetFilePointer(file, 4000, nullptr, FILE_BEGIN);
  ReadFile(file, block, 1, &count, nullptr);
  std::printf("hole reads %d\n", block[0]);
  Report{"flush %d type %lu\n", FlushFileBuffers(file), GetFileType(file)};
  CloseHandle(file);
}

void sharing_and_errors() {
  Report{"create new again %lu\n", error_of(open("data.bin", GENERIC_READ, 0, CREATE_NEW))};
  Report{"absent %lu\n", error_of(open("absent.bin", GENERIC_READ, 0, OPEN_EXISTING))};
  Report{"absent folder %lu\n", error_of(open("no\\such\\x", GENERIC_READ, 0, OPEN_EXISTING))};
  Report{"bad name %lu\n", error_of(open("a<b", GENERIC_WRITE, 0, CREATE_ALWAYS))};
  Report{"a folder as a file %lu\n", error_of(open(".", GENERIC_READ, 7, OPEN_EXISTING))};
  HANDLE reader = open("data.bin", GENERIC_READ, FILE_SHARE_READ, OPEN_EXISTING);
  Report{"writer beside reader %lu\n", error_of(open("data.bin", GENERIC_WRITE, 7, OPEN_EXISTING))};
  Report{"reader beside reader %lu\n", error_of(open("data.bin", GENERIC_READ, FILE_SHARE_READ, OPEN_EXISTING))};
  DWORD count = 0;
  BOOL ok = WriteFile(reader, "x", 1, &count, nullptr);
  std::printf("write on a reader %d error %lu\n", ok, GetLastError());
  ok = DeleteFileA("data.bin");
  std::printf("delete while open %d error %lu\n", ok, GetLastError());
  CloseHandle(reader);
}

void names() {
  std::printf("mkdir %d\n", CreateDirectoryA("folder", nullptr));
  Report{"mkdir again %d error %lu\n", CreateDirectoryA("folder", nullptr), GetLastError()};
  std::printf("move %d\n", MoveFileA("data.bin", "folder\\moved.bin"));
  std::printf("copy %d\n", CopyFileA("folder\\moved.bin", "folder\\copied.bin", TRUE));
  Report{"remove full folder %d error %lu\n", RemoveDirectoryA("folder"), GetLastError()};
  WIN32_FIND_DATAA found;
  HANDLE find = FindFirstFileA("folder\\*", &found);
  int entries = 0;
  unsigned long long bytes = 0;
  do {
    ++entries;
    bytes += found.nFileSizeLow;
  } while (FindNextFileA(find, &found));
  std::printf("found %d entries, last error %lu, bytes %llu\n", entries, GetLastError(), bytes);
  FindClose(find);
  find = FindFirstFileA("folder\\C*.BIN", &found);
  std::printf("pattern %s attributes %lx\n", find == INVALID_HANDLE_VALUE ? "nothing" : found.cFileName,
              found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY);
  FindClose(find);
  Report{"attributes of absent %lx error %lu\n", GetFileAttributesA("nothing.txt"), GetLastError()};
  std::printf("folder attributes %lx\n", GetFileAttributesA("FOLDER") & FILE_ATTRIBUTE_DIRECTORY);
  HANDLE temporary = open("gone.tmp", GENERIC_WRITE, 0, CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE);
  CloseHandle(temporary);
  std::printf("deleted on close %d\n", GetFileAttributesA("gone.tmp") == INVALID_FILE_ATTRIBUTES);
  Report{"delete %d %d\n", DeleteFileA("folder\\moved.bin"), DeleteFileA("folder\\copied.bin")};
  Report{"delete absent %d error %lu\n", DeleteFileA("folder\\moved.bin"), GetLastError()};
  std::printf("rmdir %d\n", RemoveDirectoryA("folder"));
}

void stdio() {
  std::FILE* file = std::fopen("text.txt", "w");
  for (int i = 0; i < 1000; ++i) std::fprintf(file, "line %d\n", i);
  std::fclose(file);
  file = std::fopen("text.txt", "r");
  char line[64];
  int lines = 0;
  while (std::fgets(line, sizeof line, file)) ++lines;
  std::fclose(file);
  std::printf("text lines %d removed %d\n", lines, std::remove("text.txt"));
}
}  // namespace

int main() {
  write_and_read();
  sharing_and_errors();
  names();
  stdio();
  return 0;
}
