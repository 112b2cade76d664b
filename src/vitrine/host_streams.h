// HostStreams: the standard streams of the run. Input is read from the host only when a guest thread asks for it, and what it
// brought goes into the input log; a replay takes it from there. Every byte in and out is absorbed into the trace hash, so that equal
// hashes mean equal input and output too.
#pragma once

#include <array>
#include <vector>

#include "io/host_input.h"
#include "io/stream.h"
#include "sim/input_log.h"
#include "trace/recorder.h"

namespace vitrine {

class HostStreams final : public io::HostInput, public io::HostOutput {
 public:
  enum class Source : u8 { host, replay };
  // `log` is written when the source is the host, read when it is a replay; it outlives the streams.
  HostStreams(trace::Recorder& trace, std::array<int, 3> descriptors, bool show_output, Source source, sim::InputLog& log)
      : trace_(trace), descriptors_(descriptors), show_output_(show_output), source_(source), log_(log) {}

  [[nodiscard]] io::StreamKinds kinds() const;

  Result<std::optional<u64>> take(io::InputSource source, std::span<u8> out) override;
  [[nodiscard]] u64 available(io::InputSource source) override;
  void want(io::InputSource source, bool wanted) override;
  Status write(Sink sink, std::span<const u8> bytes) override;

  [[nodiscard]] bool wanted() const { return wanted_; }
  // While every processor is idle: waits at most `milliseconds` of host time (none in a replay). nullopt: nothing yet, ask again;
  // true: input arrived or ended. In a replay false: the next timer came first.
  [[nodiscard]] std::optional<bool> wait(int milliseconds);
  // The caller has waited until the next timer is due.
  void timer_came_first();

 private:
  // One look at the host or into the log.
  sim::InputLog::Outcome look(int milliseconds);

  trace::Recorder& trace_;
  std::array<int, 3> descriptors_;
  bool show_output_;
  Source source_;
  sim::InputLog& log_;
  bool wanted_ = false;
  bool ended_ = false;
  std::vector<u8> arrived_;  // read from the host, not yet taken
  std::size_t taken_ = 0;
};

}  // namespace vitrine
