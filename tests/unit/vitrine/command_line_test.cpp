#include "vitrine/command_line.h"

#include <gtest/gtest.h>

namespace vitrine {
namespace {

TEST(CommandLine, QuotesWhatTheCRuntimeWouldSplit) {
  EXPECT_EQ(make_command_line(u"C:\\work\\a.exe", {"plain", "two words", ""}), u"\"C:\\work\\a.exe\" plain \"two words\" \"\"");
}

TEST(CommandLine, DoublesBackslashesBeforeAQuoteOnly) {
  EXPECT_EQ(make_command_line(u"a", {"a\\b", "say \"hi\"", "dir\\ x\\"}),
            u"\"a\" a\\b \"say \\\"hi\\\"\" \"dir\\ x\\\\\"");
}

TEST(CommandLine, AQuoteAloneIsEscapedWithoutQuotesAround) {
  EXPECT_EQ(make_command_line(u"a", {"a\"b", "\\\""}), u"\"a\" a\\\"b \\\\\\\"");
}

TEST(Environment, IsSortedWithoutCaseAndEndsWithTwoNulls) {
  const std::u16string block = make_environment({{"path", "C:\\x"}, {"ZED", "1"}}, 4);
  EXPECT_EQ(block.substr(block.size() - 7), std::u16string_view(u"ZED=1\0\0", 7));
  EXPECT_NE(block.find(u"=C:\\x"), std::u16string::npos);
  EXPECT_EQ(block.find(u"system32;"), std::u16string::npos) << "path replaces PATH";
  EXPECT_LT(block.find(u"NUMBER_OF_PROCESSORS=4"), block.find(u"windir="));
}

}  // namespace
}  // namespace vitrine
