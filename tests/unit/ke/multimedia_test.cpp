// The multimedia class scheduler's rules apart from its schedule, which tests/scenario/ke shows.
#include "ke/multimedia.h"

#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using enum MultimediaCategory;

// WI5 ch.5: Low 8 to 15, Medium 16 to 22, High 23 to 26. Microsoft: a High task's priority is always taken as 2.
TEST(Multimedia, ATaskStaysInItsCategorysRange) {
  EXPECT_EQ(MultimediaScheduler::priority_of({low, 1}, 0), 8);
  EXPECT_EQ(MultimediaScheduler::priority_of({low, 8}, 2), 15);
  EXPECT_EQ(MultimediaScheduler::priority_of({medium, 1}, -2), 16);
  EXPECT_EQ(MultimediaScheduler::priority_of({medium, 8}, 2), 22);
  EXPECT_EQ(MultimediaScheduler::priority_of({high, 8}, 0), MultimediaScheduler::priority_of({high, 1}, 0));
  EXPECT_EQ(MultimediaScheduler::priority_of({high, 1}, 2), 26);
  EXPECT_EQ(MultimediaScheduler::priority_of({high, 1}, -2), 23);
  EXPECT_EQ(MultimediaScheduler::priority_of({medium, 4}, 9), MultimediaScheduler::priority_of({medium, 4}, 2));
}

// Microsoft, SystemResponsiveness: rounded down to a multiple of 10; below 10 and above 100 it is 20; 100 turns the
// service off.
TEST(Multimedia, ResponsivenessIsRoundedAndBounded) {
  Bench b(1, "nt61-x64");
  MultimediaScheduler multimedia(b.kernel, 156'250);
  const auto set = [&](u32 percent) {
    multimedia.set_responsiveness(percent);
    return multimedia.responsiveness();
  };
  EXPECT_EQ(multimedia.responsiveness(), 20u);
  EXPECT_EQ(set(37), 30u);
  EXPECT_EQ(set(9), 20u);
  EXPECT_EQ(set(110), 20u);
  EXPECT_EQ(set(100), 100u);
  auto& thread = b.spinner(8);
  EXPECT_FALSE(multimedia.join(thread.thread, {high, 1}));
}

// It comes and goes with what SetThreadPriority made of it, and once only.
TEST(Multimedia, WhoLeavesHasTheOldPriorityAgain) {
  Bench b(1, "nt61-x64");
  MultimediaScheduler multimedia(b.kernel, 156'250);
  b.spawn(27, [&](TestThread& t) { return multimedia.run(&t.thread); });
  auto& thread = b.spinner(8);
  b.run_ms(1);
  b.kernel.set_base_priority(thread.thread, 2);
  EXPECT_TRUE(multimedia.join(thread.thread, {medium, 3}));
  EXPECT_FALSE(multimedia.join(thread.thread, {high, 1}));
  b.run_ms(5);
  EXPECT_EQ(thread.thread.priority, 18);
  EXPECT_TRUE(multimedia.set_relative_priority(thread.thread, 1));
  EXPECT_EQ(thread.thread.priority, 19);
  EXPECT_TRUE(multimedia.leave(thread.thread));
  EXPECT_EQ(b.kernel.query_base_priority(thread.thread), 2);
  EXPECT_FALSE(multimedia.leave(thread.thread));
  EXPECT_FALSE(multimedia.set_relative_priority(thread.thread, 0));
  b.stop();
}

}  // namespace
}  // namespace vitrine::ke
