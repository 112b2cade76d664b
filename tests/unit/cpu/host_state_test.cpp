// Flags and control words of the host and of the guest never meet: not after a run, and not in the C++ that runs on
// behalf of an instruction.
#include <immintrin.h>

#include "translator_fixture.h"

namespace vitrine::cpu::test {
namespace {

constexpr u64 kDirectionFlag = 1u << 10, kAlignmentCheck = 1u << 18;

struct HostState {
  u32 mxcsr = 0;
  u64 flags = 0;
  static HostState now() { return {_mm_getcsr(), __builtin_ia32_readeflags_u64()}; }
};

class Recorder final : public FakeIdentity {
 public:
  CpuidResult cpuid(u32, u32) const override {
    seen = HostState::now();
    return {};
  }
  mutable HostState seen;
};

class HostStateTest : public TranslatorTest {
 protected:
  void SetUp() override {
    TranslatorTest::SetUp();
    if (IsSkipped()) return;
    cpu = make_translator(guest.ram, recorder, 1);
    space = cpu->create_space(guest.tables.root());
    guest.context[Gpr::rdi] = kData;
  }
  Exit run() { return cpu->run(0, *space, guest.context, 1000); }
  static u16 x87_control() {
    u16 control;
    asm volatile("fnstcw %0" : "=m"(control));
    return control;
  }
  Recorder recorder;
  std::unique_ptr<Translator> cpu;
  std::unique_ptr<Space> space;
};

TEST_F(HostStateTest, NothingOfTheGuestReachesTheHost) {
  // std; ldmxcsr [rdi]; fldcw [rdi+4]; fld1; pushfq; or dword [rsp], AC; popfq; cpuid; int3
  guest.code({0xFD, 0x0F, 0xAE, 0x17, 0xD9, 0x6F, 0x04, 0xD9, 0xE8, 0x9C, 0x81,
              0x0C, 0x24, 0x00, 0x00, 0x04, 0x00, 0x9D, 0x0F, 0xA2, 0xCC});
  guest.store(kData, 0xFFC0, 4);  // flush to zero, round to zero, denormals are zero
  guest.store(kData + 4, 0x0F7F, 2);
  const HostState before = HostState::now();
  EXPECT_EQ(run().vector, Vector::breakpoint);
  EXPECT_EQ(recorder.seen.mxcsr, before.mxcsr);
  EXPECT_EQ(recorder.seen.flags & (kDirectionFlag | kAlignmentCheck), 0u);
  const HostState after = HostState::now();
  EXPECT_EQ(after.mxcsr, before.mxcsr);
  EXPECT_EQ(after.flags & (kDirectionFlag | kAlignmentCheck), 0u);
  EXPECT_EQ(x87_control(), 0x37F);
  EXPECT_EQ(guest.context.mxcsr(), 0xFFC0u);
  EXPECT_EQ(guest.context.fpcw(), 0x0F7Fu);
  EXPECT_EQ(guest.context.rflags & (kDirectionFlag | kAlignmentCheck), kDirectionFlag | kAlignmentCheck);
}

TEST_F(HostStateTest, NothingOfTheHostReachesTheGuest) {
  // stmxcsr [rdi]; fnstcw [rdi+4]; pushfq; pop rax; divss xmm0, xmm1; int3
  guest.code({0x0F, 0xAE, 0x1F, 0xD9, 0x7F, 0x04, 0x9C, 0x58, 0xF3, 0x0F, 0x5E, 0xC1, 0xCC});
  const float one = 1, three = 3;
  std::memcpy(guest.context.xsave.data() + 160, &one, 4);
  std::memcpy(guest.context.xsave.data() + 176, &three, 4);
  const u32 host = _mm_getcsr();
  _mm_setcsr(host | 0x4000);  // round up
  EXPECT_EQ(run().vector, Vector::breakpoint);
  EXPECT_EQ(_mm_getcsr() & 0x6000, 0x4000u);
  _mm_setcsr(host);
  EXPECT_EQ(guest.peek(kData, 4), kMxcsrReset);
  EXPECT_EQ(guest.peek(kData + 4, 2), kFpcwWindows);
  EXPECT_EQ(guest.context[Gpr::rax], kRflagsFixed);
  u32 quotient;
  std::memcpy(&quotient, guest.context.xsave.data() + 160, 4);
  EXPECT_EQ(quotient, 0x3EAA'AAABu) << "to nearest";
}

}  // namespace
}  // namespace vitrine::cpu::test
