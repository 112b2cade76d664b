// Every instruction form that the decoder knows and the allow-list runs: found by decoding each opcode under each
// prefix that chooses an instruction or its operand size, in every opcode map, legacy and VEX, with register and memory
// operands.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cpu/translator/decoder.h"

namespace vitrine::cpu::test {

// The fields of an encoding that choose the form; everything else (registers, addressing mode, displacement, immediate)
// is free.
struct Encoding {
  bool vex = false;
  std::vector<u8> prefixes;  // legacy: of 66 F2 F3 F0
  u8 map = 0;                // 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A
  u8 opcode = 0;
  bool has_modrm = false;
  u8 modrm = 0;
  bool w = false, l = false;  // REX.W or VEX.W; VEX.L
  u8 pp = 0;                  // VEX
  u8 vvvv = 0xF;              // VEX, as encoded
};

struct CodeForm {
  std::string name;  // mnemonic, operands, encoding: unique
  Encoding encoding;
  ZydisMnemonic mnemonic{};
  translator::Form form{};
  bool has_memory = false;
};

// What an encoding is made of besides its form.
struct FreeFields {
  u8 modrm = 0;
  std::optional<u8> sib;
  u8 rex = 0;                        // R, X, B
  u8 vvvv = 0xF;                     // as encoded
  std::vector<u8> address_prefixes;  // 67 and segments
  std::vector<u8> tail;              // displacement and immediate: as many random bytes as may be needed
};

[[nodiscard]] std::vector<u8> encode(const Encoding& encoding, const FreeFields& fields);
// The name of the form that an instruction has.
[[nodiscard]] std::string form_name(const translator::Instruction& instruction, const Encoding& encoding);

// In the order of encodings. Forms that end in #UD or #GP by the allow-list are left out.
[[nodiscard]] std::vector<CodeForm> list_forms(const translator::Decoder& decoder);

}  // namespace vitrine::cpu::test
