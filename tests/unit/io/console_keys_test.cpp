#include "io/console_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vitrine::io {
namespace {

struct Pressed {
  u32 key, scan, character, state;
  bool operator==(const Pressed&) const = default;
};

std::vector<Pressed> pressed(std::string& bytes, KeyTranslation translation = KeyTranslation::keys) {
  std::deque<abi::ConsoleKeyRecord> records;
  take_keys(bytes, translation, records);
  std::vector<Pressed> result;
  for (const auto& record : records) {
    EXPECT_EQ(record.event_type, abi::kConsoleKeyEvent);
    if (record.key_down != 0)
      result.push_back({record.virtual_key, record.scan_code, record.character, record.control_keys});
  }
  EXPECT_EQ(records.size(), 2 * result.size());
  return result;
}
std::vector<Pressed> keys(std::string bytes) {
  auto result = pressed(bytes);
  EXPECT_TRUE(bytes.empty());
  return result;
}

TEST(ConsoleKeys, CharactersHaveTheKeysOfAUsKeyboard) {
  EXPECT_EQ(keys("a"), (std::vector<Pressed>{{'A', 0x1E, 'a', 0}}));
  EXPECT_EQ(keys("A"), (std::vector<Pressed>{{'A', 0x1E, 'A', 0x10}}));
  EXPECT_EQ(keys("1!"), (std::vector<Pressed>{{'1', 0x02, '1', 0}, {'1', 0x02, '!', 0x10}}));
  EXPECT_EQ(keys("/?"), (std::vector<Pressed>{{0xBF, 0x35, '/', 0}, {0xBF, 0x35, '?', 0x10}}));
  EXPECT_EQ(keys("\\|"), (std::vector<Pressed>{{0xDC, 0x2B, '\\', 0}, {0xDC, 0x2B, '|', 0x10}}));
  EXPECT_EQ(keys(" "), (std::vector<Pressed>{{0x20, 0x39, ' ', 0}}));
}

TEST(ConsoleKeys, ControlCharactersAreKeysOfTheirOwnOrWithControl) {
  EXPECT_EQ(keys("\r\t\x7f"),
            (std::vector<Pressed>{{0x0D, 0x1C, '\r', 0}, {0x09, 0x0F, '\t', 0}, {0x08, 0x0E, '\b', 0}}));
  EXPECT_EQ(keys("\x03\x1a"), (std::vector<Pressed>{{'C', 0x2E, 3, 8}, {'Z', 0x2C, 0x1A, 8}}));
}

TEST(ConsoleKeys, SequencesAreKeysWithTheirModifiers) {
  EXPECT_EQ(keys("\x1b[A\x1bOB"), (std::vector<Pressed>{{0x26, 0x48, 0, 0x100}, {0x28, 0x50, 0, 0x100}}));
  EXPECT_EQ(keys("\x1b[1;2C"), (std::vector<Pressed>{{0x27, 0x4D, 0, 0x110}}));
  EXPECT_EQ(keys("\x1b[3;5~"), (std::vector<Pressed>{{0x2E, 0x53, 0, 0x108}}));
  EXPECT_EQ(keys("\x1b[15~\x1b[17~\x1b[21~\x1b[24~"),
            (std::vector<Pressed>{
                {0x74, 0x3F, 0, 0x100}, {0x75, 0x40, 0, 0x100}, {0x79, 0x44, 0, 0x100}, {0x7B, 0x58, 0, 0x100}}));
  EXPECT_EQ(keys("\x1bOP"), (std::vector<Pressed>{{0x70, 0x3B, 0, 0x100}}));
  EXPECT_TRUE(keys("\x1b[99~").empty());  // a key that nobody has
}

TEST(ConsoleKeys, AnEscapeAloneIsTheKeyAndBeforeACharacterIsAlt) {
  EXPECT_EQ(keys("\x1b"), (std::vector<Pressed>{{0x1B, 0x01, 0x1B, 0}}));
  EXPECT_EQ(keys("\x1bx"), (std::vector<Pressed>{{'X', 0x2D, 'x', 2}}));
}

TEST(ConsoleKeys, AnUnfinishedCharacterWaitsForItsRest) {
  std::string bytes = "a\xc3";
  EXPECT_EQ(pressed(bytes).size(), 1u);
  EXPECT_EQ(bytes, "\xc3");
  bytes += "\xa9";
  EXPECT_EQ(pressed(bytes), (std::vector<Pressed>{{0, 0, 0xE9, 0}}));
  EXPECT_EQ(keys("\xf0\x9f\x99\x82").size(), 2u);  // two units
  EXPECT_EQ(keys("\xc3"
                 "a")
                .size(),
            2u);  // damaged: nothing is lost, nothing hangs
  EXPECT_EQ(keys("\xff").size(), 1u);
}

TEST(ConsoleKeys, TerminalInputKeepsSequencesAsCharacters) {
  std::string bytes = "\x1b[A\x7f";
  const auto all = pressed(bytes, KeyTranslation::characters);
  EXPECT_EQ(all, (std::vector<Pressed>{{0, 0, 0x1B, 0}, {0, 0, '[', 0}, {0, 0, 'A', 0}, {0, 0, 0x7F, 0}}));
}

}  // namespace
}  // namespace vitrine::io
