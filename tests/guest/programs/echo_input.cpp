// Standard input to standard output: lines through the C run-time, then the rest through ReadFile.
#include <windows.h>

#include <cstdio>
#include <cstring>

int main() {
  char line[256];
  for (int i = 0; i < 2 && std::fgets(line, sizeof line, stdin); ++i) {
    line[std::strcspn(line, "\r\n")] = 0;
    std::printf("line [%s]\n", line);
  }
  int characters = 0, lines = 0;
  for (int c; (c = std::getchar()) != EOF;) {
    ++characters;
    lines += c == '\n';
  }
  std::printf("then %d characters in %d lines, end of file %d\n", characters, lines, std::feof(stdin) != 0);
  DWORD count = 99;
  BOOL ok = ReadFile(GetStdHandle(STD_INPUT_HANDLE), line, sizeof line, &count, nullptr);
  std::printf("after the end: %lu bytes, %s\n", count,
              ok || GetLastError() == ERROR_BROKEN_PIPE ? "as expected" : "unexpected");
  return 0;
}
