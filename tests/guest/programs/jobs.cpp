// Job objects: assignment, membership of children, accounting, messages to a completion port, termination, the kill at
// the last handle, breaking away.
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "report.h"

namespace {

struct Child {
  HANDLE process, thread;
  DWORD id;
};

// A copy of this program that has not run yet; "sleep" waits for ever, a number is its exit code.
Child start(const std::string& what, DWORD flags = 0) {
  char path[MAX_PATH];
  GetModuleFileNameA(nullptr, path, sizeof path);
  std::string command = "\"" + std::string(path) + "\" " + what;
  STARTUPINFOA si{};
  si.cb = sizeof si;
  PROCESS_INFORMATION pi{};
  std::fflush(stdout);
  if (!CreateProcessA(nullptr, command.data(), nullptr, nullptr, TRUE, CREATE_SUSPENDED | flags, nullptr, nullptr, &si,
                      &pi)) {
    std::printf("CreateProcess failed %lu\n", GetLastError());
  }
  return {pi.hProcess, pi.hThread, pi.dwProcessId};
}

DWORD finish(const Child& child) {
  WaitForSingleObject(child.process, INFINITE);
  DWORD code = 0;
  GetExitCodeProcess(child.process, &code);
  return code;
}

bool is_in(HANDLE process, HANDLE job) {
  BOOL inside = FALSE;
  IsProcessInJob(process, job, &inside);
  return inside;
}

void print_counts(HANDLE job) {
  JOBOBJECT_BASIC_ACCOUNTING_INFORMATION counts{};
  QueryInformationJobObject(job, JobObjectBasicAccountingInformation, &counts, sizeof counts, nullptr);
  std::printf("total %lu active %lu\n", counts.TotalProcesses, counts.ActiveProcesses);
}

void set_flags(HANDLE job, DWORD flags) {
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
  limits.BasicLimitInformation.LimitFlags = flags;
  Report{"limits %d\n", SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits)};
}

void membership() {
  HANDLE job = CreateJobObjectA(nullptr, nullptr), other = CreateJobObjectA(nullptr, nullptr);
  const Child child = start("9");
  Report{"before %d %d\n", is_in(child.process, nullptr), is_in(child.process, job)};
  Report{"assign %d\n", AssignProcessToJobObject(job, child.process)};
  Report{"after %d %d %d\n", is_in(child.process, nullptr), is_in(child.process, job), is_in(child.process, other)};
  print_counts(job);
  JOBOBJECT_BASIC_PROCESS_ID_LIST list{};
  QueryInformationJobObject(job, JobObjectBasicProcessIdList, &list, sizeof list, nullptr);
  std::printf("listed %lu of %lu, mine %d\n", list.NumberOfProcessIdsInList, list.NumberOfAssignedProcesses,
              list.ProcessIdList[0] == child.id);
  ResumeThread(child.thread);
  std::printf("exit %lu\n", finish(child));
  print_counts(job);
}

const char* name_of(DWORD message) {
  switch (message) {
    case JOB_OBJECT_MSG_NEW_PROCESS:
      return "new process";
    case JOB_OBJECT_MSG_EXIT_PROCESS:
      return "exit process";
    case JOB_OBJECT_MSG_ABNORMAL_EXIT_PROCESS:
      return "abnormal exit process";
    case JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO:
      return "active process zero";
    default:
      return "another message";
  }
}

void messages() {
  HANDLE job = CreateJobObjectA(nullptr, nullptr);
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
  JOBOBJECT_ASSOCIATE_COMPLETION_PORT association{reinterpret_cast<void*>(0x1234), port};
  Report{"port %d\n",
         SetInformationJobObject(job, JobObjectAssociateCompletionPortInformation, &association, sizeof association)};
  const Child child = start("3");
  AssignProcessToJobObject(job, child.process);
  ResumeThread(child.thread);
  for (int i = 0; i < 3; ++i) {
    DWORD message = 0;
    ULONG_PTR key = 0;
    OVERLAPPED* value = nullptr;
    GetQueuedCompletionStatus(port, &message, &key, &value, INFINITE);
    const auto id = static_cast<DWORD>(reinterpret_cast<ULONG_PTR>(value));
    std::printf("message %s, key %#llx, %s\n", name_of(message), static_cast<unsigned long long>(key),
                id == child.id ? "the child"
                : id == 0      ? "nobody"
                               : "somebody else");
  }
}

void termination() {
  HANDLE job = CreateJobObjectA(nullptr, nullptr);
  const Child one = start("sleep"), two = start("sleep");
  AssignProcessToJobObject(job, one.process);
  AssignProcessToJobObject(job, two.process);
  ResumeThread(one.thread);
  Report{"terminate %d\n", TerminateJobObject(job, 77)};
  std::printf("exits %lu %lu\n", finish(one), finish(two));
  const Child killed = start("sleep");
  HANDLE killing = CreateJobObjectA(nullptr, nullptr);
  set_flags(killing, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE);
  AssignProcessToJobObject(killing, killed.process);
  CloseHandle(killing);
  std::printf("killed %lu\n", finish(killed));
}

// A child in a job starts children of its own.
int parent_in_job() {
  const Child inside = start("0");
  Report{"grandchild inside %d\n", is_in(inside.process, nullptr)};
  ResumeThread(inside.thread);
  finish(inside);
  const Child away = start("0", CREATE_BREAKAWAY_FROM_JOB);
  Report{"grandchild away %d\n", is_in(away.process, nullptr)};
  ResumeThread(away.thread);
  finish(away);
  return 0;
}

void children() {
  HANDLE job = CreateJobObjectA(nullptr, nullptr);
  set_flags(job, JOB_OBJECT_LIMIT_BREAKAWAY_OK);
  const Child parent = start("parent");
  AssignProcessToJobObject(job, parent.process);
  ResumeThread(parent.thread);
  std::printf("parent %lu\n", finish(parent));
  print_counts(job);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    if (std::strcmp(argv[1], "sleep") == 0) Sleep(INFINITE);
    if (std::strcmp(argv[1], "parent") == 0) return parent_in_job();
    return std::atoi(argv[1]);
  }
  membership();
  messages();
  termination();
  children();
  return 0;
}
