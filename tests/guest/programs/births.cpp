// CreateThread, for whoever watches a thread's birth step by step: once under an activation context and with a stack of its own
// size, once suspended. The exit code says what of it the program itself saw go wrong.
#include <windows.h>

#include <cstdio>

namespace {

DWORD attached_thread;
void NTAPI on_attach(PVOID, DWORD reason, PVOID) {
  if (reason == DLL_THREAD_ATTACH) attached_thread = GetCurrentThreadId();
}

// What the creator is told, where a watcher finds it: by the thread's parameter.
struct Birth {
  DWORD id = 0;
  DWORD was_attached_first = 0;
};

DWORD WINAPI routine(void* parameter) {
  static_cast<Birth*>(parameter)->was_attached_first = attached_thread == GetCurrentThreadId();
  return 0x77;
}

HANDLE activation_context() {
  std::FILE* file = std::fopen("births.manifest", "w");
  std::fputs("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>"
             "<assembly xmlns=\"urn:schemas-microsoft-com:asm.v1\" manifestVersion=\"1.0\"><assemblyIdentity type=\"win32\" "
             "name=\"births\" version=\"1.0.0.0\" processorArchitecture=\"amd64\"/></assembly>",
             file);
  std::fclose(file);
  ACTCTXA parameters{};
  parameters.cbSize = sizeof parameters;
  parameters.lpSource = "births.manifest";
  return CreateActCtxA(&parameters);
}

bool ended_well(HANDLE thread, const Birth& birth) {
  DWORD code = 0;
  return birth.id == GetThreadId(thread) && WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0 &&
         GetExitCodeThread(thread, &code) && code == 0x77 && birth.was_attached_first;
}

}  // namespace

__attribute__((section(".CRT$XLB"), used)) PIMAGE_TLS_CALLBACK births_callback = on_attach;

int main() {
  const HANDLE context = activation_context();
  ULONG_PTR cookie = 0;
  if (context == INVALID_HANDLE_VALUE || !ActivateActCtx(context, &cookie)) return 5;
  Birth first;
  const HANDLE running = CreateThread(nullptr, 0x60000, routine, &first, STACK_SIZE_PARAM_IS_A_RESERVATION, &first.id);
  if (!ended_well(running, first)) return 1;

  DeactivateActCtx(0, cookie);
  Birth second;
  const HANDLE suspended = CreateThread(nullptr, 0, routine, &second, CREATE_SUSPENDED, &second.id);
  if (WaitForSingleObject(suspended, 50) != WAIT_TIMEOUT) return 2;
  if (ResumeThread(suspended) != 1) return 3;
  return ended_well(suspended, second) ? 0 : 4;
}
