#include "io/null_device.h"

#include "abi/file_info.h"
#include "io/file_object.h"
#include "io/info_buffer.h"

namespace vitrine::io {

Result<abi::CreateAction> NullDevice::create(FileObject& file, const CreateParameters& parameters) {
  if (!parameters.path.empty()) return Failure(Status::object_path_not_found);
  if ((parameters.options & abi::kFileDirectoryFile) != 0) return Failure(Status::not_a_directory);
  file.context = std::make_unique<FileContext>();
  return abi::CreateAction::opened;
}

Status NullDevice::dispatch(Irp& irp) {
  switch (irp.function) {
    case MajorFunction::read: return irp.length == 0 ? Status::success : Status::end_of_file;
    case MajorFunction::write: irp.information = irp.input.size(); return Status::success;
    case MajorFunction::flush: return Status::success;
    case MajorFunction::lock: return Status::success;  // NT: null.sys locks and unlocks nothing, with success
    default: return Status::invalid_device_request;
  }
}

void NullDevice::cancel(Irp&) {}  // nothing ever pends

Status NullDevice::query_information(FileObject&, abi::FileInformationClass information_class, std::span<u8> out,
                                     u32* written) {
  if (information_class != abi::FileInformationClass::standard) return Status::invalid_device_request;
  return put(out, abi::FileStandardInformation{0, 0, 1, 0, 0, 0}, written);
}

Status NullDevice::set_information(FileObject&, abi::FileInformationClass, std::span<const u8>) {
  return Status::invalid_device_request;
}

Status NullDevice::query_volume(FileObject&, abi::VolumeInformationClass information_class, std::span<u8> out,
                                u32* written) {
  if (information_class != abi::VolumeInformationClass::device) return Status::invalid_info_class;
  return put(out, abi::FileFsDeviceInformation{static_cast<u32>(abi::DeviceType::null), characteristics()}, written);
}

}  // namespace vitrine::io
