// The smallest program: one WriteFile to the standard output.
#include <windows.h>

int main() {
  const char text[] = "hello from WriteFile\r\n";
  DWORD written = 0;
  BOOL ok = WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), text, sizeof text - 1, &written, nullptr);
  return ok && written == sizeof text - 1 ? 0 : 1;
}
