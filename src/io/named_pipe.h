// NamedPipeDevice: \Device\NamedPipe [WI5 ch.12 "Named Pipes and Mailslots"; anonymous pipes are named pipes with a
// unique name]. It owns the pipe names, their instances and the data in flight. Each direction of an instance has a
// quota of bytes; a write beyond it pends until the reader has made room.
#pragma once

#include <memory>

#include "io/device.h"

namespace vitrine::io {

class IoManager;

class NamedPipeDevice final : public Device {
 public:
  explicit NamedPipeDevice(IoManager& manager);
  ~NamedPipeDevice() override;

  // A server end when parameters.pipe is set (NtCreateNamedPipeFile), else a client end of a listening instance.
  // Errors: instance_not_available, pipe_not_available, object_name_not_found, access_denied, invalid_parameter.
  Result<abi::CreateAction> create(FileObject& file, const CreateParameters& parameters) override;
  [[nodiscard]] abi::DeviceType type(const FileObject&) const override { return abi::DeviceType::named_pipe; }
  void cleanup(FileObject& file) override;
  Status dispatch(Irp& irp) override;
  void cancel(Irp& irp) override;
  Status query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                           u32* written) override;
  Status set_information(FileObject& file, abi::FileInformationClass information_class,
                         std::span<const u8> in) override;
  Status query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                      u32* written) override;
  // Of the root: all pipe names, as programs list \\.\pipe\.
  Status query_directory(FileObject& file, const DirectoryQuery& query, std::span<u8> out, u32* written) override;
  [[nodiscard]] i8 completion_increment() const override { return ke::kIncrementNamedPipe; }

  struct State;  // io/named_pipe_state.h

 private:
  std::unique_ptr<State> state_;
};

}  // namespace vitrine::io
