// NullDevice: \Device\Null. Reads end at once, writes vanish.
#pragma once

#include "io/device.h"

namespace vitrine::io {

class NullDevice final : public Device {
 public:
  [[nodiscard]] abi::DeviceType type(const FileObject&) const override { return abi::DeviceType::null; }
  Result<abi::CreateAction> create(FileObject& file, const CreateParameters& parameters) override;
  Status dispatch(Irp& irp) override;
  void cancel(Irp& irp) override;
  Status query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                           u32* written) override;
  Status set_information(FileObject& file, abi::FileInformationClass information_class,
                         std::span<const u8> in) override;
  Status query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                      u32* written) override;
};

}  // namespace vitrine::io
