// The same random code runs natively and translated; registers, flags, vector registers, x87 state and memory must be
// equal. A minute of it, in parts that run side by side; VITRINE_FUZZ_SECONDS=n spends n seconds on all of them,
// VITRINE_FUZZ_SEED=n starts elsewhere.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "fuzz_generator.h"
#include "guest_twin.h"

namespace vitrine::cpu::test {
namespace {

constexpr u32 kMxcsr = 0x1F80;

// The parameter is the part.
class Differential : public ::testing::TestWithParam<u64> {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
    if (!native_.usable()) GTEST_SKIP() << "the fixed test addresses are taken";
  }

  void randomise(FuzzGenerator& random, NativeState& state, std::vector<u8>& memory) {
    for (u64& reg : state.gpr) reg = random.below(3) == 0 ? random.below(16) : random.next();
    state.rflags = 0x202 | (random.next() & 0x8D5);
    for (auto& ymm : state.ymm) {
      for (std::size_t n = 0; n < 32; n += 4) {
        const u32 word = random.below(3) == 0 ? static_cast<u32>(random.next())
                                              : 0x3F00'0000 + static_cast<u32>(random.below(0x200'0000));
        std::memcpy(ymm.data() + n, &word, 4);
      }
    }
    state.fxsave = {};
    const u16 control = 0x37F;
    std::memcpy(state.fxsave.data(), &control, 2);
    std::memcpy(state.fxsave.data() + 24, &kMxcsr, 4);
    for (auto& byte : memory) byte = static_cast<u8>(random.next());
  }

  // Runs to the breakpoint in pieces of `slice` instructions; the number retired.
  u64 run_guest(u64 slice) {
    u64 retired = 0;
    for (;;) {
      const Exit exit = twin_.machine().run(slice);
      retired += exit.retired;
      if (exit.reason == ExitReason::budget) {
        EXPECT_EQ(exit.retired, slice);
        continue;
      }
      EXPECT_EQ(exit.reason, ExitReason::exception);
      EXPECT_EQ(exit.vector, Vector::breakpoint) << "at " << std::hex << twin_.machine().context.rip;
      return retired;
    }
  }

  // One program; false when it failed.
  bool run_one(u64 seed) {
    FuzzGenerator random(seed, NativeRunner::kCode, NativeRunner::kData, NativeRunner::kDataBytes);
    // Near the end of a page now and then, so that blocks and instructions cross it.
    const Va entry = NativeRunner::kCode + (random.below(4) == 0 ? kPageSize - random.below(200) : 0);
    random = FuzzGenerator(seed, entry, NativeRunner::kData, NativeRunner::kDataBytes);
    (void)random.next();
    const FuzzProgram program = random.generate(1 + static_cast<u32>(random.below(24)));
    if (program.code.size() > NativeRunner::kCodeBytes - kPageSize - 64) return true;
    NativeState state;
    std::vector<u8> memory(GuestTwin::kMemoryBytes);
    randomise(random, state, memory);
    std::vector<u8> guest_code = program.code;
    guest_code.push_back(0xCC);
    twin_.machine().poke(entry, guest_code);
    const NativeState initial = state;
    const NativeEnd end = GuestTwin::run_natively(native_, program.code, entry, memory, state);
    EXPECT_EQ(end.vector, static_cast<u64>(Vector::breakpoint)) << "seed " << seed << "\n"
                                                                << disassemble(program.code, entry);
    u64 whole = 0;
    for (const u64 slice : {u64{1'000'000}, u64{1 + random.below(9)}, u64{60 + random.below(90)}}) {
      twin_.load_memory(memory);
      twin_.load(initial, entry);
      const u64 retired = run_guest(slice);
      if (whole == 0) whole = retired;
      const std::string wrong = twin_.differences(state, program.undefined_flags);
      EXPECT_EQ(wrong, "") << "seed " << seed << " slice " << slice << "\n" << disassemble(program.code, entry);
      EXPECT_EQ(retired, whole) << "seed " << seed << " slice " << slice;
      if (!wrong.empty() || HasFailure()) return false;
    }
    return true;
  }

  NativeRunner native_;
  // Half of the parts as code in hot pages.
  GuestTwin twin_{GetParam() % 2 == 0 ? BackendKind::translator : BackendKind::hot_translator};
};

constexpr u64 kParts = 4, kPrograms = 30'000;  // of each part: some 15 seconds on the machine that chose it

TEST_P(Differential, RandomCodeDoesTheSameTranslatedAndNatively) {
  const char* seconds = std::getenv("VITRINE_FUZZ_SECONDS");
  const char* first = std::getenv("VITRINE_FUZZ_SEED");
  constexpr u64 kSeedsApart = 1ull << 40;  // no part reaches the seeds of the next, however long it runs
  u64 seed = (first != nullptr ? std::strtoull(first, nullptr, 0) : 1) + GetParam() * kSeedsApart;
  const u64 fixed = seconds == nullptr ? kPrograms : ~0ull;
  const u64 limit = seconds == nullptr ? 30 : std::strtoull(seconds, nullptr, 0) / kParts;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(limit);
  u64 programs = 0;
  for (; programs < fixed && std::chrono::steady_clock::now() < end; ++programs, ++seed) {
    if (!run_one(seed)) break;
  }
  RecordProperty("programs", static_cast<int>(programs));
}

INSTANTIATE_TEST_SUITE_P(Parts, Differential, ::testing::Range(u64{0}, kParts));

}  // namespace
}  // namespace vitrine::cpu::test
