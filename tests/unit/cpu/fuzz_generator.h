// Random instruction sequences that run to their end without a fault: random opcodes in every encoding space, kept when
// the decoder accepts them, with the registers of memory operands set up before each.
#pragma once

#include <random>
#include <span>
#include <vector>

#include "cpu/translator/decoder.h"

namespace vitrine::cpu::test {

struct FuzzProgram {
  std::vector<u8> code;
  u32 undefined_flags = 0;  // at the end
  std::vector<std::string> listing;
};

class FuzzGenerator {
 public:
  FuzzGenerator(u64 seed, Va code, Va data, u64 data_bytes)
      : random_(seed), code_(code), data_(data), data_bytes_(data_bytes) {}
  [[nodiscard]] FuzzProgram generate(u32 instructions);
  [[nodiscard]] u64 next() { return random_(); }
  [[nodiscard]] u64 below(u64 limit) { return random_() % limit; }

 private:
  void random_bytes(std::vector<u8>& out);
  [[nodiscard]] bool add_random(FuzzProgram& program);
  void add_jump(FuzzProgram& program);
  void define_flags(FuzzProgram& program);
  void move_immediate(FuzzProgram& program, int reg, u64 value);
  void append(FuzzProgram& program, std::span<const u8> bytes);
  [[nodiscard]] bool set_up_memory(FuzzProgram& program, translator::Instruction& instruction, std::vector<u8>& bytes);
  [[nodiscard]] bool acceptable(const translator::Instruction& instruction) const;
  [[nodiscard]] bool set_up_special(FuzzProgram& program, const translator::Instruction& instruction);

  std::mt19937_64 random_;
  Va code_, data_;
  u64 data_bytes_;
  translator::Decoder decoder_;
};

}  // namespace vitrine::cpu::test
