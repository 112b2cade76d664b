// Accesses that share a look-up do what each does alone: random straight code around one pointer, at the end of a page
// whose neighbour may be missing or read-only, runs at once and in steps of one instruction (which never share).
#include <random>

#include "translator_fixture.h"

namespace vitrine::cpu::test {
namespace {

class AccessGroupsTest : public TranslatorTest {
 protected:
  void emit(std::initializer_list<u8> bytes) { code_.insert(code_.end(), bytes); }
  u64 below(u64 limit) { return random_() % limit; }
  u8 displacement() { return static_cast<u8>(8 * below(10) + (below(4) == 0 ? below(8) : 0)); }

  // One instruction around RSI, RDI (that have the same unknown value) or RSP.
  void add_instruction() {
    const u8 base = below(2) == 0 ? 6 : 7;                     // rsi, rdi
    const u8 reg = static_cast<u8>(below(3));                  // rax, rcx, rdx
    const u8 modrm = static_cast<u8>(0x40 | reg << 3 | base);  // [base + disp8], reg
    const u8 d = displacement();
    switch (below(19)) {
      case 0:
        return emit({0x48, 0x8B, modrm, d});  // mov reg, [m]
      case 1:
        return emit({0x48, 0x89, modrm, d});  // mov [m], reg
      case 2:
        return emit({0x48, 0x01, modrm, d});  // add [m], reg
      case 3:
        return emit({0x48, 0x13, modrm, d});  // adc reg, [m]
      case 4:
        return emit({0x4C, 0x8B, static_cast<u8>(0x40 | (2 + (reg & 1)) << 3 | base), d});  // mov r10/r11, [m]
      case 5:
        return emit({0x4C, 0x29, static_cast<u8>(0x40 | 7 << 3 | base), d});  // sub [m], r15
      case 6:
        return emit({0x48, 0x83, static_cast<u8>(0xC0 | base), 8});  // add base, 8
      case 7:
        return emit({0x48, 0x8D, static_cast<u8>(0x40 | 7 << 3 | 6), 16});  // lea rdi, [rsi + 16]
      case 8:
        return emit({0x50});  // push rax
      case 9:
        return emit({0x59});  // pop rcx
      case 10:
        return emit({0x0F, 0x28, static_cast<u8>(0x40 | base), static_cast<u8>(d & 0xF8)});  // movaps xmm0, [m]
      case 11:
        return emit({0x0F, 0x10, static_cast<u8>(0x40 | base), d});  // movups xmm0, [m]
      case 12:
        return emit({0x88, static_cast<u8>(0x40 | 4 << 3 | base), d});  // mov [m], ah
      case 13:
        return emit({0x48, 0x39, 0xC1});  // cmp rcx, rax
      case 14:
        return emit({0x83, 0xEA, 5});  // sub edx, 5
      case 15:
        return emit({0x48, 0x31, 0xC2});  // xor rdx, rax
      case 16:
        return emit({0x48, 0xF7, 0xD9});  // neg rcx
      case 17:
        return emit({0x84, 0xC1});  // test cl, al
      default:
        return emit({0x48, 0x01, 0xC1});  // add rcx, rax
    }
  }

  struct Outcome {
    Exit exit;
    u64 retired = 0;
    std::vector<u8> memory;
    GuestContext context;
  };
  Outcome run_in(u64 slice, const GuestContext& start, const std::vector<u8>& memory) {
    for (u64 n = 0; n < 2 * kPageSize; ++n) *guest.byte(kData + n) = memory[n];
    guest.context = start;
    Outcome outcome;
    do {
      outcome.exit = guest.run(slice);
      outcome.retired += outcome.exit.retired;
    } while (outcome.exit.reason == ExitReason::budget);
    for (u64 n = 0; n < 2 * kPageSize; ++n) outcome.memory.push_back(*guest.byte(kData + n));
    outcome.context = guest.context;
    return outcome;
  }

  std::vector<u8> code_;
  std::mt19937_64 random_{7};
};

TEST_F(AccessGroupsTest, SharingALookUpChangesNothing) {
  u64 faults = 0;
  for (int program = 0; program < 3000; ++program) {
    code_.clear();
    for (u64 n = 3 + below(20); n != 0; --n) add_instruction();
    emit({0xCC});
    guest.poke(kCode, code_);
    GuestContext start;
    for (u64& value : start.gpr) value = random_();
    start.rip = kCode;
    start.rflags = kRflagsFixed | (random_() & kStatusFlags);
    // Near the end of the first data page, or well inside it.
    const Va pointer = kData + (below(3) == 0 ? 512 : kPageSize - below(160)) / 8 * 8;
    start[Gpr::rsi] = pointer;
    start[Gpr::rdi] = pointer;
    start[Gpr::rsp] = kData + (below(2) == 0 ? 2048 : kPageSize) + 8 * below(8);
    std::vector<u8> memory(2 * kPageSize);
    for (u8& byte : memory) byte = static_cast<u8>(random_());
    const u64 neighbour = below(3);  // writable, read-only, missing
    if (neighbour == 1) guest.protect(kData + kPageSize, 0, pte::kWrite);
    if (neighbour == 2) guest.protect(kData + kPageSize, 0, pte::kPresent);
    const Outcome whole = run_in(1'000'000, start, memory), stepped = run_in(1, start, memory);
    ASSERT_EQ(whole.exit.reason, stepped.exit.reason) << program;
    ASSERT_EQ(whole.exit.vector, stepped.exit.vector) << program;
    ASSERT_EQ(whole.exit.error_code, stepped.exit.error_code) << program;
    ASSERT_EQ(whole.exit.fault_address, stepped.exit.fault_address) << program;
    ASSERT_EQ(whole.retired, stepped.retired) << program;
    ASSERT_EQ(whole.context.gpr, stepped.context.gpr) << program;
    ASSERT_EQ(whole.context.rip, stepped.context.rip) << program;
    ASSERT_EQ(whole.context.rflags, stepped.context.rflags) << program;
    ASSERT_EQ(whole.context.xsave, stepped.context.xsave) << program;
    ASSERT_EQ(whole.memory, stepped.memory) << program;
    faults += whole.exit.vector != Vector::breakpoint ? 1 : 0;
    if (neighbour != 0) guest.protect(kData + kPageSize, pte::kPresent | pte::kWrite, 0);
  }
  EXPECT_GT(faults, 300u);
}

}  // namespace
}  // namespace vitrine::cpu::test
