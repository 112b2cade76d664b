/* bcryptprimitives.dll: ProcessPrng(data, size) fills a buffer with random bytes and cannot fail [Microsoft: "The Windows 10
 * random number generation infrastructure"]. The kernel's random numbers come through NtQuerySystemInformation's class 23, which
 * gives as many bytes as are asked for [seen in Wine's advapi32]. */
#include <windows.h>

#define SYSTEM_INTERRUPT_INFORMATION 23
#define LONGEST_REQUEST 0x10000

__declspec(dllimport) LONG NTAPI NtQuerySystemInformation(int information_class, void* buffer, ULONG length, ULONG* returned);

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE* data, SIZE_T size) {
  while (size > 0) {
    const ULONG part = size < LONGEST_REQUEST ? (ULONG)size : LONGEST_REQUEST;
    if (NtQuerySystemInformation(SYSTEM_INTERRUPT_INFORMATION, data, part, NULL) < 0) return FALSE;
    data += part;
    size -= part;
  }
  return TRUE;
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void* reserved) {
  (void)reserved;
  if (reason == DLL_PROCESS_ATTACH) DisableThreadLibraryCalls(module);
  return TRUE;
}
