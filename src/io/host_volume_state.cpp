#include "io/host_volume_state.h"

#include <algorithm>

#include "io/io_manager.h"
#include "mm/memory_manager.h"

namespace vitrine::io {
namespace {

constexpr i64 kTicksPerSecond = 10'000'000;
constexpr i64 kUnixEpoch = 116'444'736'000'000'000;  // 1970 in 100 ns since 1601

i64 nt_time(const timespec& time) {
  return kUnixEpoch + static_cast<i64>(time.tv_sec) * kTicksPerSecond + static_cast<i64>(time.tv_nsec) / 100;
}

constexpr u32 kReadKinds = abi::kFileReadData | abi::kFileExecute;
constexpr u32 kWriteKinds = abi::kFileWriteData | abi::kFileAppendData;

}  // namespace

FileKey key_of(const Located& located) {
  if (located.synthetic_ordinal != 0) return {0, located.synthetic_ordinal};
  return key_of(located.leaf.information);
}

Status ShareAccess::check(u32 access, u32 share) const {
  const bool read = (access & kReadKinds) != 0, write = (access & kWriteKinds) != 0,
             del = (access & abi::kFileDelete) != 0;
  // NT: an open that neither reads, writes nor deletes is not subject to sharing [WDK IoCheckShareAccess].
  if (!read && !write && !del) return Status::success;
  const bool conflict = (read && shared_read < open) || (write && shared_write < open) ||
                        (del && shared_delete < open) || (readers != 0 && (share & abi::kFileShareRead) == 0) ||
                        (writers != 0 && (share & abi::kFileShareWrite) == 0) ||
                        (deleters != 0 && (share & abi::kFileShareDelete) == 0);
  return conflict ? Status::sharing_violation : Status::success;
}

void ShareAccess::change(u32 access, u32 mode, int by) {
  const bool read = (access & kReadKinds) != 0, write = (access & kWriteKinds) != 0,
             del = (access & abi::kFileDelete) != 0;
  if (!read && !write && !del) return;
  const auto add = [by](u32& count, bool yes) { count += yes ? static_cast<u32>(by) : 0; };
  add(open, true);
  add(readers, read);
  add(writers, write);
  add(deleters, del);
  add(shared_read, (mode & abi::kFileShareRead) != 0);
  add(shared_write, (mode & abi::kFileShareWrite) != 0);
  add(shared_delete, (mode & abi::kFileShareDelete) != 0);
}

mm::FileIdentity Fcb::identity() const { return {volume.options.serial_number, id}; }

u64 Fcb::size() const {
  const auto information = node ? node.look() : Failure(Status::invalid_parameter);
  return information ? static_cast<u64>(std::max<off_t>(information->st_size, 0)) : 0;
}

Status Fcb::read(u64 offset, std::span<std::byte> into) {
  const auto done = backing.read(offset, into);
  if (!done) return Status::in_page_error;
  std::fill(into.begin() + static_cast<std::ptrdiff_t>(*done), into.end(), std::byte{0});
  return Status::success;
}

Status Fcb::write(u64 offset, std::span<const std::byte> from) {
  if (!backing_writable) return Status::access_denied;
  const auto done = backing.write(offset, from);
  if (!done) return done.error();
  volume.stamp_write(*this);
  return *done == from.size() ? Status::success : Status::disk_full;
}

Status Fcb::extend(u64 bytes) {
  if (bytes <= size()) return Status::success;
  if (!backing_writable) return Status::access_denied;
  VITRINE_TRY(backing.truncate(bytes));
  volume.stamp_write(*this);
  return Status::success;
}

void Fcb::release() {
  VITRINE_CHECK(sections != 0);
  --sections;
  volume.drop_if_unused(*this);  // may end this object
}

Result<Fcb*> VolumeState::acquire_fcb(const Located& located) {
  const FileKey key = key_of(located);
  if (const auto found = fcbs.find(key); found != fcbs.end()) return found->second.get();
  auto fcb = std::make_unique<Fcb>(*this, key, id_of(key), located.directory.has_value());
  if (located.leaf.parent) {
    auto node = located.leaf.parent.hold(located.leaf.name, key);
    if (!node) return Failure(node.error());
    fcb->node = std::move(*node);
  }
  Fcb* result = fcb.get();
  fcbs.emplace(key, std::move(fcb));
  return result;
}

void VolumeState::drop_if_unused(Fcb& fcb) {
  if (!fcb.opens.empty() || fcb.sections != 0) return;
  fcbs.erase(FileKey(fcb.key));
}

u64 VolumeState::id_of(FileKey key) {
  const auto [entry, added] = ids.try_emplace(key, next_id);
  if (added) ++next_id;
  return entry->second;
}

void VolumeState::forget(FileKey key) {
  const auto entry = ids.find(key);
  if (entry == ids.end()) return;
  stamps.erase(entry->second);
  ids.erase(entry);
}

Metadata VolumeState::describe(FileKey key, const struct stat& information) {
  Metadata result;
  const bool synthetic = key.device == 0;
  result.host.id = id_of(key);
  result.host.is_directory = synthetic || S_ISDIR(information.st_mode);
  result.host.mode = synthetic ? 0555 : information.st_mode & 07777;
  result.host.modified_time = synthetic ? kUnixEpoch : nt_time(information.st_mtim);
  result.host.size = result.host.is_directory ? 0 : static_cast<u64>(std::max<off_t>(information.st_size, 0));
  result.host.links = result.host.is_directory ? 1 : static_cast<u32>(information.st_nlink);
  snapshot->observe(result.host);

  const i64 modified = result.host.modified_time;
  result.times = {modified, modified, modified, modified};
  result.allocation = align_up(result.host.size, kPageSize);
  result.attributes = result.host.is_directory ? 0 : abi::kFileAttributeArchive;
  if (const auto stamp = stamps.find(result.host.id); stamp != stamps.end()) {
    if (stamp->second.times) result.times = *stamp->second.times;
    if (stamp->second.attributes) result.attributes = *stamp->second.attributes;
  }
  if (result.host.is_directory) {
    result.attributes |= abi::kFileAttributeDirectory;
  } else if ((result.host.mode & 0222) == 0) {
    result.attributes |= abi::kFileAttributeReadonly;
  }
  if (result.attributes == 0) result.attributes = abi::kFileAttributeNormal;
  return result;
}

Metadata VolumeState::describe(const Located& located) { return describe(key_of(located), located.leaf.information); }

Result<Metadata> VolumeState::describe(Fcb& fcb) {
  const auto information = fcb.node ? fcb.node.look() : Result<struct stat>((struct stat){});
  if (!information) return Failure(information.error());
  return describe(fcb.key, *information);
}

namespace {

// The times that the host's modification time stands for.
FileTimes times_from(HostSnapshot& snapshot, u64 id, const Result<struct stat>& information) {
  if (!information) return {};
  HostMetadata host{.id = id, .modified_time = nt_time(information->st_mtim)};
  snapshot.observe(host);
  return {host.modified_time, host.modified_time, host.modified_time, host.modified_time};
}

}  // namespace

FileTimes& VolumeState::times_of(Fcb& fcb) {
  Stamp& stamp = stamps[fcb.id];
  if (!stamp.times)
    stamp.times = times_from(*snapshot, fcb.id, fcb.node ? fcb.node.look() : Failure(Status::invalid_parameter));
  return *stamp.times;
}

void VolumeState::stamp_folder(const HostFolder& folder) {
  const auto information = folder.look();
  if (!information) return;
  const u64 id = id_of(key_of(*information));
  Stamp& stamp = stamps[id];
  if (!stamp.times) stamp.times = times_from(*snapshot, id, information);
  stamp.times->write = stamp.times->change = stamp.times->access = snapshot->system_time();
}

void VolumeState::stamp_write(Fcb& fcb) {
  FileTimes& times = times_of(fcb);
  times.write = times.change = times.access = snapshot->system_time();
}

void VolumeState::stamp_change(Fcb& fcb) { times_of(fcb).change = snapshot->system_time(); }

OpenFile& open_file(FileObject& file) { return static_cast<OpenFile&>(*file.context); }

Status require_file(FileObject& file) {
  if (file.context == nullptr || file.cleaned_up) return Status::file_closed;
  return open_file(file).fcb == nullptr ? Status::invalid_device_request : Status::success;
}

Status truncate_file(OpenFile& open, u64 bytes) {
  Fcb& fcb = *open.fcb;
  if (fcb.volume.memory != nullptr && !fcb.volume.memory->can_truncate(fcb.identity(), bytes))
    return Status::user_mapped_file;
  VITRINE_TRY(open.data.truncate(bytes));
  fcb.volume.stamp_write(fcb);
  return Status::success;
}

void grant_waiting_locks(Fcb& fcb) {
  for (bool granted = true; granted;) {
    granted = false;
    for (Irp& irp : fcb.lock_waiters) {
      const LockKind kind = (irp.lock_flags & kLockExclusive) != 0 ? LockKind::exclusive : LockKind::shared;
      const Status status = fcb.locks.lock({static_cast<u64>(irp.offset), irp.length, irp.file, irp.key, kind});
      if (status == Status::lock_not_granted) continue;
      irp.device_link.unlink();
      fcb.volume.manager->complete(irp, status, 0);
      granted = true;
      break;  // completion may have changed the queue: start again
    }
  }
}

}  // namespace vitrine::io
