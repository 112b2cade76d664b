#include "hal/identity.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace vitrine::hal {
namespace {

bool bit(u32 value, u32 number) { return (value >> number & 1) != 0; }

struct IdentityTest : testing::Test {
  Machine machine{{.processor_count = 6, .seed = 7}};
  Identity identity{machine, 333};
};

// The x86-64-v3 level of the psABI, feature by feature.
TEST_F(IdentityTest, HasEveryFeatureOfX8664V3) {
  const auto one = identity.cpuid(1, 0), seven = identity.cpuid(7, 0), extended = identity.cpuid(0x8000'0001, 0);
  for (const u32 n : {0u, 9u, 12u, 13u, 19u, 20u, 22u, 23u, 26u, 27u, 28u, 29u}) EXPECT_TRUE(bit(one.ecx, n)) << n;
  for (const u32 n : {0u, 8u, 15u, 23u, 24u, 25u, 26u}) EXPECT_TRUE(bit(one.edx, n)) << n;
  for (const u32 n : {3u, 5u, 8u}) EXPECT_TRUE(bit(seven.ebx, n)) << n;
  EXPECT_TRUE(bit(extended.ecx, 0) && bit(extended.ecx, 5));
  for (const u32 n : {11u, 20u, 29u}) EXPECT_TRUE(bit(extended.edx, n)) << n;
}

TEST_F(IdentityTest, HasNoAvx512NoTsxNoHypervisorAndNoFsgsbase) {
  const auto seven = identity.cpuid(7, 0);
  for (const u32 n : {0u, 4u, 11u, 16u, 17u, 28u, 30u, 31u}) EXPECT_FALSE(bit(seven.ebx, n)) << n;
  EXPECT_EQ(seven.ecx | seven.edx, 0u);
  EXPECT_FALSE(bit(identity.cpuid(1, 0).ecx, 31));
}

TEST_F(IdentityTest, HasAvx512OnRequest) {
  const Identity on_request{machine, 333, true};
  const auto seven = on_request.cpuid(7, 0);
  for (const u32 n : {5u, 16u, 17u, 28u, 30u, 31u}) EXPECT_TRUE(bit(seven.ebx, n)) << n;
  EXPECT_EQ(seven.ecx | seven.edx, 0u);
  const auto main = on_request.cpuid(0xD, 0);
  EXPECT_EQ(main.eax, 0xE7u);
  u32 end = 576 + 256;  // of AVX; the others follow, with a gap that MPX and the like would fill
  for (const u32 n : {5u, 6u, 7u}) {
    const auto part = on_request.cpuid(0xD, n);
    EXPECT_GE(part.ebx, end) << n;
    end = part.ebx + part.eax;
  }
  EXPECT_EQ(main.ebx, end);
}

// What XGETBV-guarded code computes from leaf 0xD must agree with cpu::GuestContext::xsave.
TEST_F(IdentityTest, XsaveSizesAgreeWithTheContext) {
  const auto main = identity.cpuid(0xD, 0), avx = identity.cpuid(0xD, 2);
  EXPECT_EQ(main.eax, 7u);
  EXPECT_EQ(main.ebx, sizeof(cpu::GuestContext{}.xsave));
  EXPECT_EQ(avx.ebx + avx.eax, main.ecx);
}

TEST_F(IdentityTest, TopologyCountsTheProcessors) {
  const auto core = identity.cpuid(0xB, 1);
  EXPECT_EQ(core.ebx, 6u);
  EXPECT_EQ(core.eax, 3u);  // 8 APIC ids
  EXPECT_EQ(core.ecx >> 8, 2u);
  EXPECT_EQ(identity.cpuid(0xB, 2).ebx, 0u);
  EXPECT_EQ(identity.cpuid(1, 0).ebx >> 16 & 0xFF, 8u);
  EXPECT_EQ(identity.cpuid(4, 3).eax >> 26, 7u);
}

TEST_F(IdentityTest, UnknownLeavesReadAsTheHighestBasicOne) {
  const auto highest = identity.cpuid(identity.cpuid(0, 0).eax, 0);
  for (const u32 leaf : {0xEu, 0x4000'0000u, 0x7FFF'FFFFu, 0x8000'0009u, 0xFFFF'FFFFu}) {
    EXPECT_EQ(identity.cpuid(leaf, 0).ebx, highest.ebx) << leaf;
  }
}

TEST_F(IdentityTest, NameIsReadableText) {
  std::string name;
  for (u32 leaf = 0x8000'0002; leaf <= 0x8000'0004; ++leaf) {
    const auto r = identity.cpuid(leaf, 0);
    name.append(reinterpret_cast<const char*>(&r), 16);
  }
  EXPECT_EQ(std::strlen(name.c_str()), 35u);
  EXPECT_NE(name.find("3.00GHz"), std::string::npos);
}

// DESIGN 3.6: the counter moves inside a window, at the price of an instruction.
TEST_F(IdentityTest, TimeStampMovesWithTheClockAndInsideARun) {
  machine.advance(2, {1000});
  EXPECT_EQ(identity.time_stamp(2, 0), 3000u);
  EXPECT_EQ(identity.time_stamp(2, 1000), 3000u + 999u);
  EXPECT_EQ(identity.time_stamp(1, 0), 0u);
}

TEST_F(IdentityTest, RandomNumbersAreTheSeedsAndEachProcessorsOwn) {
  Identity same(machine, 333);
  const u64 first = identity.random(0);
  EXPECT_NE(identity.random(1), first);
  (void)same.random(1);
  EXPECT_EQ(same.random(0), first);
  EXPECT_NE(identity.random(0), first);
}

}  // namespace
}  // namespace vitrine::hal
