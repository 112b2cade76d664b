// HostStreams: the standard streams of the run. Input is read from the host only when a guest thread waits for it; every output
// byte is absorbed into the trace hash, so that equal hashes mean equal output too.
#pragma once

#include <array>
#include <vector>

#include "io/host_input.h"
#include "io/stream.h"
#include "trace/recorder.h"

namespace vitrine {

class HostStreams final : public io::HostInput, public io::HostOutput {
 public:
  HostStreams(trace::Recorder& trace, std::array<int, 3> descriptors, bool show_output)
      : trace_(trace), descriptors_(descriptors), show_output_(show_output) {}

  [[nodiscard]] io::StreamKinds kinds() const;

  Result<std::optional<u64>> take(io::InputSource source, std::span<u8> out) override;
  [[nodiscard]] u64 available(io::InputSource source) override;
  void want(io::InputSource source, bool wanted) override;
  Status write(Sink sink, std::span<const u8> bytes) override;

  [[nodiscard]] bool wanted() const { return wanted_; }
  // Waits at most `milliseconds` of host time for input; true when some arrived or the input ended. A signal ends it early.
  bool poll(int milliseconds);

 private:
  trace::Recorder& trace_;
  std::array<int, 3> descriptors_;
  bool show_output_;
  bool wanted_ = false;
  bool ended_ = false;
  std::vector<u8> arrived_;  // read from the host, not yet taken
  std::size_t taken_ = 0;
};

}  // namespace vitrine
