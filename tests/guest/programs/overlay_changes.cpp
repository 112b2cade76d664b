// Changes its current folder in every way that a file can change; deletes the files that its arguments name.
#include <windows.h>

#include <cstdio>

namespace {

void put(const char* name, const char* text, DWORD disposition) {
  HANDLE file = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, nullptr, disposition, 0, nullptr);
  if (file == INVALID_HANDLE_VALUE) {
    std::printf("%s: error %lu\n", name, GetLastError());
    ExitProcess(1);
  }
  DWORD count = 0;
  SetFilePointer(file, 0, nullptr, FILE_END);
  WriteFile(file, text, lstrlenA(text), &count, nullptr);
  CloseHandle(file);
}

// Times, ids and order are part of what a program may see.
void show() {
  WIN32_FIND_DATAA found;
  HANDLE search = FindFirstFileA("*", &found);
  do {
    if (found.cFileName[0] == '.') continue;
    HANDLE file = CreateFileA(found.cFileName, 0, 7, nullptr, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, nullptr);
    BY_HANDLE_FILE_INFORMATION information{};
    GetFileInformationByHandle(file, &information);
    CloseHandle(file);
    std::printf("%s attributes %lx size %lu links %lu index %lu\n", found.cFileName, information.dwFileAttributes,
                information.nFileSizeLow, information.nNumberOfLinks, information.nFileIndexLow);
  } while (FindNextFileA(search, &found));
}

}  // namespace

int main(int count, char** arguments) {
  put("old.txt", " more", OPEN_ALWAYS);
  put("new.txt", "new", CREATE_ALWAYS);
  CreateDirectoryA("made", nullptr);
  put("made\\first.txt", "deep", CREATE_ALWAYS);
  MoveFileA("made\\first.txt", "made\\deep.txt");
  put("short.txt", "lived", CREATE_NEW);
  show();
  DeleteFileA("short.txt");
  for (int i = 1; i < count; ++i) DeleteFileA(arguments[i]);
  show();
  return 0;
}
