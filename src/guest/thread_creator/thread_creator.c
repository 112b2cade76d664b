// thread_creator.exe: the parallel creator of seed 001, written anew. Several threads create suspended threads with
// closed handles until a creation fails, over several processes if asked to.
//
//   thread_creator [--creators N] [--stack KIB] [--threads N] [--processes N] [--call | --patch]
//
//   --call    create through csrclient.dll, which tells the Windows subsystem of each thread
//   --patch   the same, with that call overwritten by no-ops: the seed's way out. The page becomes this process's own
//             copy; a child without --patch still calls.
#define WIN32_LEAN_AND_MEAN
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { kMostCreators = 64, kCallBytes = 5 };

typedef HANDLE (*CreateFunction)(SIZE_T stack, LPTHREAD_START_ROUTINE start, void *argument, DWORD flags);
typedef void *(*CallSiteFunction)(void);
typedef BOOL (*ConnectFunction)(void);

static CreateFunction create;
static SIZE_T stack_bytes = 64 * 1024;
static volatile LONG64 left = 0x7FFFFFFFFFFFFFFF;  // threads to create in this process

typedef struct {
  LONG64 created;
  DWORD error;
} Creator;

static DWORD WINAPI sleeper(void *argument) {
  (void)argument;
  return 0;
}

static HANDLE create_plainly(SIZE_T stack, LPTHREAD_START_ROUTINE start, void *argument, DWORD flags) {
  return CreateThread(NULL, stack, start, argument, flags, NULL);
}

static DWORD WINAPI create_threads(void *argument) {
  Creator *creator = argument;
  while (InterlockedDecrement64(&left) >= 0) {
    HANDLE thread =
        create(stack_bytes, sleeper, NULL, CREATE_SUSPENDED | STACK_SIZE_PARAM_IS_A_RESERVATION);
    if (thread == NULL) {
      creator->error = GetLastError();
      break;
    }
    CloseHandle(thread);
    ++creator->created;
  }
  return 0;
}

static int fail(const char *what) {
  fprintf(stderr, "thread_creator: %s: error %lu\n", what, GetLastError());
  return 1;
}

// Overwrites the call instruction in this process's copy of the DLL's page.
static int patch_call(BYTE *site) {
  DWORD old = 0;
  if (site[0] != 0xE8) return fail("there is no call to patch");
  if (!VirtualProtect(site, kCallBytes, PAGE_EXECUTE_WRITECOPY, &old)) return fail("VirtualProtect");
  memset(site, 0x90, kCallBytes);
  if (!VirtualProtect(site, kCallBytes, old, &old)) return fail("VirtualProtect");
  FlushInstructionCache(GetCurrentProcess(), site, kCallBytes);
  return 0;
}

static int use_library(int patch) {
  HMODULE library = LoadLibraryA("csrclient.dll");
  if (library == NULL) return fail("csrclient.dll");
  ConnectFunction connect = (ConnectFunction)(void *)GetProcAddress(library, "CsrClientConnect");
  CallSiteFunction call_site = (CallSiteFunction)(void *)GetProcAddress(library, "CsrClientCallSite");
  create = (CreateFunction)(void *)GetProcAddress(library, "CsrClientCreateThread");
  if (!connect || !call_site || !create) return fail("csrclient.dll lacks an export");
  if (!connect()) return fail("connecting to the Windows subsystem");
  return patch ? patch_call(call_site()) : 0;
}

// A child that does the same with one process less, so that they come one after the other.
static int start_child(const char *options, int processes) {
  char program[MAX_PATH], command[2 * MAX_PATH];
  STARTUPINFOA startup = {.cb = sizeof startup};
  PROCESS_INFORMATION process;
  GetModuleFileNameA(NULL, program, sizeof program);
  snprintf(command, sizeof command, "\"%s\" %s --processes %d", program, options, processes - 1);
  if (!CreateProcessA(program, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process)) return fail("CreateProcess");
  WaitForSingleObject(process.hProcess, INFINITE);
  return 0;
}

int main(int argc, char **argv) {
  static Creator creators[kMostCreators];
  HANDLE handles[kMostCreators];
  char child_options[MAX_PATH] = "";
  int count = 4, processes = 1, result = 0;
  create = create_plainly;
  for (int i = 1; i < argc; ++i) {
    const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
    const int is_processes = strcmp(option, "--processes") == 0;
    if (strcmp(option, "--call") == 0) result |= use_library(0);
    else if (strcmp(option, "--patch") == 0) result |= use_library(1);
    else if (strcmp(option, "--creators") == 0) count = atoi(value), ++i;
    else if (strcmp(option, "--stack") == 0) stack_bytes = (SIZE_T)atoi(value) * 1024, ++i;
    else if (strcmp(option, "--threads") == 0) left = _atoi64(value), ++i;
    else if (is_processes) processes = atoi(value), ++i;
    else return fail(option);
    if (is_processes) continue;
    // A child of a patched parent calls: the page that the parent wrote to is the parent's alone.
    strcat(strcat(child_options, strcmp(option, "--patch") == 0 ? "--call" : option), " ");
    if (option != argv[i]) strcat(strcat(child_options, value), " ");
  }
  if (result != 0) return result;
  if (count < 1 || count > kMostCreators) return fail("--creators");
  for (int i = 0; i < count; ++i) {
    handles[i] = create(0, create_threads, &creators[i], 0);
    if (handles[i] == NULL) return fail("a creator");
  }
  WaitForMultipleObjects((DWORD)count, handles, TRUE, INFINITE);
  LONG64 created = 0;
  DWORD error = 0;
  for (int i = 0; i < count; ++i) {
    created += creators[i].created;
    if (creators[i].error != 0) error = creators[i].error;
  }
  if (processes > 1) result = start_child(child_options, processes);
  printf("created %lld threads, error %lu\n", (long long)created, error);
  fflush(stdout);
  return result;
}
