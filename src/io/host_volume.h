// HostVolume: a disk volume made of host folders (NT: a file system driver and its volume, seen from outside like NTFS
// without short names). It owns the mounts, the control blocks of open files and the virtual ids; it refuses to leave
// its mounts: every host path is walked component by component, `..`, absolute links and links to the outside end
// there.
//
// Names compare without case: an exact match wins, else the smallest host name in byte order. Host names that are not
// valid UTF-8 or hold characters that Windows forbids do not exist for the guest; so do sockets, FIFOs and device
// nodes. Ids, serial numbers, order and free space are virtual and the same in every run; see HostSnapshot for times
// and sizes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/device.h"

namespace vitrine::cc {
class CacheManager;
}
namespace vitrine::mm {
class FileBacking;
class MemoryManager;
}  // namespace vitrine::mm

namespace vitrine::io {

class IoManager;
class Overlay;
struct Located;
struct VolumeState;

enum class MountAccess : u8 { read_only, read_write };

struct Mount {
  std::u16string guest_path;              // below the volume: u"" (its root), u"\\windows\\system32"
  std::vector<std::string> host_folders;  // several make a union: the first that has a name wins, writes go to it
  MountAccess access = MountAccess::read_only;
  bool overlaid = true;  // false: changes go to the host even when the volume has an overlay
};

// What the guest may learn of a host file. The one place where metadata of the host enters the machine.
struct HostMetadata {
  u64 id = 0;             // virtual
  i64 modified_time = 0;  // 100 ns since 1601
  u64 size = 0;           // bytes
  u32 mode = 0;           // host permission bits
  u32 links = 1;
  bool is_directory = false;
};

class HostSnapshot {
 public:
  virtual ~HostSnapshot() = default;
  // May record or replace what the host said of the file (replay, fixed times).
  virtual void observe(HostMetadata& metadata) = 0;
  // The guest's system time: stamps what the guest itself changes.
  [[nodiscard]] virtual i64 system_time() = 0;
};

struct VolumeOptions {
  std::u16string device_name = u"\\Device\\HarddiskVolume1";  // under which the volume is put into the namespace
  std::u16string label = u"Vitrine";
  u32 serial_number = 0x56495452;
  u64 total_bytes = 256ull << 30;  // virtual, so that runs are equal on every host
  u64 free_bytes = 128ull << 30;
  std::shared_ptr<Overlay> overlay;  // null: changes go to the host
};

class HostVolume final : public Device {
 public:
  // `snapshot` outlives the volume. no_such_device / object_path_not_found when a host folder cannot be opened.
  static Result<std::unique_ptr<HostVolume>> create(std::vector<Mount> mounts, VolumeOptions options,
                                                    HostSnapshot& snapshot);
  ~HostVolume() override;

  [[nodiscard]] abi::DeviceType type(const FileObject& file) const override;
  [[nodiscard]] u32 characteristics() const override;
  [[nodiscard]] i8 completion_increment() const override { return ke::kIncrementDisk; }
  [[nodiscard]] bool is_seekable() const override { return true; }
  Result<abi::CreateAction> create(FileObject& file, const CreateParameters& parameters) override;
  void cleanup(FileObject& file) override;
  void close(FileObject& file) override;
  Status dispatch(Irp& irp) override;
  void cancel(Irp& irp) override;
  Status query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                           u32* written) override;
  Status set_information(FileObject& file, abi::FileInformationClass information_class,
                         std::span<const u8> in) override;
  Status query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                      u32* written) override;
  Status query_directory(FileObject& file, const DirectoryQuery& query, std::span<u8> out, u32* written) override;
  Status unlock(FileObject& file, i64 offset, u64 length, u32 key) override;

  Status rename(FileObject& file, const RenameParameters& parameters) override;
  // Shared by all sections of the same file, coherent with reads and writes through `set_memory_manager`; while mm
  // retains it, it holds the host file open. invalid_file_for_section (directory, volume), access_denied (no read
  // access).
  Result<mm::FileBacking*> section_backing(FileObject& file) override;

  // Whose views are the truth of a mapped file's pages. Null (the default): nothing is ever mapped.
  void set_memory_manager(mm::MemoryManager* memory);
  // Reads and writes go through its views. It outlives the volume.
  void set_cache_manager(cc::CacheManager* cache);
  void set_io_manager(IoManager* manager);  // completes byte-range locks that had to wait

  // "C:\..."-style path of a host file below some mount, without the drive: for turning a command-line argument into a
  // guest path. object_path_not_found when no mount shows it.
  [[nodiscard]] Result<std::u16string> guest_path_of(const std::string& host_path) const;

 private:
  explicit HostVolume(std::unique_ptr<VolumeState> state);
  Result<abi::CreateAction> open_existing(FileObject& file, const CreateParameters& parameters, Located&& located);
  Result<abi::CreateAction> create_new(FileObject& file, const CreateParameters& parameters, Located&& located);
  Status read(Irp& irp);
  Status write(Irp& irp);
  Status lock(Irp& irp);
  Status fs_control(Irp& irp);
  Status notify(Irp& irp);
  std::unique_ptr<VolumeState> state_;
};

}  // namespace vitrine::io
