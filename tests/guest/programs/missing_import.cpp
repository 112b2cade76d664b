// Imports from a DLL that does not exist: it never reaches main.
#include <cstdio>

extern "C" __declspec(dllimport) int vitrine_absent_function();

int main() {
  std::printf("not reached %d\n", vitrine_absent_function());
  return 0;
}
