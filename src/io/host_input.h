// HostInput: the one door through which bytes of the outside world enter a running machine (standard input, and a
// terminal's lines). `io` never reads a host descriptor for input by itself: the composition root implements this over
// `sim`'s input log, which records what arrived and when, or replays it.
#pragma once

#include <optional>
#include <span>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::io {

enum class InputSource : u8 { standard_input };

class HostInput {
 public:
  virtual ~HostInput() = default;
  // Takes up to `out.size()` bytes that have arrived. nullopt: nothing yet (ask to be called: see `want`); 0: end of
  // input. Errors: unexpected status of the host, mapped by io/host_error.h. Never blocks.
  // With an empty `out` it only looks: nullopt when neither bytes nor the end are there, else 0.
  virtual Result<std::optional<u64>> take(InputSource source, std::span<u8> out) = 0;
  // How many bytes `take` would give now, without taking them; 0 also at the end of input.
  [[nodiscard]] virtual u64 available(InputSource source) = 0;
  // Someone waits (true) or nobody does any more: when idle the run loop then polls the host descriptor and calls
  // `HostStream::input_arrived`.
  virtual void want(InputSource source, bool wanted) = 0;
};

// HostTerminal: the host's terminal behind the console. Implemented by the composition root; a replay has none.
enum class TerminalInput : u8 {
  lines,         // the host lets the user edit a line, shows it, and gives it when it is complete
  hidden_lines,  // the same, not shown
  keys,          // each key at once, not shown
};
class HostTerminal {
 public:
  virtual ~HostTerminal() = default;
  // How input is taken from now on. `interrupts`: Ctrl-C is no character but an interrupt.
  virtual void set_input(TerminalInput input, bool interrupts) = 0;
};

// HostOutput: where output bytes go. The composition root writes them to the host and absorbs them into the trace hash.
class HostOutput {
 public:
  virtual ~HostOutput() = default;
  enum class Sink : u8 { standard_output, standard_error };
  // Writes all bytes or fails: pipe_broken when the reader is gone (never a signal), disk_full, io errors.
  virtual Status write(Sink sink, std::span<const u8> bytes) = 0;
};

}  // namespace vitrine::io
