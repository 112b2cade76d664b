// The range cache (translator/range_cache.h): what it holds must go when a page goes or changes its rights, and it may
// never reach beyond what the page tables allow.
#include <gtest/gtest.h>

#include "guest_machine.h"

namespace vitrine::cpu::test {
namespace {

using Code = std::vector<u8>;

class RangeCache : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
  }
  // Runs `code`, which ends with a system call, from the start.
  Exit run() {
    guest_.context.rip = GuestMachine::kCode;
    return guest_.run();
  }
  [[nodiscard]] u64 misses() const { return guest_.cpu->statistics().range_misses; }
  void expect_page_fault(const Exit& exit, Va address, u32 error_code) {
    EXPECT_EQ(exit.reason, ExitReason::exception);
    EXPECT_EQ(exit.vector, Vector::page_fault);
    EXPECT_EQ(exit.fault_address, address);
    EXPECT_EQ(exit.error_code, error_code);
  }

  GuestMachine guest_{BackendKind::hot_translator};
  static constexpr Va kData = GuestMachine::kData;
};

constexpr u32 kRead = page_fault::kUser, kWrite = page_fault::kUser | page_fault::kWrite;
const Code kLoad = {0x48, 0x8B, 0x06, 0x0F, 0x05};               // mov rax, [rsi]; syscall
const Code kStore = {0x48, 0x89, 0x06, 0x0F, 0x05};              // mov [rsi], rax
const Code kLoadIndexed = {0x48, 0x8B, 0x04, 0xD6, 0x0F, 0x05};  // mov rax, [rsi+rdx*8]
const Code kPop = {0x58, 0x50, 0x0F, 0x05};                      // pop rax; push rax

TEST_F(RangeCache, HoldsThePagesThatLieTogether) {
  // The first page lies in front of the page tables that it was the first to need.
  for (u64 n = 1; n < 8; ++n) guest_.store(kData + n * kPageSize + 8, n);
  for (const Code& code : {kLoad, kLoadIndexed}) {
    guest_.poke(GuestMachine::kCode, code);
    guest_.context[Gpr::rdx] = 0;
    const u64 before = misses();
    for (int round = 0; round < 3; ++round) {
      for (u64 n = 1; n < 8; ++n) {
        guest_.context[Gpr::rsi] = kData + n * kPageSize + 8;
        EXPECT_EQ(run().reason, ExitReason::system_call);
        EXPECT_EQ(guest_.context[Gpr::rax], n);
      }
    }
    EXPECT_LE(misses() - before, 7u) << "once a page, and not again";
  }
}

TEST_F(RangeCache, ReadsAcrossTwoOfItsPages) {
  guest_.poke(GuestMachine::kCode, kLoad);
  guest_.store(kData + kPageSize - 4, 0x1122'3344'5566'7788);
  for (int round = 0; round < 3; ++round) {
    for (const Va at : {kData, kData + kPageSize, kData + kPageSize - 4}) {
      guest_.context[Gpr::rsi] = at;
      EXPECT_EQ(run().reason, ExitReason::system_call);
    }
    EXPECT_EQ(guest_.context[Gpr::rax], 0x1122'3344'5566'7788u);
  }
}

TEST_F(RangeCache, EndsWhereThePagesEnd) {
  guest_.poke(GuestMachine::kCode, kLoad);
  constexpr Va kEnd = kData + GuestMachine::kDataPages * kPageSize;
  for (Va at = kData; at < kEnd; at += kPageSize) {
    guest_.context[Gpr::rsi] = at;
    EXPECT_EQ(run().reason, ExitReason::system_call);
  }
  guest_.context[Gpr::rsi] = kEnd - 8;
  EXPECT_EQ(run().reason, ExitReason::system_call);
  guest_.context[Gpr::rsi] = kEnd - 7;
  expect_page_fault(run(), kEnd, kRead);
  guest_.context[Gpr::rsi] = kData - 1;
  expect_page_fault(run(), kData - 1, kRead);
  guest_.context[Gpr::rsi] = 0x8000'0000'0020'0000;  // not canonical
  EXPECT_EQ(run().vector, Vector::general_protection);
}

TEST_F(RangeCache, LosesAPageThatIsTakenAway) {
  guest_.poke(GuestMachine::kCode, kLoad);
  for (const Va at : {kData, kData + kPageSize, kData + 2 * kPageSize, kData + kPageSize}) {
    guest_.context[Gpr::rsi] = at;
    EXPECT_EQ(run().reason, ExitReason::system_call);
  }
  guest_.protect(kData + kPageSize, 0, pte::kPresent);
  expect_page_fault(run(), kData + kPageSize, kRead);
  guest_.context[Gpr::rsi] = kData + 2 * kPageSize - 3;  // its end
  expect_page_fault(run(), kData + 2 * kPageSize - 3, kRead);
  guest_.context[Gpr::rsi] = kData + 2 * kPageSize;
  EXPECT_EQ(run().reason, ExitReason::system_call);
}

TEST_F(RangeCache, LosesTheRightToWrite) {
  guest_.poke(GuestMachine::kCode, kStore);
  guest_.context[Gpr::rsi] = kData + 16;
  for (int round = 0; round < 3; ++round) EXPECT_EQ(run().reason, ExitReason::system_call);
  guest_.protect(kData, 0, pte::kWrite);
  expect_page_fault(run(), kData + 16, kWrite | page_fault::kProtection);
}

TEST_F(RangeCache, SetsTheDirtyBitOfEachPageThatIsWritten) {
  guest_.poke(GuestMachine::kCode, kStore);
  for (u64 n = 0; n < 3; ++n) {
    guest_.context[Gpr::rsi] = kData + n * kPageSize;
    EXPECT_EQ(run().reason, ExitReason::system_call);
    EXPECT_NE(*guest_.tables.entry(kData + n * kPageSize, false) & pte::kDirty, 0u);
    EXPECT_EQ(*guest_.tables.entry(kData + (n + 1) * kPageSize, false) & pte::kDirty, 0u);
  }
  guest_.protect(kData + kPageSize, 0, pte::kDirty);
  guest_.context[Gpr::rsi] = kData + kPageSize;
  EXPECT_EQ(run().reason, ExitReason::system_call);
  EXPECT_NE(*guest_.tables.entry(kData + kPageSize, false) & pte::kDirty, 0u);
}

// Code that appears in a page which a range may write: the write must be seen.
TEST_F(RangeCache, DoesNotWriteToTranslatedCode) {
  constexpr Va kOther = kData + kPageSize;
  guest_.protect(kOther, 0, pte::kNoExecute);
  guest_.poke(GuestMachine::kCode, kStore);
  guest_.context[Gpr::rax] = 0x0500'0000'01B8;  // mov eax, 1, once more is in front of it
  for (const Va at : {kData, kOther, kOther}) {
    guest_.context[Gpr::rsi] = at;
    EXPECT_EQ(run().reason, ExitReason::system_call);
  }
  const Code returns = {0xB8, 7, 0, 0, 0, 0x0F, 0x05};  // mov eax, 7; syscall
  guest_.poke(kOther, returns);
  guest_.context.rip = kOther;
  EXPECT_EQ(guest_.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest_.context[Gpr::rax], 7u);
  guest_.context[Gpr::rax] = 0x050F'0000'0009'B8;
  guest_.context[Gpr::rsi] = kOther;
  EXPECT_EQ(run().reason, ExitReason::system_call);
  guest_.context.rip = kOther;
  EXPECT_EQ(guest_.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest_.context[Gpr::rax], 9u);
}

TEST_F(RangeCache, OfTheStackServesAllCode) {
  guest_.poke(GuestMachine::kCode, kPop);
  guest_.poke(GuestMachine::kCode + kPageSize, kPop);
  for (int round = 0; round < 2; ++round) EXPECT_EQ(run().reason, ExitReason::system_call);
  const u64 before = misses();
  guest_.context.rip = GuestMachine::kCode + kPageSize;
  EXPECT_EQ(guest_.run().reason, ExitReason::system_call);
  EXPECT_EQ(misses(), before);
}

// The last bytes of its last page are out of its reach, for the sake of larger accesses; the way there leaves it whole.
TEST_F(RangeCache, OfTheStackKeepsItsPagesWhenItsEndIsTouched) {
  guest_.poke(GuestMachine::kCode, kPop);
  const auto pop_at = [&](Va at) {
    guest_.context[Gpr::rsp] = at;
    EXPECT_EQ(run().reason, ExitReason::system_call);
  };
  for (const Va at : {GuestMachine::kStack + 16, GuestMachine::kStack + kPageSize + 16}) pop_at(at);
  pop_at(GuestMachine::kStack + 2 * kPageSize - 8);
  const u64 before = misses();
  pop_at(GuestMachine::kStack + 16);
  EXPECT_EQ(misses(), before);
}

TEST_F(RangeCache, OfTheStackGoesWithItsPage) {
  guest_.poke(GuestMachine::kCode, kPop);
  for (int round = 0; round < 3; ++round) EXPECT_EQ(run().reason, ExitReason::system_call);
  const Va top = guest_.context[Gpr::rsp];
  guest_.protect(page_floor(top), 0, pte::kPresent);
  expect_page_fault(run(), top, kRead);
  guest_.protect(page_floor(top), pte::kPresent, pte::kWrite);
  expect_page_fault(run(), top, kWrite | page_fault::kProtection);
}

TEST_F(RangeCache, IsLeftByAccessesThatKeepMissing) {
  // again: mov rax, [rsi]; xor rsi, rdi; dec rcx; jnz again; syscall
  guest_.code({0x48, 0x8B, 0x06, 0x48, 0x31, 0xFE, 0x48, 0xFF, 0xC9, 0x75, 0xF5, 0x0F, 0x05});
  guest_.tables.map(0x7000'0000);  // far from the data on the host
  guest_.context[Gpr::rsi] = kData;
  guest_.context[Gpr::rdi] = kData ^ 0x7000'0000;
  guest_.context[Gpr::rcx] = 100'000;
  EXPECT_EQ(run().reason, ExitReason::system_call);
  EXPECT_EQ(guest_.cpu->statistics().scattered, 1u);
  EXPECT_LT(misses(), 1000u);
}

TEST(HotPages, AreFoundBySamples) {
  if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
  GuestMachine guest;
  // again: mov rax, [rsi]; dec rcx; jnz again; syscall
  guest.code({0x48, 0x8B, 0x06, 0x48, 0xFF, 0xC9, 0x75, 0xF8, 0x0F, 0x05});
  const auto run = [&](u64 rounds) {
    guest.context.rip = GuestMachine::kCode;
    guest.context[Gpr::rsi] = GuestMachine::kData;
    guest.context[Gpr::rcx] = rounds;
    EXPECT_EQ(guest.run(100'000'000).reason, ExitReason::system_call);
  };
  run(500'000);
  EXPECT_EQ(guest.cpu->statistics().range_misses, 0u) << "cold code asks the TLB";
  run(3'000'000);
  EXPECT_GT(guest.cpu->statistics().range_misses, 0u);
  EXPECT_LE(guest.cpu->statistics().range_misses, 3u) << "one for each block that the loop went through";
}

}  // namespace
}  // namespace vitrine::cpu::test
