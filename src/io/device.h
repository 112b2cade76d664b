// Device: what the I/O manager needs of a driver: the volume of host folders, standard streams, the console, named
// pipes, Null. Few exist, so it is an interface with virtual functions.
//
// No function of a device suspends. Those that take an Irp may answer `pending`, and then complete it later through
// `IoManager::complete`; all others answer at once. A device trusts its arguments' shape (services checked lengths,
// alignment and information classes against FileObject rights) but no contents.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "abi/file_constants.h"
#include "base/status.h"
#include "io/irp.h"

namespace vitrine::mm {
class FileBacking;
}

namespace vitrine::io {

// A device's own state for one open file; owned by the FileObject, destroyed at close.
struct FileContext {
  virtual ~FileContext() = default;
};

// NT: what NtCreateNamedPipeFile adds to a create.
struct PipeParameters {
  u32 type = 0, read_mode = 0, completion_mode = 0, maximum_instances = 0;
  u32 inbound_quota = 0, outbound_quota = 0;  // bytes
  i64 default_timeout = 0;                    // 100 ns, negative: relative
};

struct CreateParameters {
  std::u16string_view path;   // below the device: "" (the device itself) or "\a\b"; not normalised, not trusted
  FileObject* related = nullptr;  // the open directory that `path` is relative to, or null
  u32 access = 0;             // generic rights already mapped
  u32 share = 0;
  abi::CreateDisposition disposition = abi::CreateDisposition::open;
  u32 options = 0;
  u32 attributes = 0;
  i64 allocation_size = 0;    // bytes
  const PipeParameters* pipe = nullptr;  // only from NtCreateNamedPipeFile
  bool case_sensitive = false;  // the caller did not ask for OBJ_CASE_INSENSITIVE
};

struct DirectoryQuery {
  abi::FileInformationClass information_class{};
  std::u16string_view pattern;  // empty: keep the pattern of the first call, or "*"
  bool restart = false;
  bool single_entry = false;
};

// Rename, or one more link to the file (FileRenameInformation, FileLinkInformation), target resolved by the I/O
// manager.
struct RenameParameters {
  std::u16string_view path;     // below the same device
  bool link = false;            // keep the old name as well
  bool replace = false;
  bool ignore_readonly = false; // of the target that is replaced
};

class Device {
 public:
  virtual ~Device() = default;
  std::u16string shown_as;  // how the names of its files begin; set by IoManager::add_device
  [[nodiscard]] virtual abi::DeviceType type(const FileObject& file) const = 0;
  // FILE_xxx characteristics of volume class 4.
  [[nodiscard]] virtual u32 characteristics() const { return 0; }

  // The priority increment that completion gives a waiting thread [WDK IO_xxx_INCREMENT].
  [[nodiscard]] virtual i8 completion_increment() const { return ke::kIncrementNone; }
  // Files have a position and a size: offsets count.
  [[nodiscard]] virtual bool is_seekable() const { return false; }

  // Opens or creates: sets file.context and whatever of the file the device decides (name). Errors as NtCreateFile's.
  virtual Result<abi::CreateAction> create(FileObject& file, const CreateParameters& parameters) = 0;
  // NT: IRP_MJ_CLEANUP, the last handle is closed: locks are dropped, delete-on-close takes effect, waiters of the
  // other end learn. Pending requests of the file were cancelled before. Idempotent.
  virtual void cleanup(FileObject&) {}
  // NT: IRP_MJ_CLOSE, the last reference (handles, sections) is gone; the context is destroyed after it.
  virtual void close(FileObject&) {}

  // read, write, flush, lock, fs_control, device_control, notify_directory. A final status has irp.information and
  // irp.output set; `pending` means the device keeps a link to the request.
  virtual Status dispatch(Irp& irp) = 0;
  // Takes a pending request out of the device's queues. The caller completes it. Precondition: dispatch said `pending`.
  virtual void cancel(Irp& irp) = 0;

  // `out` has the length that the caller of the service gave; *written is what was used. buffer_overflow when a name at
  // the end does not fit; info_length_mismatch when the fixed part does not; invalid_info_class.
  virtual Status query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                                   u32* written) = 0;
  virtual Status set_information(FileObject& file, abi::FileInformationClass information_class,
                                 std::span<const u8> in) = 0;
  virtual Status query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                              u32* written) = 0;
  // no_such_file (nothing matches, first call), no_more_files, buffer_overflow (not even one entry fits).
  virtual Status query_directory(FileObject&, const DirectoryQuery&, std::span<u8>, u32*) {
    return Status::invalid_device_request;
  }
  // The file must have been opened with DELETE (link: any access). object_name_collision, access_denied,
  // not_same_device.
  virtual Status rename(FileObject&, const RenameParameters&) { return Status::invalid_device_request; }
  // What a section over this open file is backed by. Valid while the file is open or mm retains it.
  virtual Result<mm::FileBacking*> section_backing(FileObject&) { return Failure(Status::invalid_file_for_section); }
  // NtUnlockFile. range_not_locked.
  virtual Status unlock(FileObject&, i64, u64, u32) { return Status::invalid_device_request; }
};

}  // namespace vitrine::io
