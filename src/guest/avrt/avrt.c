/* avrt.dll: a thread's way to the multimedia class scheduler [Microsoft: "Multimedia Class Scheduler Service", avrt.h]. Wine 8.0's
 * says yes to everything and does nothing. Ours asks the kernel's device \Device\MMCSS: an open file is a registration, so the AVRT
 * handle is the file's, and to revert is to close it. Thread ordering groups are refused. */
#include <windows.h>
#include <winternl.h>
#include <avrt.h>

#define JOIN 0x222000
#define SET_PRIORITY 0x222004
#define QUERY_RESPONSIVENESS 0x222008
#define LONGEST_NAME 260 /* characters, the end included */

#define STATUS_NAME_NOT_FOUND ((NTSTATUS)0xC0000034)
#define STATUS_NAME_COLLISION ((NTSTATUS)0xC0000035)
#define INVALID_TASK_NAME 1550
#define INVALID_TASK_INDEX 1551
#define THREAD_ALREADY_IN_TASK 1552

NTSTATUS NTAPI NtDeviceIoControlFile(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID, PIO_STATUS_BLOCK, ULONG, PVOID, ULONG, PVOID, ULONG);

static NTSTATUS control(HANDLE file, ULONG code, void* in, ULONG in_bytes, void* out, ULONG out_bytes) {
  IO_STATUS_BLOCK block;
  return NtDeviceIoControlFile(file, NULL, NULL, NULL, &block, code, in, in_bytes, out, out_bytes);
}

static HANDLE open_device(void) {
  static WCHAR path[] = L"\\Device\\MMCSS";
  UNICODE_STRING name = {sizeof path - sizeof(WCHAR), sizeof path, path};
  OBJECT_ATTRIBUTES attributes;
  InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
  IO_STATUS_BLOCK block;
  HANDLE file = NULL;
  const NTSTATUS status = NtOpenFile(&file, SYNCHRONIZE | FILE_READ_DATA, &attributes, &block, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                     FILE_SYNCHRONOUS_IO_NONALERT);
  return status >= 0 ? file : NULL;
}

/* `names`: one or two, each with its end. */
static HANDLE join(WCHAR* names, ULONG bytes, DWORD* index) {
  if (index == NULL) {
    SetLastError(INVALID_TASK_INDEX);
    return NULL;
  }
  const HANDLE file = open_device();
  if (file == NULL) {
    SetLastError(ERROR_SERVICE_NOT_ACTIVE);
    return NULL;
  }
  ULONG made = 0;
  const NTSTATUS status = control(file, JOIN, names, bytes, &made, sizeof made);
  if (status >= 0) {
    if (*index == 0) *index = made; /* another thread's index: the same group of tasks */
    return file;
  }
  NtClose(file);
  SetLastError(status == STATUS_NAME_NOT_FOUND   ? INVALID_TASK_NAME
               : status == STATUS_NAME_COLLISION ? THREAD_ALREADY_IN_TASK
                                                 : RtlNtStatusToDosError(status));
  return NULL;
}

/* Appends `name` and its end; 0: there is none, or it is too long. */
static ULONG append(WCHAR* into, LPCWSTR name) {
  ULONG length = 0;
  if (name == NULL) return 0;
  while (length < LONGEST_NAME && name[length] != 0) {
    into[length] = name[length];
    ++length;
  }
  if (length == 0 || length == LONGEST_NAME) return 0;
  into[length] = 0;
  return length + 1;
}

static ULONG append_narrow(WCHAR* into, LPCSTR name) {
  const int made = name == NULL ? 0 : MultiByteToWideChar(CP_ACP, 0, name, -1, into, LONGEST_NAME);
  return made > 1 ? (ULONG)made : 0;
}

static HANDLE join_counted(WCHAR* names, ULONG first, ULONG second, BOOL both, DWORD* index) {
  if (first == 0 || (both && second == 0)) {
    SetLastError(INVALID_TASK_NAME);
    return NULL;
  }
  return join(names, (first + second) * sizeof(WCHAR), index);
}

HANDLE WINAPI AvSetMmThreadCharacteristicsW(LPCWSTR task, LPDWORD index) {
  WCHAR names[LONGEST_NAME];
  return join_counted(names, append(names, task), 0, FALSE, index);
}

HANDLE WINAPI AvSetMmThreadCharacteristicsA(LPCSTR task, LPDWORD index) {
  WCHAR names[LONGEST_NAME];
  return join_counted(names, append_narrow(names, task), 0, FALSE, index);
}

HANDLE WINAPI AvSetMmMaxThreadCharacteristicsW(LPCWSTR first, LPCWSTR second, LPDWORD index) {
  WCHAR names[2 * LONGEST_NAME];
  const ULONG length = append(names, first);
  return join_counted(names, length, append(names + length, second), TRUE, index);
}

HANDLE WINAPI AvSetMmMaxThreadCharacteristicsA(LPCSTR first, LPCSTR second, LPDWORD index) {
  WCHAR names[2 * LONGEST_NAME];
  const ULONG length = append_narrow(names, first);
  return join_counted(names, length, append_narrow(names + length, second), TRUE, index);
}

static BOOL result(NTSTATUS status) {
  if (status >= 0) return TRUE;
  SetLastError(RtlNtStatusToDosError(status));
  return FALSE;
}

BOOL WINAPI AvRevertMmThreadCharacteristics(HANDLE registration) { return result(NtClose(registration)); }

BOOL WINAPI AvSetMmThreadPriority(HANDLE registration, AVRT_PRIORITY priority) {
  LONG relative = (LONG)priority;
  return result(control(registration, SET_PRIORITY, &relative, sizeof relative, NULL, 0));
}

BOOL WINAPI AvQuerySystemResponsiveness(HANDLE registration, PULONG percent) {
  return result(control(registration, QUERY_RESPONSIVENESS, NULL, 0, percent, sizeof *percent));
}

static BOOL refuse(void) {
  SetLastError(ERROR_CALL_NOT_IMPLEMENTED);
  return FALSE;
}
BOOL WINAPI AvRtCreateThreadOrderingGroup(PHANDLE context, PLARGE_INTEGER period, GUID* group, PLARGE_INTEGER timeout) {
  (void)context, (void)period, (void)group, (void)timeout;
  return refuse();
}
BOOL WINAPI AvRtCreateThreadOrderingGroupExA(PHANDLE context, PLARGE_INTEGER period, GUID* group, PLARGE_INTEGER timeout, LPCSTR task) {
  (void)task;
  return AvRtCreateThreadOrderingGroup(context, period, group, timeout);
}
BOOL WINAPI AvRtCreateThreadOrderingGroupExW(PHANDLE context, PLARGE_INTEGER period, GUID* group, PLARGE_INTEGER timeout, LPCWSTR task) {
  (void)task;
  return AvRtCreateThreadOrderingGroup(context, period, group, timeout);
}
BOOL WINAPI AvRtJoinThreadOrderingGroup(PHANDLE context, GUID* group, BOOL before) {
  (void)context, (void)group, (void)before;
  return refuse();
}
BOOL WINAPI AvRtWaitOnThreadOrderingGroup(HANDLE context) {
  (void)context;
  return refuse();
}
BOOL WINAPI AvRtLeaveThreadOrderingGroup(HANDLE context) {
  (void)context;
  return refuse();
}
BOOL WINAPI AvRtDeleteThreadOrderingGroup(HANDLE context) {
  (void)context;
  return refuse();
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void* reserved) {
  (void)reserved;
  if (reason == DLL_PROCESS_ATTACH) DisableThreadLibraryCalls(module);
  return TRUE;
}
