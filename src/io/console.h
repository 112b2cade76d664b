// Console: \Device\ConDrv, a console on the host's terminal [Microsoft: Consoles; the protocol is Wine 8.0's,
// abi/console_device.h]. Output is UTF-16 or bytes in the output code page and reaches the host as UTF-8; attributes,
// cursor moves and cell writes become VT sequences, and those in the program's output move the cursor of the model,
// too. Input comes from the host's terminal: while a program reads lines, the host edits and echoes them, and a line
// ends with CR LF; while it reads keys or has switched line input off, the terminal is in its raw mode and each key
// becomes an event (io/console_keys.h).
//
// Owns the line that is being read, the input records and the model of the screen, whose size is that of
// the terminal. All processes of a machine share the one console.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "abi/console_device.h"
#include "io/device.h"
#include "io/host_input.h"

namespace vitrine::io {

class IoManager;

struct ConsoleSize {
  i16 width = 80, height = 25;
};
struct ConsoleOptions {
  HostOutput::Sink sink = HostOutput::Sink::standard_output;
  HostTerminal* terminal = nullptr;  // null: the host's is left as it is
  ConsoleSize size;
};

class Console final : public Device {
 public:
  Console(IoManager& manager, HostInput& input, HostOutput& output, const ConsoleOptions& options = {});
  ~Console() override;

  // More input (or its end) has arrived: completes pending reads in order.
  void input_arrived();
  // The terminal has another size: so has the screen, and who reads events with ENABLE_WINDOW_INPUT hears of it.
  void resize(ConsoleSize size);
  // Who carries out GenerateConsoleCtrlEvent; group 0: every process.
  void set_event_handler(std::function<void(abi::ConsoleEvent event, u32 group)> handler);

  // Below the device: Input, CurrentIn, Output, CurrentOut, Console, Reference, Connection, ScreenBuffer.
  Result<abi::CreateAction> create(FileObject& file, const CreateParameters& parameters) override;
  [[nodiscard]] abi::DeviceType type(const FileObject&) const override { return abi::DeviceType::console; }
  [[nodiscard]] i8 completion_increment() const override { return ke::kIncrementKeyboard; }
  Status dispatch(Irp& irp) override;
  void cancel(Irp& irp) override;
  Status query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                           u32* written) override;
  Status set_information(FileObject& file, abi::FileInformationClass information_class,
                         std::span<const u8> in) override;
  Status query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                      u32* written) override;

  struct State;  // io/console_state.h

 private:
  std::unique_ptr<State> state_;
};

}  // namespace vitrine::io
