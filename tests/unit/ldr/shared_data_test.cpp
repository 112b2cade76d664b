#include "ldr/shared_data.h"

#include <gtest/gtest.h>

#include <array>

namespace vitrine::ldr {
namespace {

TEST(SharedData, TickCountIsMillisecondsWhicheverWayItIsRead) {
  hal::Machine machine({.seed = 1, .clock_interval_100ns = 156'250});
  alignas(8) std::array<std::byte, kPageSize> page{};
  write_shared_data(page.data(), machine, 1000, 1);
  (void)machine.skip_ticks(0, Nanoseconds{200'000'000});
  write_shared_time(page.data(), machine);
  const auto& data = *reinterpret_cast<const abi::UserSharedData*>(page.data());
  const i64 milliseconds = machine.interrupt_time().value / 10'000;
  ASSERT_GE(milliseconds, 180);
  EXPECT_EQ(data.tick_count.low, milliseconds) << "Wine's GetTickCount64";
  EXPECT_EQ(u64{data.tick_count.low} * data.tick_count_multiplier >> 24, static_cast<u64>(milliseconds))
      << "Windows' GetTickCount64";
  EXPECT_EQ(data.tick_count_low_deprecated, milliseconds);
}

// The offsets that RtlLocateExtendedFeature and programs of their own add to an XSAVE image [SDM vol. 1, 13.4.2 and 13.5].
TEST(SharedData, TheExtendedStateIsWhatTheProcessorShows) {
  hal::Machine machine({.seed = 1, .clock_interval_100ns = 156'250});
  const auto xstate_of = [&](bool avx512) {
    alignas(8) std::array<std::byte, kPageSize> page{};
    write_shared_data(page.data(), machine, 1000, 1, avx512);
    const auto& data = *reinterpret_cast<const abi::UserSharedData*>(page.data());
    EXPECT_EQ(data.processor_features[41], avx512 ? 1 : 0);
    return data.xstate;
  };
  const abi::XstateConfiguration plain = xstate_of(false), avx512 = xstate_of(true);
  EXPECT_EQ(plain.enabled_features, 7u);
  EXPECT_EQ(plain.size, 832u);
  EXPECT_EQ(plain.features[2].offset, 576u);
  EXPECT_EQ(plain.features[5].size, 0u);
  EXPECT_EQ(avx512.enabled_features, 0xE7u);
  EXPECT_EQ(avx512.size, 2688u);
  EXPECT_EQ(avx512.features[5].offset, 1088u);
  EXPECT_EQ(avx512.features[7].offset + avx512.features[7].size, avx512.size);
}

}  // namespace
}  // namespace vitrine::ldr
