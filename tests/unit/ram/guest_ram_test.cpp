#include <gtest/gtest.h>
#include <sys/mman.h>

#include <utility>

#include "ram/shared_ram.h"

namespace vitrine::ram {
namespace {

// The parameter: shared or private.
class EitherGuestRam : public ::testing::TestWithParam<bool> {
 protected:
  static std::expected<GuestRam, std::string> create(u64 bytes) {
    return GetParam() ? create_shared_ram(bytes) : GuestRam::create(bytes);
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, EitherGuestRam, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "shared" : "anonymous"; });

TEST(GuestRam, RoundsUpToWholePages) {
  auto ram = GuestRam::create(kPageSize + 1);
  ASSERT_TRUE(ram);
  EXPECT_EQ(ram->page_count(), 2u);
}

TEST(GuestRam, RefusesSizesThatNoHostHas) {
  EXPECT_FALSE(GuestRam::create(0));
  EXPECT_FALSE(GuestRam::create(~0ull));
}

TEST_P(EitherGuestRam, UntouchedFramesReadAsZeroAndCostNothing) {
  auto ram = create(64ull << 30);
  ASSERT_TRUE(ram);
  EXPECT_EQ(ram->page(Pfn{12'345'678})[17], std::byte{0});
  EXPECT_LE(ram->resident_bytes(), 4u << 20);
}

TEST(GuestRam, FramesAreDistinctAndKeepTheirBytes) {
  auto ram = GuestRam::create(16 * kPageSize);
  ASSERT_TRUE(ram);
  for (u64 n = 0; n < 16; ++n) ram->page(Pfn{n})[n] = std::byte(n + 1);
  for (u64 n = 0; n < 16; ++n) EXPECT_EQ(ram->page(Pfn{n})[n], std::byte(n + 1));
}

TEST_P(EitherGuestRam, DiscardedFramesReadAsZeroAndTheirNeighboursStay) {
  auto ram = create(4 * kPageSize);
  ASSERT_TRUE(ram);
  for (u64 n = 0; n < 4; ++n) ram->page(Pfn{n})[9] = std::byte{7};
  ram->discard(Pfn{1}, 2);
  EXPECT_EQ(ram->page(Pfn{0})[9], std::byte{7});
  EXPECT_EQ(ram->page(Pfn{1})[9], std::byte{0});
  EXPECT_EQ(ram->page(Pfn{2})[9], std::byte{0});
  EXPECT_EQ(ram->page(Pfn{3})[9], std::byte{7});
}

// What the kvm back end takes away to make the host's kernel forget translations comes back as it was.
TEST(GuestRam, ASharedFrameThatIsTakenAwayKeepsItsBytes) {
  auto ram = create_shared_ram(2 * kPageSize);
  ASSERT_TRUE(ram);
  ram->page(Pfn{1})[5] = std::byte{8};
  ASSERT_EQ(madvise(ram->page(Pfn{1}), kPageSize, MADV_DONTNEED), 0);
  EXPECT_EQ(ram->page(Pfn{1})[5], std::byte{8});
}

TEST(GuestRam, MovingKeepsTheMapping) {
  auto ram = GuestRam::create(kPageSize);
  ASSERT_TRUE(ram);
  ram->page(Pfn{0})[0] = std::byte{3};
  GuestRam moved = std::move(*ram);
  EXPECT_EQ(moved.page(Pfn{0})[0], std::byte{3});
  EXPECT_EQ(moved.page_count(), 1u);
}

TEST(GuestRamDeathTest, AFrameOutsideTheMappingIsRefused) {
  auto ram = GuestRam::create(kPageSize);
  ASSERT_TRUE(ram);
  EXPECT_DEATH((void)ram->page(Pfn{1}), "page_count_");
}

}  // namespace
}  // namespace vitrine::ram
