// What a clock interrupt charges to whom.
#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

// A window may go on after the moment at which the clock interrupts: what is charged then is not what the tick samples.
TEST(ClockInterrupts, ATickSamplesTheModeInWhichItCameDue) {
  Bench b;
  auto& t = b.spinner(8);
  b.run_ms(1);
  b.kernel.enter(0);
  b.kernel.charge(0, {b.machine.next_tick(0).value - b.machine.clock(0).value}, Mode::user);
  b.kernel.charge(0, {1000}, Mode::kernel);
  b.kernel.charge_picoseconds(0, 1000, Mode::kernel);
  const u32 user_time = t.thread.user_time;
  b.kernel.end_window(0);
  EXPECT_EQ(t.thread.user_time, user_time + 1);
  EXPECT_EQ(t.thread.kernel_time, 0u);
  b.stop();
}

}  // namespace
}  // namespace vitrine::ke
