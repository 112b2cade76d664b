#include "vitrine/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "ex/unicode.h"

namespace vitrine {
namespace {

struct NoCase {
  static char upper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
  bool operator()(const std::string& a, const std::string& b) const {
    return std::ranges::lexicographical_compare(a, b, {}, upper, upper);
  }
};

// So that the C runtime's rules give the argument back: quotes around it when white space would split it or it is empty.
void append_quoted(std::u16string& line, std::u16string_view argument) {
  const bool quoted = argument.empty() || argument.find_first_of(u" \t\n\v") != std::u16string_view::npos;
  if (quoted) line += u'"';
  std::size_t backslashes = 0;
  for (char16_t c : argument) {
    if (c == u'\\') {
      ++backslashes;
    } else {
      // Backslashes before a quote are doubled and the quote is escaped; elsewhere they stand for themselves.
      if (c == u'"') line.append(backslashes + 1, u'\\');
      backslashes = 0;
    }
    line += c;
  }
  if (!quoted) return;
  line.append(backslashes, u'\\');
  line += u'"';
}

}  // namespace

std::u16string make_command_line(std::u16string_view program, const std::vector<std::string>& arguments) {
  // The program's name is always quoted: its rules differ (a backslash never escapes), and a path holds no quote.
  std::u16string line = u"\"";
  line += program;
  line += u'"';
  for (const std::string& argument : arguments) {
    line += u' ';
    append_quoted(line, ex::from_utf8(argument));
  }
  return line;
}

std::u16string make_environment(const std::map<std::string, std::string>& additions, unsigned processors) {
  std::map<std::string, std::string, NoCase> variables{
      {"ALLUSERSPROFILE", "C:\\ProgramData"}, {"APPDATA", "C:\\users\\vitrine\\AppData\\Roaming"},
      {"COMPUTERNAME", "VITRINE"}, {"ComSpec", "C:\\windows\\system32\\cmd.exe"}, {"HOMEDRIVE", "C:"},
      {"HOMEPATH", "\\users\\vitrine"}, {"LOCALAPPDATA", "C:\\users\\vitrine\\AppData\\Local"},
      {"NUMBER_OF_PROCESSORS", fmt::format("{}", processors)}, {"OS", "Windows_NT"},
      {"PATH", "C:\\windows\\system32;C:\\windows"}, {"PATHEXT", ".COM;.EXE;.BAT;.CMD"},
      {"PROCESSOR_ARCHITECTURE", "AMD64"}, {"PROCESSOR_LEVEL", "6"}, {"ProgramData", "C:\\ProgramData"},
      {"ProgramFiles", "C:\\Program Files"}, {"SystemDrive", "C:"}, {"SystemRoot", "C:\\windows"}, {"TEMP", "C:\\temp"},
      {"TMP", "C:\\temp"}, {"USERNAME", "vitrine"}, {"USERPROFILE", "C:\\users\\vitrine"}, {"windir", "C:\\windows"}};
  for (const auto& [name, value] : additions) variables[name] = value;
  std::u16string block;
  for (const auto& [name, value] : variables) {
    block += ex::from_utf8(name) + u"=" + ex::from_utf8(value);
    block += u'\0';
  }
  block += u'\0';
  return block;
}

}  // namespace vitrine
