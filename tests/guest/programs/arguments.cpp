// What the program gets of its command line, as UTF-8.
#include <windows.h>

#include <cstdio>
#include <string>

namespace {
std::string utf8(const wchar_t* text) {
  int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, nullptr, 0, nullptr, nullptr);
  std::string result(size, '\0');
  WideCharToMultiByte(CP_UTF8, 0, text, -1, result.data(), size, nullptr, nullptr);
  result.resize(size - 1);
  return result;
}
}  // namespace

extern "C" int wmain(int argc, wchar_t** argv) {
  std::printf("%d arguments\n", argc - 1);
  for (int i = 1; i < argc; ++i) std::printf("[%s]\n", utf8(argv[i]).c_str());
  std::string line = utf8(GetCommandLineW());
  std::string tail = "arguments.exe";
  std::size_t at = line.find(tail);
  std::printf("rest of the line:%s\n",
              at == std::string::npos ? "?" : line.substr(at + tail.size() + (line[0] == '"')).c_str());
  return 0;
}
