// How many notify routines there may be, and what the next one is told [facts 5.5; WDK: PsSetCreateProcessNotifyRoutine
// and its kin].
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/scenario/bare_machine.h"

namespace vitrine {
namespace {

using testing::BareMachine;

struct Era {
  const char* profile;
  u32 slots;
};
class NotifySlots : public ::testing::TestWithParam<Era> {};

// Registers `routine` until it is refused: with `refusal`, after as many as the profile has.
template <typename Array, typename Routine>
void fill(Array& array, u32 slots, Status refusal, const Routine& routine) {
  std::vector<u32> taken;
  auto slot = array.add(routine);
  for (; slot; slot = array.add(routine)) taken.push_back(*slot);
  EXPECT_EQ(taken.size(), slots);
  EXPECT_EQ(slot.error(), refusal);
  EXPECT_EQ(array.remove(taken[slots / 2]), Status::success);
  EXPECT_EQ(array.add(routine).value_or(0), taken[slots / 2]) << "one that was given back is there again";
}

TEST_P(NotifySlots, AllAreCalledAndOneMoreIsRefused) {
  const auto [profile, slots] = GetParam();
  u32 processes = 0, threads = 0, images = 0;
  BareMachine bare({.profile = profile});
  ps::ProcessManager& ps = *bare.machine->processes;
  fill(ps.process_notify, slots, Status::invalid_parameter, [&](ps::Process&, bool created) { processes += created; });
  fill(ps.thread_notify, slots, Status::insufficient_resources, [&](ps::Thread&, bool created) { threads += created; });
  fill(ps.image_notify, slots, Status::insufficient_resources,
       [&](ps::Process&, std::u16string_view, Va, u64) { ++images; });
  bare.process->unreported_images.push_back({u"\\??\\C:\\a.exe", 0x1'0000, 0x1000});
  bare.start([](cpu::ScriptContext& context) -> cpu::Script {
    (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), ~0ull - 1, 0);
  });
  EXPECT_EQ(processes, slots);
  EXPECT_EQ(threads, slots);
  EXPECT_EQ(images, 0u) << "its first thread has not begun";
  EXPECT_EQ(bare.run(), RunEnd::exited);
  EXPECT_EQ(images, slots);
}
INSTANTIATE_TEST_SUITE_P(Profiles, NotifySlots,
                         ::testing::Values(Era{"nt52-x86", 8}, Era{"nt52-x64", 8}, Era{"nt61-x64", 64}),
                         [](const auto& test) {
                           std::string name = test.param.profile;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace vitrine
