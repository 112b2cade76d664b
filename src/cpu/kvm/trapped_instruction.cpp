#include "cpu/kvm/trapped_instruction.h"

#include <Zydis/Zydis.h>

#include "base/check.h"

namespace vitrine::cpu::kvm {
namespace {

struct Decoded {
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

std::optional<Decoded> decode(std::span<const u8> code) {
  ZydisDecoder decoder;
  Decoded decoded;
  VITRINE_CHECK(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code.data(), code.size(), &decoded.instruction, decoded.operands)))
    return {};
  return decoded;
}

// As an instruction writes a register of 16, 32 or 64 bits.
void write_register(GuestContext& context, const ZydisDecodedOperand& operand, u64 value) {
  const ZydisRegister enclosing = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand.reg.value);
  u64& target = context.gpr[static_cast<std::size_t>(ZydisRegisterGetId(enclosing))];
  if (operand.size == 16)
    target = (target & ~0xFFFFull) | (value & 0xFFFF);
  else
    target = operand.size == 32 ? value & 0xFFFF'FFFF : value;
}

constexpr u64 kCarry = 1, kStatusFlags = 0x8D5;

}  // namespace

TrappedInstruction decode_trapped(std::span<const u8> code) {
  const auto decoded = decode(code);
  if (!decoded) return {};
  TrappedInstruction result{TrappedInstruction::Kind::other, decoded->instruction.length, 0};
  switch (decoded->instruction.mnemonic) {
    case ZYDIS_MNEMONIC_INT3:
      result.number = 3;
      result.kind = TrappedInstruction::Kind::interrupt;
      break;
    case ZYDIS_MNEMONIC_INT:
      result.number = static_cast<u32>(decoded->operands[0].imm.value.u & 0xFF);
      result.kind = TrappedInstruction::Kind::interrupt;
      break;
    case ZYDIS_MNEMONIC_INT1:
      result.kind = TrappedInstruction::Kind::icebp;
      break;
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
      result.kind = TrappedInstruction::Kind::identity;
      break;
    default:
      break;
  }
  return result;
}

void execute_identity(std::span<const u8> code, Identity& identity, u32 processor, u64 retired, GuestContext& context) {
  const auto decoded = decode(code);
  VITRINE_CHECK(decoded.has_value());
  constexpr u64 kLow = 0xFFFF'FFFF;
  switch (decoded->instruction.mnemonic) {
    case ZYDIS_MNEMONIC_CPUID: {
      const auto result = identity.cpuid(static_cast<u32>(context[Gpr::rax]), static_cast<u32>(context[Gpr::rcx]));
      context[Gpr::rax] = result.eax, context[Gpr::rbx] = result.ebx;
      context[Gpr::rcx] = result.ecx, context[Gpr::rdx] = result.edx;
      break;
    }
    case ZYDIS_MNEMONIC_RDTSCP:
      context[Gpr::rcx] = processor;
      [[fallthrough]];
    case ZYDIS_MNEMONIC_RDTSC: {
      const u64 now = identity.time_stamp(processor, retired);
      context[Gpr::rax] = now & kLow, context[Gpr::rdx] = now >> 32;
      break;
    }
    default:  // RDRAND, RDSEED: always ready (CF)
      write_register(context, decoded->operands[0], identity.random(processor));
      context.rflags = (context.rflags & ~kStatusFlags) | kCarry;
      break;
  }
}

}  // namespace vitrine::cpu::kvm
