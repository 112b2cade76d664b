// HostStream: the standard streams as a device. Bytes pass through unchanged in both directions. What the guest sees as
// device type is what the host stream is: 7 a regular file, 0x11 a pipe or socket, 0x50 a terminal, 0x15 /dev/null.
// A read that finds nothing pends until the input log delivers; a write to a reader that is gone is pipe_broken.
#pragma once

#include "io/device.h"
#include "io/host_input.h"

namespace vitrine::io {

class IoManager;

enum class StreamKind : u8 { file, pipe, terminal, null };
struct StreamKinds {
  StreamKind input, output, error;
};

// Which stream an open is: the path below the device: "\Input", "\Output", "\Error".
class HostStream final : public Device {
 public:
  HostStream(IoManager& manager, HostInput& input, HostOutput& output, StreamKinds kinds);
  ~HostStream() override;

  // More input (or its end) has arrived: completes pending reads in order.
  void input_arrived();

  [[nodiscard]] abi::DeviceType type(const FileObject& file) const override;
  Result<abi::CreateAction> create(FileObject& file, const CreateParameters& parameters) override;
  Status dispatch(Irp& irp) override;
  void cancel(Irp& irp) override;
  Status query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                           u32* written) override;
  Status set_information(FileObject& file, abi::FileInformationClass information_class,
                         std::span<const u8> in) override;
  Status query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                      u32* written) override;

 private:
  Status read(Irp& irp);
  Status write(Irp& irp);
  Status pipe_control(Irp& irp);

  IoManager& manager_;
  HostInput& input_;
  HostOutput& output_;
  StreamKinds kinds_;
  IrpQueue readers_;
};

}  // namespace vitrine::io
