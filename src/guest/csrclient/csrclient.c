// csrclient.dll: what kernel32 of Windows does and Wine's does not: after NtCreateThreadEx it tells the Windows subsystem
// of the thread, by a request at \Windows\ApiPort. Whoever creates threads through this DLL makes the call of seed 001
// itself, and can leave it out as the seed did, by writing no-ops over one instruction.
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winternl.h>

typedef struct {
  USHORT data_length, total_length, type, data_info_offset;
  ULONG64 process_id, thread_id;
  ULONG message_id, padding;
  ULONG64 client_view_size;
} PortMessage;

// CSR_API_MESSAGE with BASE_CREATETHREAD_MSG.
typedef struct {
  PortMessage header;
  ULONG64 capture_buffer;
  ULONG api, status, reserved, padding;
  ULONG64 thread_handle, process_id, thread_id;
} CreateThreadMessage;

enum { kCreateThreadApi = 0x10001 };

NTSYSAPI NTSTATUS NTAPI NtConnectPort(PHANDLE port, PUNICODE_STRING name, PVOID security, PVOID client_view,
                                      PVOID server_view, PULONG maximum, PVOID data, PULONG data_length);
NTSYSAPI NTSTATUS NTAPI NtRequestWaitReplyPort(HANDLE port, PVOID request, PVOID reply);

static HANDLE api_port;

// CsrClientCallServer. Called from csrclient_tell only.
NTSTATUS csrclient_notify(HANDLE thread, DWORD thread_id) {
  CreateThreadMessage message = {0};
  message.header.data_length = sizeof message - sizeof message.header;
  message.header.total_length = sizeof message;
  message.api = kCreateThreadApi;
  message.thread_handle = (ULONG64)(ULONG_PTR)thread;
  message.process_id = GetCurrentProcessId();
  message.thread_id = thread_id;
  const NTSTATUS status = NtRequestWaitReplyPort(api_port, &message, &message);
  return status < 0 ? status : (NTSTATUS)message.status;
}

// The one call instruction, with a name of its own. Its result is success before the call is made, so that no-ops in
// its place mean success.
NTSTATUS csrclient_tell(HANDLE thread, DWORD thread_id);
__asm__(
    ".text\n"
    ".globl csrclient_tell\n"
    "csrclient_tell:\n"
    "  subq $40, %rsp\n"
    "  xorl %eax, %eax\n"
    ".globl csrclient_call_site\n"
    "csrclient_call_site:\n"
    "  call csrclient_notify\n"
    "  addq $40, %rsp\n"
    "  ret\n");
extern const BYTE csrclient_call_site[];

// Where the call instruction is.
__declspec(dllexport) void *CsrClientCallSite(void) { return (void *)csrclient_call_site; }

// Connects this process to the subsystem: from then on nobody tells of its threads but this DLL.
__declspec(dllexport) BOOL CsrClientConnect(void) {
  UNICODE_STRING name;
  RtlInitUnicodeString(&name, L"\\Windows\\ApiPort");
  const NTSTATUS status = NtConnectPort(&api_port, &name, NULL, NULL, NULL, NULL, NULL, NULL);
  if (status >= 0) return TRUE;
  SetLastError(RtlNtStatusToDosError(status));
  return FALSE;
}

// CreateThread as kernel32 of Windows has it.
__declspec(dllexport) HANDLE CsrClientCreateThread(SIZE_T stack, LPTHREAD_START_ROUTINE start, void *argument,
                                                   DWORD flags) {
  DWORD id = 0;
  HANDLE thread = CreateThread(NULL, stack, start, argument, flags | CREATE_SUSPENDED, &id);
  if (thread == NULL) return NULL;
  const NTSTATUS status = csrclient_tell(thread, id);
  if (status < 0) {
    TerminateThread(thread, (DWORD)status);
    CloseHandle(thread);
    SetLastError(RtlNtStatusToDosError(status));
    return NULL;
  }
  if ((flags & CREATE_SUSPENDED) == 0) ResumeThread(thread);
  return thread;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved) {
  (void)instance, (void)reason, (void)reserved;
  return TRUE;
}
