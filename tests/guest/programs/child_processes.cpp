// CreateProcess: exit codes, inherited handles and standard streams, environment, current folder, suspended start,
// reading a child's memory, and a program that is not there.
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string self() {
  char path[MAX_PATH];
  GetModuleFileNameA(nullptr, path, sizeof path);
  return path;
}

PROCESS_INFORMATION start(std::string arguments, DWORD flags = 0, STARTUPINFOA si = {}, void* environment = nullptr,
                          const char* folder = nullptr) {
  std::fflush(stdout);
  si.cb = sizeof si;
  PROCESS_INFORMATION pi{};
  std::string command = "\"" + self() + "\" " + arguments;
  if (!CreateProcessA(nullptr, command.data(), nullptr, nullptr, TRUE, flags, environment, folder, &si, &pi)) {
    std::printf("CreateProcess failed %lu\n", GetLastError());
  }
  return pi;
}

DWORD finish(PROCESS_INFORMATION& pi) {
  WaitForSingleObject(pi.hProcess, INFINITE);
  DWORD code = 0;
  GetExitCodeProcess(pi.hProcess, &code);
  CloseHandle(pi.hProcess);
  CloseHandle(pi.hThread);
  return code;
}

volatile int shared_number = 1234;

int child(int argc, char** argv) {
  const std::string what = argv[1];
  if (what == "code") return std::atoi(argv[2]);
  if (what == "print") return std::printf("child prints %s\n", argv[2]), 0;
  if (what == "environment") return std::printf("child sees %s\n", std::getenv("VITRINE_CHILD")), 0;
  if (what == "runtime") {
    STARTUPINFOA si{};
    GetStartupInfoA(&si);
    std::printf("child got %d:", si.cbReserved2);
    for (int i = 0; i < si.cbReserved2; ++i) std::printf(" %d", si.lpReserved2[i]);
    std::printf("\n");
    return 0;
  }
  if (what == "folder") {
    char folder[MAX_PATH];
    GetCurrentDirectoryA(sizeof folder, folder);
    std::printf("child is in %s\n", std::strrchr(folder, '\\') + 1);
    return 0;
  }
  if (what == "event") {
    const BOOL set = SetEvent(reinterpret_cast<HANDLE>(std::strtoull(argv[2], nullptr, 16)));
    return set ? 7 : 8;
  }
  if (what == "pipe") {
    char line[64];
    while (std::fgets(line, sizeof line, stdin)) std::printf("<%s>", std::strtok(line, "\r\n"));
    return 5;
  }
  if (what == "wait") {
    Sleep(INFINITE);
  }
  return argc;
}

void pipes() {
  SECURITY_ATTRIBUTES inherit{sizeof inherit, nullptr, TRUE};
  HANDLE in_read, in_write, out_read, out_write;
  CreatePipe(&in_read, &in_write, &inherit, 0);
  CreatePipe(&out_read, &out_write, &inherit, 0);
  SetHandleInformation(in_write, HANDLE_FLAG_INHERIT, 0);
  SetHandleInformation(out_read, HANDLE_FLAG_INHERIT, 0);
  STARTUPINFOA si{};
  si.dwFlags = STARTF_USESTDHANDLES;
  si.hStdInput = in_read;
  si.hStdOutput = out_write;
  si.hStdError = GetStdHandle(STD_ERROR_HANDLE);
  auto pi = start("pipe", 0, si);
  CloseHandle(in_read);
  CloseHandle(out_write);
  DWORD done = 0;
  WriteFile(in_write, "one\ntwo\n", 8, &done, nullptr);
  CloseHandle(in_write);
  std::string got;
  char buffer[32];
  while (ReadFile(out_read, buffer, sizeof buffer, &done, nullptr) && done > 0) got.append(buffer, done);
  std::printf("pipe: %s last error %lu exit %lu\n", got.c_str(), GetLastError(), finish(pi));
}

void memory_of_child() {
  auto pi = start("code 3", CREATE_SUSPENDED);
  DWORD code = 0;
  GetExitCodeProcess(pi.hProcess, &code);
  int number = 0;
  SIZE_T done = 0;
  // No randomisation of main images here: the variable lies at the same address in parent and child.
  const BOOL read = ReadProcessMemory(pi.hProcess, const_cast<int*>(&shared_number), &number, sizeof number, &done);
  number += 1;
  const BOOL written = WriteProcessMemory(pi.hProcess, const_cast<int*>(&shared_number), &number, sizeof number, &done);
  int again = 0;
  ReadProcessMemory(pi.hProcess, const_cast<int*>(&shared_number), &again, sizeof again, &done);
  std::printf("suspended %lu read %d write %d child %d ours %d\n", code, read, written, again, shared_number);
  std::printf("resumed from %lu", ResumeThread(pi.hThread));
  std::printf(" exit %lu\n", finish(pi));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return child(argc, argv);
  auto pi = start("code 42");
  std::printf("exit %lu\n", finish(pi));
  pi = start("print \"two words\"");
  std::printf("exit %lu\n", finish(pi));
  char environment[] = "VITRINE_CHILD=set by the parent\0SystemRoot=C:\\windows\0";
  pi = start("environment", 0, {}, environment);
  std::printf("exit %lu\n", finish(pi));
  CreateDirectoryA("below", nullptr);
  pi = start("folder", 0, {}, nullptr, "below");
  std::printf("exit %lu\n", finish(pi));
  RemoveDirectoryA("below");
  // What C runtimes hand down (a count of descriptors first): any size, odd ones too, as libuv's is.
  unsigned char runtime[] = {0, 0, 0, 0, 11, 22, 33};
  STARTUPINFOA with_runtime{};
  with_runtime.cbReserved2 = sizeof runtime;
  with_runtime.lpReserved2 = runtime;
  pi = start("runtime", 0, with_runtime);
  std::printf("exit %lu\n", finish(pi));
  SECURITY_ATTRIBUTES inherit{sizeof inherit, nullptr, TRUE};
  HANDLE event = CreateEventA(&inherit, TRUE, FALSE, nullptr);
  char number[32];
  std::snprintf(number, sizeof number, "event %llx", reinterpret_cast<unsigned long long>(event));
  pi = start(number);
  std::printf("event %lu", WaitForSingleObject(event, INFINITE));
  std::printf(" exit %lu\n", finish(pi));
  pipes();
  memory_of_child();
  pi = start("wait");
  std::printf("terminate %d", TerminateProcess(pi.hProcess, 77));
  std::printf(" exit %lu\n", finish(pi));
  STARTUPINFOA si{};
  si.cb = sizeof si;
  char absent[] = "there_is_no_such_program.exe";
  const BOOL started = CreateProcessA(nullptr, absent, nullptr, nullptr, FALSE, 0, nullptr, nullptr, &si, &pi);
  std::printf("absent %d error %lu\n", started, GetLastError());
  return 0;
}
