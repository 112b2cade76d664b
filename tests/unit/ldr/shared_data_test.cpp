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

}  // namespace
}  // namespace vitrine::ldr
