// A name for the calling thread, which kd shows and takes.
#pragma once

#include <windows.h>

inline void name_thread(const wchar_t* name) {
  // In no import library of older MinGWs.
  using SetThreadDescription = HRESULT(WINAPI*)(HANDLE, PCWSTR);
  const auto set = reinterpret_cast<SetThreadDescription>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"kernelbase.dll"), "SetThreadDescription")));
  if (set != nullptr) set(GetCurrentThread(), name);
}
