// HostVolume: changing a file: times and attributes, sizes, deletion, renaming, linking.
#include <algorithm>

#include "abi/file_info.h"
#include "ex/unicode.h"
#include "io/host_volume_state.h"
#include "io/info_buffer.h"
#include "mm/memory_manager.h"

namespace vitrine::io {
namespace {

using abi::FileInformationClass;

constexpr i64 kTicksPerSecond = 10'000'000;
constexpr i64 kUnixEpoch = 116'444'736'000'000'000;
constexpr u32 kStoredAttributes = abi::kFileAttributeHidden | abi::kFileAttributeSystem | abi::kFileAttributeArchive |
                                  abi::kFileAttributeTemporary;
constexpr u32 kSettableAttributes = kStoredAttributes | abi::kFileAttributeReadonly | abi::kFileAttributeNormal |
                                    abi::kFileAttributeDirectory | 0x3800;  // offline, not indexed, ...: ignored

timespec host_time(i64 time) {
  const i64 since_1970 = time - kUnixEpoch;
  i64 seconds = since_1970 / kTicksPerSecond, rest = since_1970 % kTicksPerSecond;
  if (rest < 0) {
    rest += kTicksPerSecond;
    --seconds;
  }
  return {static_cast<time_t>(seconds), static_cast<long>(rest * 100)};
}

Status set_read_only(OpenFile& open, const Metadata& metadata, bool read_only) {
  const u32 mode = metadata.host.mode;
  const u32 wanted = read_only ? mode & ~0222u : (mode & 0222) != 0 ? mode : mode | 0200;
  if (wanted == mode || open.fcb->is_directory) return Status::success;
  if (!open.parent) return Status::access_denied;
  return open.parent.set_mode(open.host_name, open.fcb->key, wanted);
}

Status set_basic(OpenFile& open, const abi::FileBasicInformation& basic) {
  Fcb& fcb = *open.fcb;
  VolumeState& volume = fcb.volume;
  for (i64 time : {basic.creation_time, basic.last_access_time, basic.last_write_time, basic.change_time}) {
    if (time < -2) return Status::invalid_parameter;
  }
  if ((basic.attributes & ~kSettableAttributes) != 0) return Status::invalid_parameter;
  if ((basic.attributes & abi::kFileAttributeDirectory) != 0 && !fcb.is_directory) return Status::invalid_parameter;
  if ((basic.attributes & abi::kFileAttributeTemporary) != 0 && fcb.is_directory) return Status::invalid_parameter;
  const auto metadata = volume.describe(fcb);
  if (!metadata) return metadata.error();
  if (basic.attributes != 0) {
    VITRINE_TRY(set_read_only(open, *metadata, (basic.attributes & abi::kFileAttributeReadonly) != 0));
    volume.stamps[fcb.id].attributes = basic.attributes & kStoredAttributes;
  }
  FileTimes& times = volume.times_of(fcb);
  // NT: 0 leaves a time as it is; -1 and -2 switch its automatic update, which needs nothing here.
  if (basic.creation_time > 0) times.creation = basic.creation_time;
  if (basic.last_access_time > 0) times.access = basic.last_access_time;
  times.change = basic.change_time > 0 ? basic.change_time : volume.snapshot->system_time();
  volume.tell({{abi::NotifyAction::modified, open.path}},
              (basic.attributes != 0 ? abi::kNotifyAttributes : 0) |
                  (basic.creation_time > 0 ? abi::kNotifyCreation : 0) |
                  (basic.last_access_time > 0 ? abi::kNotifyLastAccess : 0) |
                  (basic.last_write_time > 0 ? abi::kNotifyLastWrite : 0));
  if (basic.last_write_time <= 0) return Status::success;
  times.write = basic.last_write_time;
  if (!open.parent) return Status::access_denied;
  return open.parent.set_modified(open.host_name, fcb.key, host_time(basic.last_write_time));
}

Status set_disposition(OpenFile& open, u32 flags) {
  Fcb& fcb = *open.fcb;
  if ((open.file->access & abi::kFileDelete) == 0) return Status::access_denied;
  if ((flags & abi::kDispositionDelete) == 0) {
    fcb.delete_pending = false;
    open.posix_delete = false;
    if ((flags & abi::kDispositionOnClose) != 0) open.delete_on_close = false;
    return Status::success;
  }
  if (open.is_mount_point || !open.parent) return Status::cannot_delete;
  const auto metadata = fcb.volume.describe(fcb);
  if (!metadata) return metadata.error();
  if ((metadata->attributes & abi::kFileAttributeReadonly) != 0 && (flags & abi::kDispositionIgnoreReadonly) == 0) {
    return Status::cannot_delete;
  }
  if (fcb.sections != 0) return Status::cannot_delete;  // NT: MmFlushImageSection(MmFlushForDelete)
  if (fcb.is_directory) {
    const auto names = fcb.volume.mounts.list(*open.directory, open.path);
    if (!names) return names.error();
    if (!names->empty()) return Status::directory_not_empty;
  }
  if ((flags & abi::kDispositionOnClose) != 0) {
    open.delete_on_close = true;
  } else {
    fcb.delete_pending = true;
    fcb.volume.end_watches(fcb, Status::delete_pending);
    open.posix_delete = (flags & abi::kDispositionPosixSemantics) != 0;
  }
  return Status::success;
}

Status set_size(OpenFile& open, i64 bytes, bool only_shrink) {
  if (bytes < 0) return Status::invalid_parameter;
  if (open.fcb->is_directory) return Status::invalid_parameter;
  if (!open.data || (open.file->access & abi::kFileWriteData) == 0) return Status::access_denied;
  // NT: an allocation below the end of file cuts the file; one above changes nothing that is visible.
  if (only_shrink && static_cast<u64>(bytes) >= open.fcb->size()) return Status::success;
  VITRINE_TRY(truncate_file(open, static_cast<u64>(bytes)));
  open.fcb->volume.tell({{abi::NotifyAction::modified, open.path}}, abi::kNotifySize | abi::kNotifyLastWrite);
  return Status::success;
}

}  // namespace

Status HostVolume::set_information(FileObject& file, FileInformationClass information_class, std::span<const u8> in) {
  VITRINE_TRY(require_file(file));
  OpenFile& open = open_file(file);
  if (open.mount_access == MountAccess::read_only) return Status::access_denied;
  switch (information_class) {
    case FileInformationClass::basic: {
      const auto basic = take<abi::FileBasicInformation>(in);
      return basic ? set_basic(open, *basic) : Status::info_length_mismatch;
    }
    case FileInformationClass::disposition: {
      const auto disposition = take<abi::FileDispositionInformation>(in);
      if (!disposition) return Status::info_length_mismatch;
      return set_disposition(open, disposition->delete_file != 0 ? abi::kDispositionDelete : 0);
    }
    case FileInformationClass::disposition_ex: {
      const auto disposition = take<abi::FileDispositionInformationEx>(in);
      return disposition ? set_disposition(open, disposition->flags) : Status::info_length_mismatch;
    }
    case FileInformationClass::end_of_file: {
      const auto size = take<abi::FileEndOfFileInformation>(in);
      return size ? set_size(open, size->end_of_file, false) : Status::info_length_mismatch;
    }
    case FileInformationClass::allocation: {
      const auto size = take<abi::FileAllocationInformation>(in);
      return size ? set_size(open, size->allocation_size, true) : Status::info_length_mismatch;
    }
    case FileInformationClass::valid_data_length: {
      const auto size = take<abi::FileEndOfFileInformation>(in);
      if (!size) return Status::info_length_mismatch;
      const bool valid = size->end_of_file >= 0 && static_cast<u64>(size->end_of_file) <= open.fcb->size();
      return valid ? Status::success : Status::invalid_parameter;
    }
    default: return Status::invalid_info_class;
  }
}

namespace {

// Whether something below `path` is open: NT refuses to move such a directory.
bool has_open_below(const VolumeState& volume, std::u16string_view path) {
  const std::u16string prefix = std::u16string(path) + u'\\';
  for (const auto& [key, fcb] : volume.fcbs) {
    for (const OpenFile& open : fcb->opens) {
      if (open.counted && open.path.size() > prefix.size() &&
          ex::equal_ignoring_case(std::u16string_view(open.path).substr(0, prefix.size()), prefix)) {
        return true;
      }
    }
  }
  return false;
}

// Checks that an existing target may give way, and takes it away on the host.
Status replace_target(VolumeState& volume, const Located& target, const RenameParameters& parameters) {
  if (!parameters.replace) return Status::object_name_collision;
  if (target.directory || target.is_mount_point) return Status::access_denied;
  const Metadata metadata = volume.describe(target);
  if ((metadata.attributes & abi::kFileAttributeReadonly) != 0 && !parameters.ignore_readonly)
    return Status::access_denied;
  const FileKey key = key_of(target);
  if (const auto found = volume.fcbs.find(key); found != volume.fcbs.end()) {
    const bool in_use = found->second->handles != 0 || found->second->sections != 0;
    if (in_use) return Status::access_denied;  // NT: the target of a replacing rename must not be open
  }
  VITRINE_TRY(target.leaf.parent.remove(target.leaf.name, key));
  if (target.leaf.information.st_nlink <= 1) volume.forget(key);
  return Status::success;
}

// All opens of the moved name learn where it is now.
void follow_rename(Fcb& fcb, const std::u16string& old_path, const Located& target, std::u16string_view new_path) {
  for (OpenFile& open : fcb.opens) {
    if (!ex::equal_ignoring_case(open.path, old_path)) continue;
    open.path = new_path;
    open.parent = target.leaf.parent;
    open.host_name = target.leaf.name;
    open.file->name = open.path;
  }
}

}  // namespace

Status HostVolume::rename(FileObject& file, const RenameParameters& parameters) {
  VITRINE_TRY(require_file(file));
  OpenFile& open = open_file(file);
  Fcb& fcb = *open.fcb;
  if (!parameters.link && (file.access & abi::kFileDelete) == 0) return Status::access_denied;
  if (open.is_mount_point || !open.parent || open.mount_access == MountAccess::read_only) return Status::access_denied;
  if (parameters.link && fcb.is_directory) return Status::file_is_a_directory;
  if (fcb.delete_pending) return Status::delete_pending;
  const auto split = split_path(parameters.path);
  if (!split) return split.error();
  if (split->components.empty() || split->trailing_backslash) return Status::object_name_invalid;
  auto target = state_->mounts.locate(split->components);
  if (!target) return target.error();
  if (target->access == MountAccess::read_only) return Status::access_denied;

  const std::u16string_view new_name = split->components.back();
  const std::u16string parent_path = target->path.substr(0, target->path.rfind(u'\\'));
  const std::u16string new_path = parent_path + u'\\' + std::u16string(new_name);
  if (fcb.is_directory) {
    const std::u16string prefix = open.path + u'\\';
    if (new_path.size() > prefix.size() && ex::equal_ignoring_case(new_path.substr(0, prefix.size()), prefix)) {
      return Status::invalid_parameter;  // into itself
    }
    if (has_open_below(*state_, open.path)) return Status::access_denied;
  }
  const bool same_file =
      target->exists && key_of(*target) == fcb.key && ex::equal_ignoring_case(target->path, open.path);
  if (target->exists && !same_file) VITRINE_TRY(replace_target(*state_, *target, parameters));
  if (same_file && parameters.link) return parameters.replace ? Status::success : Status::object_name_collision;
  if (!target->leaf.parent) return Status::access_denied;
  target->leaf.name = ex::to_utf8(new_name);

  if (parameters.link) {
    VITRINE_TRY(open.parent.link(open.host_name, target->leaf.parent, target->leaf.name));
    state_->stamp_change(fcb);
    state_->stamp_folder(target->leaf.parent);
    state_->tell({{abi::NotifyAction::added, new_path}}, abi::kNotifyFileName);
    return Status::success;
  }
  VITRINE_TRY(open.parent.move(open.host_name, target->leaf.parent, target->leaf.name));
  state_->stamp_folder(open.parent);
  state_->stamp_folder(target->leaf.parent);
  state_->stamp_change(fcb);
  const std::u16string old_path = open.path;
  follow_rename(fcb, old_path, *target, new_path);
  // NT: a move to another directory is a removal there and an addition here.
  const bool stays = ex::equal_ignoring_case(old_path.substr(0, old_path.rfind(u'\\')), parent_path);
  state_->tell({{stays ? abi::NotifyAction::renamed_old_name : abi::NotifyAction::removed, old_path},
                {stays ? abi::NotifyAction::renamed_new_name : abi::NotifyAction::added, new_path}},
               fcb.is_directory ? abi::kNotifyDirectoryName : abi::kNotifyFileName);
  return Status::success;
}

}  // namespace vitrine::io
