// HostVolume: requests: read, write, flush, byte-range locks, file system controls.
#include <algorithm>
#include <cstring>

#include "io/host_volume_state.h"
#include "mm/memory_manager.h"

namespace vitrine::io {
namespace {

// The transfer goes through the file's views in the system cache, unless its open asked for none [Microsoft:
// CreateFile, FILE_FLAG_NO_BUFFERING].
Status map_cached(OpenFile& open, cc::Transfer transfer, u64 file_bytes, u64 offset, u64 length) {
  Fcb& fcb = *open.fcb;
  cc::CacheManager* cache = fcb.volume.cache;
  if (cache == nullptr || (open.file->options & abi::kFileNoIntermediateBuffering) != 0) return Status::success;
  if (fcb.cache_map == nullptr) {
    auto made = cache->initialize();
    if (!made) return made.error();
    fcb.cache_map = std::move(*made);
  }
  return cache->copy(*fcb.cache_map, transfer, file_bytes, offset, length);
}

Status flush_host(OpenFile& open) {
  if (open.fcb->volume.memory != nullptr) VITRINE_TRY(open.fcb->volume.memory->flush_file(open.fcb->identity()));
  if (!open.data) return Status::success;
  return open.data.flush();
}

}  // namespace

Status HostVolume::dispatch(Irp& irp) {
  const bool volume_control =
      irp.function == MajorFunction::fs_control || irp.function == MajorFunction::device_control;
  if (const Status status = require_file(*irp.file); !is_success(status) && !volume_control) return status;
  switch (irp.function) {
    case MajorFunction::read:
      return read(irp);
    case MajorFunction::write:
      return write(irp);
    case MajorFunction::flush:
      return flush_host(open_file(*irp.file));
    case MajorFunction::lock:
      return lock(irp);
    case MajorFunction::fs_control:
      return fs_control(irp);
    case MajorFunction::device_control:
      return Status::invalid_device_request;
    case MajorFunction::notify_directory:
      return notify(irp);
  }
  return Status::invalid_device_request;
}

// Lock requests and those for news of a directory pend.
void HostVolume::cancel(Irp& irp) {
  if (irp.device_link.is_linked()) irp.device_link.unlink();
}

Status HostVolume::read(Irp& irp) {
  OpenFile& open = open_file(*irp.file);
  Fcb& fcb = *open.fcb;
  if (fcb.is_directory) return Status::invalid_device_request;
  if (!open.data) return Status::access_denied;
  if (irp.length == 0) return Status::success;
  const u64 offset = static_cast<u64>(irp.offset), size = fcb.size();
  if (offset >= size) return Status::end_of_file;
  const u64 wanted = std::min({irp.length, size - offset, kMaximumTransferBytes});
  VITRINE_TRY(fcb.locks.check(TransferKind::read, offset, wanted, *irp.file, irp.key));
  VITRINE_TRY(map_cached(open, cc::Transfer::read, size, offset, wanted));
  irp.output.resize(wanted);
  const auto got = open.data.read(offset, std::as_writable_bytes(std::span(irp.output)));
  if (!got) return got.error();
  const u64 done = *got;
  irp.output.resize(done);
  if (done == 0) return Status::end_of_file;
  if (fcb.sections != 0 && state_->memory != nullptr) {
    state_->memory->overlay_file_read(fcb.identity(), offset, std::as_writable_bytes(std::span(irp.output)));
  }
  irp.information = done;
  return Status::success;
}

Status HostVolume::write(Irp& irp) {
  OpenFile& open = open_file(*irp.file);
  Fcb& fcb = *open.fcb;
  if (fcb.is_directory) return Status::invalid_device_request;
  if (!open.data) return Status::access_denied;
  if (irp.offset == abi::kFileWriteToEndOfFile) irp.offset = static_cast<i64>(fcb.size());
  const u64 offset = static_cast<u64>(irp.offset), bytes = irp.input.size();
  if (bytes == 0) return Status::success;
  if (irp.offset < 0 || irp.offset > INT64_MAX - static_cast<i64>(bytes)) return Status::invalid_parameter;
  VITRINE_TRY(fcb.locks.check(TransferKind::write, offset, bytes, *irp.file, irp.key));
  const u64 size_before = fcb.size();
  VITRINE_TRY(map_cached(open, cc::Transfer::write, std::max(size_before, offset + bytes), offset, bytes));
  const auto put = open.data.write(offset, std::as_bytes(std::span(irp.input)));
  if (!put) return put.error();
  const u64 done = *put;
  state_->stamp_write(fcb);
  if (fcb.sections != 0 && state_->memory != nullptr) {
    state_->memory->apply_file_write(fcb.identity(), offset, std::as_bytes(std::span(irp.input)).first(done));
  }
  irp.information = done;
  state_->tell({{abi::NotifyAction::modified, open.path}},
               abi::kNotifyLastWrite | (offset + done > size_before ? abi::kNotifySize : 0));
  return done == bytes ? Status::success : Status::disk_full;
}

Status HostVolume::lock(Irp& irp) {
  Fcb& fcb = *open_file(*irp.file).fcb;
  if (fcb.is_directory) return Status::invalid_parameter;
  const LockKind kind = (irp.lock_flags & kLockExclusive) != 0 ? LockKind::exclusive : LockKind::shared;
  const Status status = fcb.locks.lock({static_cast<u64>(irp.offset), irp.length, irp.file, irp.key, kind});
  if (status != Status::lock_not_granted || (irp.lock_flags & kLockFailImmediately) != 0) return status;
  fcb.lock_waiters.push_back(irp);
  return Status::pending;
}

Status HostVolume::unlock(FileObject& file, i64 offset, u64 length, u32 key) {
  VITRINE_TRY(require_file(file));
  Fcb& fcb = *open_file(file).fcb;
  VITRINE_TRY(fcb.locks.unlock(file, static_cast<u64>(offset), length, key));
  grant_waiting_locks(fcb);
  return Status::success;
}

namespace {

// FILE_OBJECTID_BUFFER: an id of 16 bytes and 48 bytes of birth ids, zero here. Made of virtual numbers, so equal in
// all runs.
Status get_object_id(Irp& irp, const Fcb& fcb) {
  constexpr std::size_t kBytes = 64;
  if (irp.length < kBytes) return Status::buffer_too_small;
  irp.output.assign(kBytes, 0);
  const u64 words[2] = {0x5649'5452'0000'0000ull | fcb.volume.options.serial_number, fcb.id};
  std::memcpy(irp.output.data(), words, sizeof(words));
  irp.information = kBytes;
  return Status::success;
}

struct ZeroData {
  i64 from, beyond;
};  // FILE_ZERO_DATA_INFORMATION
struct AllocatedRange {
  i64 offset, length;
};  // FILE_ALLOCATED_RANGE_BUFFER

Status zero_data(Irp& irp, OpenFile& open) {
  if (irp.input.size() < sizeof(ZeroData)) return Status::invalid_parameter;
  ZeroData range{};
  std::memcpy(&range, irp.input.data(), sizeof(range));
  if (!open.data || (irp.file->access & abi::kFileWriteData) == 0) return Status::access_denied;
  const i64 end = std::min(range.beyond, static_cast<i64>(open.fcb->size()));
  if (range.from < 0 || range.beyond < range.from) return Status::invalid_parameter;
  const std::vector<u8> zeros(64 << 10, 0);
  for (i64 at = range.from; at < end;) {
    const i64 bytes = std::min<i64>(end - at, static_cast<i64>(zeros.size()));
    const auto put =
        open.data.write(static_cast<u64>(at), std::as_bytes(std::span(zeros)).first(static_cast<std::size_t>(bytes)));
    if (!put) return put.error();
    if (*put == 0) return Status::disk_full;
    mm::MemoryManager* memory = open.fcb->volume.memory;
    if (memory != nullptr && open.fcb->sections != 0) {
      memory->apply_file_write(open.fcb->identity(), static_cast<u64>(at), std::as_bytes(std::span(zeros)).first(*put));
    }
    at += static_cast<i64>(*put);
  }
  open.fcb->volume.stamp_write(*open.fcb);
  return Status::success;
}

// The host may or may not keep holes; the guest is told of none.
Status query_allocated_ranges(Irp& irp, const Fcb& fcb) {
  if (irp.input.size() < sizeof(AllocatedRange)) return Status::invalid_parameter;
  AllocatedRange range{};
  std::memcpy(&range, irp.input.data(), sizeof(range));
  if (range.offset < 0 || range.length < 0) return Status::invalid_parameter;
  const i64 size = static_cast<i64>(fcb.size());
  if (range.offset >= size || range.length == 0) return Status::success;
  range.length = std::min(range.length, size - range.offset);
  if (irp.length < sizeof(range)) return Status::buffer_too_small;
  irp.output.resize(sizeof(range));
  std::memcpy(irp.output.data(), &range, sizeof(range));
  irp.information = sizeof(range);
  return Status::success;
}

}  // namespace

Status HostVolume::fs_control(Irp& irp) {
  const auto code = static_cast<abi::FsControl>(irp.control_code);
  if (code == abi::FsControl::is_volume_mounted) return Status::success;
  if (code == abi::FsControl::lock_volume || code == abi::FsControl::unlock_volume ||
      code == abi::FsControl::dismount_volume) {
    return Status::access_denied;
  }
  VITRINE_TRY(require_file(*irp.file));
  OpenFile& open = open_file(*irp.file);
  switch (code) {
    case abi::FsControl::get_object_id:
    case abi::FsControl::create_or_get_object_id:
      return get_object_id(irp, *open.fcb);
    case abi::FsControl::get_reparse_point:
      return Status::not_a_reparse_point;  // links are followed, never shown
    case abi::FsControl::delete_reparse_point:
      return Status::not_a_reparse_point;
    case abi::FsControl::get_compression:
      if (irp.length < sizeof(u16)) return Status::buffer_too_small;
      irp.output.assign(sizeof(u16), 0);  // COMPRESSION_FORMAT_NONE
      irp.information = sizeof(u16);
      return Status::success;
    case abi::FsControl::set_sparse:  // a hint: whether zeroes take space is the host's business
      return (irp.file->access & (abi::kFileWriteData | abi::kFileWriteAttributes)) != 0 ? Status::success
                                                                                         : Status::access_denied;
    case abi::FsControl::set_zero_data:
      return zero_data(irp, open);
    case abi::FsControl::query_allocated_ranges:
      return query_allocated_ranges(irp, *open.fcb);
    default:
      return Status::invalid_device_request;
  }
}

}  // namespace vitrine::io
