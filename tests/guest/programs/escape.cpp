// Tries to reach what it was not given. Every verb is one way; it prints what came of it, one line each. escape_test.py builds the
// surroundings, runs the verbs and looks at the host afterwards.
#include <windows.h>
#include <winternl.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

template <typename Function>
Function* ntdll(const char* name) {
  return reinterpret_cast<Function*>(GetProcAddress(GetModuleHandleA("ntdll.dll"), name));
}
using OpenFileFunction = NTSTATUS NTAPI(HANDLE*, ACCESS_MASK, OBJECT_ATTRIBUTES*, IO_STATUS_BLOCK*, ULONG, ULONG);
using CreateSectionFunction = NTSTATUS NTAPI(HANDLE*, ACCESS_MASK, OBJECT_ATTRIBUTES*, LARGE_INTEGER*, ULONG, ULONG, HANDLE);
using OpenSectionFunction = NTSTATUS NTAPI(HANDLE*, ACCESS_MASK, OBJECT_ATTRIBUTES*);

std::wstring wide(const char* text) {
  std::wstring out(MultiByteToWideChar(CP_UTF8, 0, text, -1, nullptr, 0), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text, -1, out.data(), static_cast<int>(out.size()));
  out.pop_back();
  // "^0" on the command line is an embedded NUL.
  for (std::size_t at; (at = out.find(L"^0")) != out.npos;) out.replace(at, 2, std::wstring(1, L'\0'));
  return out;
}

struct Name {
  explicit Name(const std::wstring& text) : string{static_cast<USHORT>(text.size() * 2), static_cast<USHORT>(text.size() * 2),
                                                   const_cast<wchar_t*>(text.data())} {
    InitializeObjectAttributes(&attributes, &string, OBJ_CASE_INSENSITIVE, nullptr, nullptr);
  }
  UNICODE_STRING string;
  OBJECT_ATTRIBUTES attributes;
};

void print_contents(HANDLE file) {
  char text[64] = {};
  DWORD count = 0;
  if (!ReadFile(file, text, sizeof text - 1, &count, nullptr)) {
    std::printf("opened, read error %lu\n", GetLastError());
    return;
  }
  std::printf("read %s\n", text);
}

void open_win32(const char* path) {
  HANDLE file = CreateFileW(wide(path).c_str(), GENERIC_READ, 7, nullptr, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, nullptr);
  if (file == INVALID_HANDLE_VALUE) std::printf("refused %lu\n", GetLastError());
  else print_contents(file), CloseHandle(file);
}

void write_win32(const char* path) {
  HANDLE file = CreateFileW(wide(path).c_str(), GENERIC_WRITE, 7, nullptr, CREATE_ALWAYS, 0, nullptr);
  DWORD count = 0;
  if (file == INVALID_HANDLE_VALUE) std::printf("refused %lu\n", GetLastError());
  else if (!WriteFile(file, "escaped", 7, &count, nullptr)) std::printf("opened, write error %lu\n", GetLastError());
  else std::printf("wrote\n");
  if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
}

NTSTATUS open_native(const char* path, HANDLE* file) {
  const std::wstring text = wide(path);
  Name name(text);
  IO_STATUS_BLOCK block;
  return ntdll<OpenFileFunction>("NtOpenFile")(file, FILE_READ_DATA | SYNCHRONIZE, &name.attributes, &block, 7, 0x20);
}

void open_nt(const char* path) {
  HANDLE file = nullptr;
  const NTSTATUS status = open_native(path, &file);
  if (status < 0) std::printf("refused %08lx\n", static_cast<unsigned long>(status));
  else print_contents(file);
}

// A section that is asked for by name, and one made of a file.
void section(const char* path) {
  const std::wstring text = wide(path);
  Name name(text);
  HANDLE handle = nullptr, file = nullptr;
  NTSTATUS status = ntdll<OpenSectionFunction>("NtOpenSection")(&handle, SECTION_MAP_READ, &name.attributes);
  std::printf("by name %08lx\n", static_cast<unsigned long>(status));
  status = open_native(path, &file);
  if (status >= 0) {
    for (ULONG kind : {0x08000000ul, 0x01000000ul}) {
      status = ntdll<CreateSectionFunction>("NtCreateSection")(&handle, SECTION_MAP_READ, nullptr, nullptr, PAGE_READONLY, kind, file);
      std::printf("of the file %08lx\n", static_cast<unsigned long>(status));
    }
  } else {
    std::printf("refused %08lx\n", static_cast<unsigned long>(status));
  }
}

void process(const char* path) {
  STARTUPINFOW startup{};
  startup.cb = sizeof startup;
  PROCESS_INFORMATION made{};
  std::wstring line = L"\"" + wide(path) + L"\"";
  const BOOL ok = CreateProcessW(wide(path).c_str(), line.data(), nullptr, nullptr, FALSE, 0, nullptr, nullptr, &startup, &made);
  if (ok) std::printf("started\n");
  else std::printf("refused %lu\n", GetLastError());
}

#define TRY(text, condition)                                              \
  do {                                                                    \
    SetLastError(0);                                                      \
    const BOOL done = (condition);                                        \
    std::printf("%s %s %lu\n", text, done ? "DONE" : "refused", GetLastError()); \
  } while (false)

// Everything that would change a file of a read-only mount.
void change(const char* folder) {
  const std::string base = folder, target = base + "\\file.txt";
  const char* name = target.c_str();
  constexpr DWORD kAccesses[] = {GENERIC_WRITE, FILE_APPEND_DATA, FILE_WRITE_ATTRIBUTES, DELETE, WRITE_DAC};
  for (DWORD access : kAccesses) {
    TRY("open to change", CreateFileA(name, access, 7, nullptr, OPEN_EXISTING, 0, nullptr) != INVALID_HANDLE_VALUE);
  }
  constexpr DWORD kOverwrites[] = {CREATE_ALWAYS, TRUNCATE_EXISTING};
  for (DWORD how : kOverwrites) {
    TRY("overwrite", CreateFileA(name, GENERIC_WRITE, 7, nullptr, how, 0, nullptr) != INVALID_HANDLE_VALUE);
  }
  TRY("create", CreateFileA((base + "\\new.txt").c_str(), GENERIC_WRITE, 7, nullptr, CREATE_NEW, 0, nullptr) != INVALID_HANDLE_VALUE);
  TRY("make a folder", CreateDirectoryA((base + "\\new").c_str(), nullptr));
  TRY("delete", DeleteFileA(name));
  TRY("delete on close", CreateFileA(name, GENERIC_READ, 7, nullptr, OPEN_EXISTING, FILE_FLAG_DELETE_ON_CLOSE,
                                     nullptr) != INVALID_HANDLE_VALUE);
  TRY("remove the folder", RemoveDirectoryA(folder));
  TRY("set attributes", SetFileAttributesA(name, FILE_ATTRIBUTE_READONLY));
  TRY("move out", MoveFileA(name, "taken.txt"));
  TRY("move in", (CopyFileA("inner.txt", "mine.txt", FALSE), MoveFileA("mine.txt", (base + "\\mine.txt").c_str())));
  TRY("replace by a move", MoveFileExA("mine.txt", name, MOVEFILE_REPLACE_EXISTING));
  TRY("rename the mount", MoveFileA(folder, "C:\\elsewhere"));
  TRY("link out", CreateHardLinkA("linked.txt", name, nullptr));
  TRY("link in", CreateHardLinkA((base + "\\linked.txt").c_str(), "inner.txt", nullptr));
  HANDLE file = CreateFileA(name, GENERIC_READ, 7, nullptr, OPEN_EXISTING, 0, nullptr);
  TRY("map to write", CreateFileMappingA(file, nullptr, PAGE_READWRITE, 0, 0, nullptr) != nullptr);
  HANDLE mapping = CreateFileMappingA(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  TRY("view to write", MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0) != nullptr);
  void* view = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  DWORD old = 0;
  TRY("make the view writable", VirtualProtect(view, 4096, PAGE_READWRITE, &old));
  char* copy = static_cast<char*>(MapViewOfFile(mapping, FILE_MAP_COPY, 0, 0, 0));
  if (copy != nullptr) copy[0] = 'X';  // private to this process
  FILETIME time{1, 30'000'000};
  TRY("set times", SetFileTime(file, &time, &time, &time));
  TRY("set the end", SetEndOfFile(file));
}

LONG CALLBACK report(EXCEPTION_POINTERS* pointers) {
  std::printf("exception %08lx\n", pointers->ExceptionRecord->ExceptionCode);
  std::fflush(stdout);
  ExitProcess(3);
}

void interrupt_80() {
  AddVectoredExceptionHandler(1, report);
  const char text[] = "escaped\n";
  long long result = 4;  // write, as 32-bit Linux counts
  asm volatile("int $0x80" : "+a"(result) : "b"(1ll), "c"(text), "d"(8ll) : "memory");
  std::printf("returned\n");
}

// What Linux would do for these numbers; to the machine they are services of NT, or none.
void linux_numbers(const char* path) {
  const std::string text = path;
  const char message[] = "escaped\n";
  const struct { long long number, a, b, c; const char* what; } calls[] = {
      {1, 1, reinterpret_cast<long long>(message), 8, "write"},
      {2, reinterpret_cast<long long>(text.c_str()), 0, 0, "open"},
      {257, -100, reinterpret_cast<long long>(text.c_str()), 0, "openat"},
      {59, reinterpret_cast<long long>("/bin/sh"), 0, 0, "execve"},
      {101, 0, 0, 0, "ptrace"},
      {10000, 0, 0, 0, "nothing"}};
  for (const auto& call : calls) {
    long long result = call.number;
    register long long r10 asm("r10") = -1;
    register long long r8 asm("r8") = 0;
    register long long r9 asm("r9") = 0;
    asm volatile("syscall" : "+a"(result), "+r"(r10), "+r"(r8), "+r"(r9) : "D"(call.a), "S"(call.b), "d"(call.c) : "rcx", "r11", "memory");
    std::printf("%s %s\n", call.what, static_cast<int>(result) < 0 ? "refused" : "answered");
  }
}

// Opens the same path again and again while somebody on the host swaps what is on the way.
void race(const char* path, int rounds) {
  int opened = 0, secrets = 0;
  std::printf("ready\n");
  std::fflush(stdout);
  for (int i = 0; i < rounds; ++i) {
    HANDLE file = CreateFileA(path, GENERIC_READ, 7, nullptr, OPEN_EXISTING, 0, nullptr);
    if (file == INVALID_HANDLE_VALUE) continue;
    char text[8] = {};
    DWORD count = 0;
    ReadFile(file, text, 6, &count, nullptr);
    ++opened;
    if (std::strcmp(text, "SECRET") == 0) ++secrets;
    CloseHandle(file);
  }
  std::printf("opened %s secrets %d\n", opened != 0 ? "some" : "none", secrets);
}

void list(const char* path) {
  WIN32_FIND_DATAA found;
  HANDLE search = FindFirstFileA(path, &found);
  if (search == INVALID_HANDLE_VALUE) {
    std::printf("refused %lu\n", GetLastError());
    return;
  }
  do std::printf("%s\n", found.cFileName);
  while (FindNextFileA(search, &found));
}

void environment() {
  for (char* at = GetEnvironmentStringsA(); *at != 0; at += std::strlen(at) + 1) std::printf("%s\n", at);
}

}  // namespace

int main(int count, char** arguments) {
  const std::string verb = count > 1 ? arguments[1] : "";
  const char* path = count > 2 ? arguments[2] : "";
  if (verb == "open") open_win32(path);
  else if (verb == "write") write_win32(path);
  else if (verb == "nt") open_nt(path);
  else if (verb == "section") section(path);
  else if (verb == "process") process(path);
  else if (verb == "change") change(path);
  else if (verb == "int80") interrupt_80();
  else if (verb == "linux") linux_numbers(path);
  else if (verb == "race") race(path, std::atoi(arguments[3]));
  else if (verb == "list") list(path);
  else if (verb == "environment") environment();
  else return 2;
  return 0;
}
