// A replay of standard input learns what the first run learned, in the same order.
#include <gtest/gtest.h>
#include <unistd.h>

#include "vitrine/host_streams.h"

namespace vitrine {
namespace {

using Source = HostStreams::Source;
constexpr io::InputSource kInput = io::InputSource::standard_input;

struct Pipe {
  Pipe() { EXPECT_EQ(pipe(ends.data()), 0); }
  ~Pipe() {
    close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
  }
  void put(std::string_view text) { EXPECT_EQ(write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size())); }
  void end() { close(std::exchange(ends[1], -1)); }
  std::array<int, 2> ends{};
};

// What a guest that polls sees: "-" nothing yet, "." the end.
std::string take(HostStreams& streams) {
  std::array<u8, 4> buffer;
  const auto taken = streams.take(kInput, buffer);
  if (!taken->has_value()) return "-";
  return **taken == 0 ? "." : std::string(buffer.begin(), buffer.begin() + **taken);
}

TEST(InputLog, AReplaySeesWhatTheFirstRunSaw) {
  Pipe pipe;
  sim::InputLog log;
  trace::Recorder first_trace, second_trace;
  HostStreams first(first_trace, {pipe.ends[0], 1, 2}, false, Source::host, log);
  std::vector<std::string> seen{take(first)};
  pipe.put("abcdef");
  seen.push_back(take(first));
  seen.push_back(take(first));
  first.timer_came_first();
  pipe.put("g");
  EXPECT_EQ(first.wait(1000), true);
  seen.push_back(take(first));
  pipe.end();
  seen.push_back(take(first));
  EXPECT_EQ(seen, (std::vector<std::string>{"-", "abcd", "ef", "g", "."}));

  log.rewind();
  HostStreams second(second_trace, {-1, 1, 2}, false, Source::replay, log);
  std::vector<std::string> again{take(second), take(second), take(second)};
  EXPECT_EQ(second.wait(0), false) << "the timer came first";
  EXPECT_EQ(second.wait(0), true);
  again.push_back(take(second));
  again.push_back(take(second));
  EXPECT_EQ(again, seen);
  EXPECT_EQ(second_trace.hash(), first_trace.hash());
}

TEST(InputLog, AReplayThatAsksForMoreThanWasRecordedSeesTheEnd) {
  sim::InputLog log;
  trace::Recorder trace;
  HostStreams streams(trace, {-1, 1, 2}, false, Source::replay, log);
  EXPECT_EQ(take(streams), ".");
}

}  // namespace
}  // namespace vitrine
