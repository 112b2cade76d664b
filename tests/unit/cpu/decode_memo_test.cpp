// DecodeMemo gives the answer of Decoder for every byte string, whatever it has met before.
#include "cpu/translator/decode_memo.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace vitrine::cpu::test {
namespace {

using translator::DecodeMemo;
using translator::Decoder;
using translator::DecodeResult;
using translator::Instruction;

class DecodeMemoTest : public ::testing::Test {
 protected:
  // Random bytes after zeroing, so that what nobody writes compares equal.
  struct Decoded {
    Decoded() { std::memset(static_cast<void*>(&instruction), 0, sizeof instruction); }
    Instruction instruction;
  };

  static std::string text(std::span<const u8> bytes) {
    std::string out;
    for (const u8 byte : bytes) out += "0123456789abcdef"[byte >> 4], out += "0123456789abcdef"[byte & 15];
    return out;
  }

  // False when they differ.
  bool same(std::span<const u8> code, Va rip) {
    Decoded mine, theirs;
    const DecodeResult result = memo_.decode(code, rip, mine.instruction);
    const DecodeResult expected = decoder_.decode(code, rip, theirs.instruction);
    EXPECT_EQ(result, expected) << text(code);
    if (result != expected) return false;
    if (result != DecodeResult::ok) return true;
    const Instruction &a = mine.instruction, &b = theirs.instruction;
    const bool equal = std::memcmp(&a.z, &b.z, sizeof a.z) == 0 && same_operands(a, b) && same_facts(a, b);
    EXPECT_TRUE(equal) << text(code.first(b.z.length)) << ' ' << ZydisMnemonicGetString(b.mnemonic());
    return equal;
  }
  static bool same_operands(const Instruction& a, const Instruction& b) {
    return std::memcmp(a.operands.data(), b.operands.data(), a.z.operand_count_visible * sizeof a.operands[0]) == 0;
  }
  static bool same_facts(const Instruction& a, const Instruction& b) {
    const auto facts = [](const Instruction& i) {
      const translator::MemoryOperand& m = i.memory;
      return std::tuple(i.rip, i.form, i.ends_block, i.x87, i.x87_address, i.x87_waits, i.simd_float,
                        i.full_flag_writer, i.flags_read, i.flags_written, i.has_memory, i.memory_written,
                        i.memory_aligned, i.memory_size, i.register_count, i.high8, i.opcode_register, i.encoded,
                        i.written, m.base, m.index, m.scale, m.segment, m.address32, m.stack, m.disp);
    };
    return facts(a) == facts(b) && std::memcmp(a.bytes.data(), b.bytes.data(), a.z.length) == 0;
  }

  u8 random_byte() { return static_cast<u8>(random_()); }
  // Prefixes, an opcode of some map and its ModRM, as often as not sensible.
  std::vector<u8> random_head() {
    constexpr u8 kPrefixes[] = {0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x65, 0x64};
    std::vector<u8> head;
    while (random_() % 3 == 0 && head.size() < 4) head.push_back(kPrefixes[random_() % std::size(kPrefixes)]);
    switch (random_() % 8) {
      case 0:
        head.insert(head.end(), {0xC5, random_byte()});
        break;
      case 1:
        head.insert(head.end(), {0xC4, static_cast<u8>(random_() & 0xE3), random_byte()});
        break;
      case 2:
      case 3:
        head.push_back(static_cast<u8>(0x40 | random_() % 16));
        [[fallthrough]];
      case 4:
        head.push_back(0x0F);
        if (random_() % 3 == 0) head.push_back(random_() % 2 == 0 ? 0x38 : 0x3A);
        break;
      case 5:
      case 6:
        head.push_back(static_cast<u8>(0x40 | random_() % 16));
        break;
      default:
        break;
    }
    head.push_back(random_byte());
    head.push_back(random_byte());
    head.push_back(random_() % 2 == 0 ? 0x25 : random_byte());
    return head;
  }

  Decoder decoder_;
  translator::Arena arena_;
  DecodeMemo memo_{arena_};
  std::mt19937_64 random_{7};
};

TEST_F(DecodeMemoTest, EveryHeadReadsItsOwnNumbers) {
  for (int n = 0; n < 60'000; ++n) {
    std::vector<u8> code = random_head();
    const std::size_t head = code.size();
    code.resize(24);
    for (int numbers = 0; numbers < 3; ++numbers) {
      for (std::size_t at = head; at < code.size(); ++at) code[at] = random_() % 4 == 0 ? 0 : random_byte();
      if (!same(code, random_() >> random_() % 64)) return;
    }
  }
}

TEST_F(DecodeMemoTest, ACountOfZeroIsSeenInTheImmediate) {
  for (const u8 count : {1, 0, 32, 5, 0x40, 0xE0})
    EXPECT_TRUE(same(std::vector<u8>{0xC1, 0xE0, count, 0, 0, 0, 0, 0, 0}, 0));
}

TEST_F(DecodeMemoTest, TheEndOfTheBytesCutsAnInstructionOff) {
  const std::vector<u8> code = {0x48, 0x81, 0x84, 0x8B, 1, 2, 3, 4, 5, 6, 7, 8};  // add qword ptr [rbx+rcx*4+n], n
  for (int round = 0; round < 2; ++round) {
    for (std::size_t bytes = 1; bytes <= code.size(); ++bytes) EXPECT_TRUE(same(std::span(code).first(bytes), 0x1000));
  }
}

TEST_F(DecodeMemoTest, ForgottenHeadsAreLearntAgain) {
  // More heads than it has room for: ADD of each pair of registers, each with every prefix that does nothing.
  constexpr u8 kPrefixes[] = {0x26, 0x2E, 0x36, 0x3E};
  for (int round = 0; round < 2; ++round) {
    for (const u8 first : kPrefixes) {
      for (u32 rex = 0x40; rex < 0x50; ++rex) {
        for (u32 modrm = 0; modrm < 0x100; ++modrm) {
          if (!same(std::vector<u8>{first, static_cast<u8>(rex), 0x01, static_cast<u8>(modrm), 0x25, 1, 2, 3, 4, 5}, 0))
            return;
        }
      }
    }
  }
}

}  // namespace
}  // namespace vitrine::cpu::test
