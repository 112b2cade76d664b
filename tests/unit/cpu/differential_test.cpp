// The same random code runs natively and translated; registers, flags, vector registers, x87 state and memory must be
// equal. VITRINE_FUZZ_SECONDS=n runs longer than the default; VITRINE_FUZZ_SEED=n starts elsewhere.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "fuzz_generator.h"
#include "guest_machine.h"
#include "native_runner.h"

namespace vitrine::cpu::test {
namespace {

constexpr u32 kMxcsr = 0x1F80;

class Differential : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
    if (!native_.usable()) GTEST_SKIP() << "the fixed test addresses are taken";
    for (u64 at = 0; at < NativeRunner::kCodeBytes; at += kPageSize) guest_.tables.map(NativeRunner::kCode + at);
    for (u64 at = 0; at < NativeRunner::kDataBytes; at += kPageSize) {
      guest_.tables.map(NativeRunner::kData + at);
      (void)guest_.tables.allocate();  // neighbours in guest memory are not neighbours on the host
    }
  }

  void randomise(FuzzGenerator& random, NativeState& state, std::vector<u8>& data) {
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
    for (auto& byte : data) byte = static_cast<u8>(random.next());
  }

  void load_guest(const NativeState& state, Va entry) {
    GuestContext& context = guest_.context;
    context = GuestContext();
    context.gpr = state.gpr;
    context.rflags = state.rflags;
    context.rip = entry;
    std::memcpy(context.xsave.data(), state.fxsave.data(), 416);
    for (std::size_t n = 0; n < 16; ++n) {
      std::memcpy(context.xsave.data() + 160 + 16 * n, state.ymm[n].data(), 16);
      std::memcpy(context.xsave.data() + 576 + 16 * n, state.ymm[n].data() + 16, 16);
    }
  }

  [[nodiscard]] std::string differences(const NativeState& native, u32 undefined, std::span<const u8> memory) {
    std::ostringstream out;
    out << std::hex;
    const GuestContext& context = guest_.context;
    for (std::size_t n = 0; n < 16; ++n) {
      if (native.gpr[n] != context.gpr[n])
        out << "gpr " << n << ": native " << native.gpr[n] << " guest " << context.gpr[n] << "\n";
    }
    const u64 mask = 0xCD5 & ~undefined;
    if (((native.rflags ^ context.rflags) & mask) != 0)
      out << "flags: native " << native.rflags << " guest " << context.rflags << "\n";
    for (std::size_t n = 0; n < 16; ++n) {
      if (std::memcmp(native.ymm[n].data(), context.xsave.data() + 160 + 16 * n, 16) != 0) out << "xmm " << n << "\n";
      if (std::memcmp(native.ymm[n].data() + 16, context.xsave.data() + 576 + 16 * n, 16) != 0)
        out << "ymm high " << n << "\n";
    }
    if (std::memcmp(native.fxsave.data(), context.xsave.data(), 5) != 0) out << "x87 control, status or tags\n";
    if (std::memcmp(native.fxsave.data() + 24, context.xsave.data() + 24, 4) != 0) out << "mxcsr\n";
    if (std::memcmp(native.fxsave.data() + 32, context.xsave.data() + 32, 128) != 0) out << "x87 registers\n";
    for (u64 page = 0; page < memory.size(); page += kPageSize) {
      const u8* const bytes = guest_.byte(NativeRunner::kData + page);
      if (std::memcmp(memory.data() + page, bytes, kPageSize) == 0) continue;
      u64 n = 0;
      while (memory[page + n] == bytes[n]) ++n;
      out << "memory " << NativeRunner::kData + page + n << "\n";
    }
    return out.str();
  }

  // Runs to the breakpoint in pieces of `slice` instructions; the number retired.
  u64 run_guest(u64 slice) {
    u64 retired = 0;
    for (;;) {
      const Exit exit = guest_.run(slice);
      retired += exit.retired;
      if (exit.reason == ExitReason::budget) {
        EXPECT_EQ(exit.retired, slice);
        continue;
      }
      EXPECT_EQ(exit.reason, ExitReason::exception);
      EXPECT_EQ(exit.vector, Vector::breakpoint) << "at " << std::hex << guest_.context.rip;
      return retired;
    }
  }

  [[nodiscard]] std::string disassemble(const std::vector<u8>& code, Va at) {
    std::ostringstream out;
    ZydisDisassembledInstruction line;
    for (std::size_t n = 0; n < code.size(); n += line.info.length) {
      if (!ZYAN_SUCCESS(
              ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, at + n, code.data() + n, code.size() - n, &line)))
        break;
      out << std::hex << at + n << "  " << line.text << "\n";
    }
    return out.str();
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
    std::vector<u8> data(NativeRunner::kDataBytes);
    randomise(random, state, data);
    std::vector<u8> guest_code = program.code;
    guest_code.push_back(0xCC);
    guest_.poke(entry, guest_code);
    const NativeState initial = state;
    std::memcpy(native_.data().data(), data.data(), data.size());
    native_.run(program.code, entry, state);
    u64 whole = 0;
    for (const u64 slice : {u64{1'000'000}, u64{1 + random.below(9)}, u64{60 + random.below(90)}}) {
      for (u64 n = 0; n < data.size(); n += kPageSize)
        std::memcpy(guest_.byte(NativeRunner::kData + n), data.data() + n, kPageSize);
      load_guest(initial, entry);
      const u64 retired = run_guest(slice);
      if (whole == 0) whole = retired;
      const std::string wrong = differences(state, program.undefined_flags, native_.data());
      EXPECT_EQ(wrong, "") << "seed " << seed << " slice " << slice << "\n" << disassemble(program.code, entry);
      EXPECT_EQ(retired, whole) << "seed " << seed << " slice " << slice;
      if (!wrong.empty() || HasFailure()) return false;
    }
    return true;
  }

  NativeRunner native_;
  GuestMachine guest_;
};

TEST_F(Differential, RandomCodeDoesTheSameTranslatedAndNatively) {
  const char* seconds = std::getenv("VITRINE_FUZZ_SECONDS");
  const char* first = std::getenv("VITRINE_FUZZ_SEED");
  u64 seed = first != nullptr ? std::strtoull(first, nullptr, 0) : 1;
  const u64 fixed = seconds == nullptr ? 1500 : ~0ull;
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::seconds(seconds == nullptr ? 60 : std::atoi(seconds));
  u64 programs = 0;
  for (; programs < fixed && std::chrono::steady_clock::now() < end; ++programs, ++seed) {
    if (!run_one(seed)) break;
  }
  RecordProperty("programs", static_cast<int>(programs));
}

}  // namespace
}  // namespace vitrine::cpu::test
