#include "io/host_volume.h"

#include "ex/unicode.h"
#include "io/host_volume_state.h"
#include "io/io_manager.h"
#include "mm/memory_manager.h"

namespace vitrine::io {
namespace {

constexpr u32 kMaximumAllowed = 0x02000000;  // MAXIMUM_ALLOWED
constexpr u32 kWriteData = abi::kFileWriteData | abi::kFileAppendData;
// Rights that a read-only mount never grants: writing, deleting, WRITE_DAC and WRITE_OWNER.
constexpr u32 kModifyAccess =
    kWriteData | abi::kFileWriteEa | abi::kFileWriteAttributes | abi::kFileDeleteChild | abi::kFileDelete | 0x000C0000;
constexpr u32 kStoredAttributes =
    abi::kFileAttributeHidden | abi::kFileAttributeSystem | abi::kFileAttributeArchive | abi::kFileAttributeTemporary;

bool overwrites(abi::CreateDisposition disposition) {
  return disposition == abi::CreateDisposition::supersede || disposition == abi::CreateDisposition::overwrite ||
         disposition == abi::CreateDisposition::overwrite_if;
}

// The open is put together here; a half-made one goes away without a trace.
struct PendingOpen {
  VolumeState& volume;
  Fcb* fcb = nullptr;
  std::unique_ptr<OpenFile> open = std::make_unique<OpenFile>();
  ~PendingOpen() {
    if (fcb != nullptr) volume.drop_if_unused(*fcb);
  }
  void commit(FileObject& file, u32 share, Located&& located) {
    open->file = &file;
    open->fcb = fcb;
    open->path = std::move(located.path);
    open->parent = std::move(located.leaf.parent);
    open->host_name = std::move(located.leaf.name);
    open->mount_access = located.access;
    open->is_mount_point = located.is_mount_point;
    open->directory = std::move(located.directory);
    open->counted = true;
    fcb->opens.push_back(*open);
    fcb->share.add(file.access, share);
    ++fcb->handles;
    file.name = open->path;
    file.context = std::move(open);
    fcb = nullptr;
  }
};

DataAccess data_access(u32 access, bool overwriting) {
  const bool write = (access & kWriteData) != 0 || overwriting;
  const bool read = (access & (abi::kFileReadData | abi::kFileExecute)) != 0;
  return !write ? DataAccess::read : read ? DataAccess::read_write : DataAccess::write;
}

bool needs_data(u32 access) { return (access & (kWriteData | abi::kFileReadData | abi::kFileExecute)) != 0; }

// What the attributes and the mount leave of the wanted access; MAXIMUM_ALLOWED becomes all of it.
Result<u32> grant(u32 wanted, MountAccess mount, u32 attributes) {
  u32 refused = mount == MountAccess::read_only ? kModifyAccess : 0;
  const bool directory = (attributes & abi::kFileAttributeDirectory) != 0;
  if ((attributes & abi::kFileAttributeReadonly) != 0 && !directory) refused |= kWriteData;
  if ((wanted & refused) != 0) return Failure(Status::access_denied);
  if ((wanted & kMaximumAllowed) == 0) return wanted;
  return (wanted & ~kMaximumAllowed) | (abi::kFileAllAccess & ~refused);
}

}  // namespace

HostVolume::HostVolume(std::unique_ptr<VolumeState> state) : state_(std::move(state)) {}
HostVolume::~HostVolume() {
  if (state_->manager != nullptr) state_->manager->abandon_device(*this);
}

Result<std::unique_ptr<HostVolume>> HostVolume::create(std::vector<Mount> mounts, VolumeOptions options,
                                                       HostSnapshot& snapshot) {
  auto table = MountTable::build(mounts, options.overlay);
  if (!table) return Failure(table.error());
  auto state = std::make_unique<VolumeState>();
  state->mounts = std::move(*table);
  state->options = std::move(options);
  state->snapshot = &snapshot;
  return std::unique_ptr<HostVolume>(new HostVolume(std::move(state)));
}

void HostVolume::set_memory_manager(mm::MemoryManager* memory) { state_->memory = memory; }
void HostVolume::set_cache_manager(cc::CacheManager* cache) { state_->cache = cache; }
void HostVolume::set_io_manager(IoManager* manager) { state_->manager = manager; }
abi::DeviceType HostVolume::type(const FileObject&) const { return abi::DeviceType::disk; }
u32 HostVolume::characteristics() const { return abi::kDeviceIsMounted; }

Result<std::u16string> HostVolume::guest_path_of(const std::string& host_path) const {
  auto path = state_->mounts.guest_path_of(host_path);
  if (!path) return Failure(Status::object_path_not_found);
  return std::move(*path);
}

Result<abi::CreateAction> HostVolume::create(FileObject& file, const CreateParameters& parameters) {
  if ((parameters.options & abi::kFileOpenByFileId) != 0) return Failure(Status::not_supported);
  std::u16string path(parameters.path);
  if (parameters.related != nullptr) {
    VITRINE_CHECK(parameters.related->device == this);
    if (const Status status = require_file(*parameters.related); !is_success(status)) return Failure(status);
    OpenFile& related = open_file(*parameters.related);
    // NT: a name relative to a file must be empty (open the same file again) and never begins with a backslash.
    if (path.starts_with(u'\\')) return Failure(Status::object_name_invalid);
    if (!path.empty() && !related.directory) return Failure(Status::object_path_not_found);
    path = path.empty() ? related.path : (related.path == u"\\" ? related.path : related.path + u"\\") + path;
  } else if (path.empty()) {
    // NT: the device's name without a path opens the volume itself.
    file.context = std::make_unique<OpenFile>();
    file.access = parameters.access;
    return abi::CreateAction::opened;
  }
  const auto split = split_path(path);
  if (!split) return Failure(split.error());
  if (split->trailing_backslash && (parameters.options & abi::kFileNonDirectoryFile) != 0) {
    return Failure(Status::object_name_invalid);
  }
  auto located = state_->mounts.locate(split->components);
  if (!located) return Failure(located.error());
  if (located->exists) {
    if (split->trailing_backslash && !located->directory) return Failure(Status::object_name_invalid);
    return open_existing(file, parameters, std::move(*located));
  }
  if (split->trailing_backslash && (parameters.options & abi::kFileDirectoryFile) == 0) {
    return Failure(Status::object_name_invalid);
  }
  return create_new(file, parameters, std::move(*located));
}

Result<abi::CreateAction> HostVolume::open_existing(FileObject& file, const CreateParameters& parameters,
                                                    Located&& located) {
  const bool is_directory = located.directory.has_value();
  const bool overwriting = overwrites(parameters.disposition);
  if (parameters.disposition == abi::CreateDisposition::create) return Failure(Status::object_name_collision);
  if (is_directory && (parameters.options & abi::kFileNonDirectoryFile) != 0)
    return Failure(Status::file_is_a_directory);
  if (!is_directory && (parameters.options & abi::kFileDirectoryFile) != 0) return Failure(Status::not_a_directory);
  if (is_directory && overwriting) return Failure(Status::object_name_collision);
  const Metadata metadata = state_->describe(located);
  // Overwriting needs the right to write whether or not it was asked for.
  const u32 implied = overwriting ? u32{abi::kFileWriteData} : 0;
  auto access = grant(parameters.access | implied, located.access, metadata.attributes);
  if (!access) return Failure(access.error());
  if ((parameters.options & abi::kFileDeleteOnClose) != 0) {
    if ((metadata.attributes & abi::kFileAttributeReadonly) != 0 || located.is_mount_point)
      return Failure(Status::cannot_delete);
  }
  // NT: a hidden or system file is overwritten only by one that is hidden or system too [CreateFile, CREATE_ALWAYS].
  const u32 sticky = metadata.attributes & (abi::kFileAttributeHidden | abi::kFileAttributeSystem);
  if (overwriting && (sticky & ~parameters.attributes) != 0) return Failure(Status::access_denied);

  PendingOpen pending{*state_};
  auto fcb = state_->acquire_fcb(located);
  if (!fcb) return Failure(fcb.error());
  pending.fcb = *fcb;
  if ((*fcb)->delete_pending) return Failure(Status::delete_pending);
  if (const Status status = (*fcb)->share.check(*access, parameters.share); !is_success(status)) return Failure(status);
  mm::MemoryManager* memory = state_->memory;
  if ((*access & kWriteData) != 0 && memory != nullptr && memory->has_image_section((*fcb)->identity())) {
    return Failure(Status::sharing_violation);  // NT: MmFlushImageSection(MmFlushForWrite)
  }
  if (!is_directory && needs_data(*access)) {
    auto data = located.leaf.parent.open_file(located.leaf.name, data_access(*access, overwriting), (*fcb)->key);
    if (!data) return Failure(data.error());
    pending.open->data = std::move(*data);
  }
  if (overwriting) {
    pending.open->fcb = *fcb;
    if (const Status status = truncate_file(*pending.open, 0); !is_success(status)) return Failure(status);
    state_->stamps[(*fcb)->id].attributes = (parameters.attributes & kStoredAttributes) | abi::kFileAttributeArchive;
  }
  file.access = parameters.access == *access || implied == 0 ? *access : *access & ~(implied & ~parameters.access);
  pending.open->delete_on_close = (parameters.options & abi::kFileDeleteOnClose) != 0;
  pending.commit(file, parameters.share, std::move(located));
  if (!overwriting) return abi::CreateAction::opened;
  state_->tell({{abi::NotifyAction::modified, file.name}}, abi::kNotifySize | abi::kNotifyLastWrite);
  return parameters.disposition == abi::CreateDisposition::supersede ? abi::CreateAction::superseded
                                                                     : abi::CreateAction::overwritten;
}

namespace {

// Makes the file or directory on the host and completes `located` with what was made.
Result<HostFile> make_host_file(VolumeState& volume, const CreateParameters& parameters, Located& located,
                                bool directory) {
  const HostFolder& parent = located.leaf.parent;
  const auto folder = parent.look();
  if (!folder) return Failure(folder.error());
  if (const auto found = volume.fcbs.find(key_of(*folder));
      found != volume.fcbs.end() && found->second->delete_pending) {
    return Failure(Status::delete_pending);
  }
  HostFile data;
  if (directory) {
    if (const Status status = parent.make_folder(located.leaf.name); !is_success(status)) return Failure(status);
    const auto information = parent.look(located.leaf.name);
    if (!information) return Failure(information.error());
    located.leaf.information = *information;
  } else {
    const u32 mode = (parameters.attributes & abi::kFileAttributeReadonly) != 0 ? 0444 : 0666;
    auto made = parent.make_file(located.leaf.name, mode);
    if (!made) return Failure(made.error());
    data = std::move(made->file);
    located.leaf.information = made->information;
  }
  located.exists = true;
  volume.forget(key_of(located));  // should an old file have had this inode number
  volume.stamp_folder(parent);
  return data;
}

}  // namespace

Result<abi::CreateAction> HostVolume::create_new(FileObject& file, const CreateParameters& parameters,
                                                 Located&& located) {
  if (parameters.disposition == abi::CreateDisposition::open ||
      parameters.disposition == abi::CreateDisposition::overwrite) {
    return Failure(Status::object_name_not_found);
  }
  if (located.access == MountAccess::read_only || !located.leaf.parent) return Failure(Status::access_denied);
  const bool directory = (parameters.options & abi::kFileDirectoryFile) != 0;
  if ((parameters.attributes & abi::kFileAttributeReadonly) != 0 &&
      (parameters.options & abi::kFileDeleteOnClose) != 0) {
    return Failure(Status::cannot_delete);
  }
  auto data = make_host_file(*state_, parameters, located, directory);
  if (!data) return Failure(data.error());
  if (directory) {
    // Look the new directory up again: its HostPlace is what its children hang on.
    const auto split = split_path(located.path);
    auto again = state_->mounts.locate(split->components);
    if (!again || !again->directory) return Failure(Status::object_name_not_found);
    located = std::move(*again);
  }
  PendingOpen pending{*state_};
  auto fcb = state_->acquire_fcb(located);
  if (!fcb) return Failure(fcb.error());
  pending.fcb = *fcb;
  const i64 now = state_->snapshot->system_time();
  Stamp& stamp = state_->stamps[(*fcb)->id];
  stamp.times = FileTimes{now, now, now, now};
  stamp.attributes = directory ? parameters.attributes & kStoredAttributes & ~abi::kFileAttributeArchive
                               : (parameters.attributes & kStoredAttributes) | abi::kFileAttributeArchive;
  if (!directory) pending.open->data = std::move(*data);
  // NT: whoever creates a file gets the access that it asked for, whatever the attributes say.
  file.access = (parameters.access & kMaximumAllowed) != 0
                    ? (parameters.access & ~kMaximumAllowed) | abi::kFileAllAccess
                    : parameters.access;
  pending.open->delete_on_close = (parameters.options & abi::kFileDeleteOnClose) != 0;
  pending.commit(file, parameters.share, std::move(located));
  state_->tell({{abi::NotifyAction::added, file.name}}, directory ? abi::kNotifyDirectoryName : abi::kNotifyFileName);
  return abi::CreateAction::created;
}

namespace {

bool is_empty_directory(const OpenFile& open) {
  return open.directory && open.directory->places.size() == 1 &&
         open.directory->places.front().list().value_or(std::vector<std::string>{""}).empty();
}

// Takes the name away on the host, if it is still this file's.
void remove_from_host(VolumeState& volume, OpenFile& open) {
  if (!open.parent || open.host_name.empty()) return;
  const auto information = open.parent.look(open.host_name);
  const FileKey key = open.fcb->key;
  if (!information || key_of(*information) != key) return;
  if (!is_success(open.parent.remove(open.host_name, key))) return;
  volume.stamp_folder(open.parent);
  volume.tell({{abi::NotifyAction::removed, open.path}},
              open.fcb->is_directory ? abi::kNotifyDirectoryName : abi::kNotifyFileName);
  if (open.fcb->is_directory || information->st_nlink <= 1) volume.forget(key);
}

}  // namespace

void HostVolume::cleanup(FileObject& file) {
  if (file.context == nullptr) return;
  OpenFile& open = open_file(file);
  state_->end_watch(open, Status::notify_cleanup);
  std::erase(state_->watchers, &open);
  if (!open.counted) return;
  open.counted = false;
  Fcb& fcb = *open.fcb;
  fcb.locks.unlock_all(file);
  grant_waiting_locks(fcb);
  fcb.share.remove(file.access, file.share);
  if (--fcb.handles == 0) fcb.cache_map.reset();  // NT: CcUninitializeCacheMap
  if (open.delete_on_close && (!fcb.is_directory || is_empty_directory(open))) fcb.delete_pending = true;
  if (fcb.delete_pending && (fcb.handles == 0 || open.posix_delete)) remove_from_host(*state_, open);
}

void HostVolume::close(FileObject& file) {
  if (file.context == nullptr) return;
  OpenFile& open = open_file(file);
  if (open.fcb == nullptr) return;
  open.fcb_link.unlink();
  Fcb* fcb = std::exchange(open.fcb, nullptr);
  state_->drop_if_unused(*fcb);
}

Result<mm::FileBacking*> HostVolume::section_backing(FileObject& file) {
  if (const Status status = require_file(file); !is_success(status)) return Failure(Status::invalid_file_for_section);
  OpenFile& open = open_file(file);
  Fcb& fcb = *open.fcb;
  if (fcb.is_directory) return Failure(Status::invalid_file_for_section);
  if ((file.access & (abi::kFileReadData | abi::kFileExecute)) == 0) return Failure(Status::access_denied);
  const bool write = (file.access & kWriteData) != 0 && open.mount_access == MountAccess::read_write;
  if (!fcb.backing || (write && !fcb.backing_writable)) {
    auto data = open.parent.open_file(open.host_name, write ? DataAccess::read_write : DataAccess::read, fcb.key);
    if (!data) return Failure(data.error());
    fcb.backing = std::move(*data);
    fcb.backing_writable = write;
  }
  fcb.section_name = state_->options.device_name + open.path;
  return &fcb;
}

}  // namespace vitrine::io
