#include "io/file_delta.h"

#include <algorithm>
#include <array>
#include <climits>

#include "io/overlay.h"

namespace vitrine::io {
namespace {

constexpr u64 kBlock = BlockStore::kBlockBytes;
constexpr u64 kLargestFile = u64{1} << 60;  // no host takes more; keeps sums of offsets and lengths small

}  // namespace

FileDelta::FileDelta(Overlay& owner, FileKey key, const struct stat* host, SharedFd pin)
    : owner_(owner), key_(key), pin_(std::move(pin)) {
  if (host == nullptr) return;
  base_bytes_ = host_size_ = size_ = static_cast<u64>(std::max<off_t>(host->st_size, 0));
}

FileDelta::~FileDelta() {
  for (const auto& [index, block] : blocks_) owner_.store().give_back(block);
  owner_.file_is_gone(key_);
}

void FileDelta::apply_to(struct stat& information) const {
  if (pin_ == nullptr) {
    information = {};
    information.st_dev = key_.device;
    information.st_ino = key_.inode;
    information.st_mode = S_IFREG | 0644;
  }
  information.st_size = static_cast<off_t>(size_);
  if (mode_) information.st_mode = (information.st_mode & S_IFMT) | *mode_;
  if (modified_) information.st_mtim = *modified_;
  information.st_nlink = static_cast<nlink_t>(std::max(0l, static_cast<long>(information.st_nlink) + links_change_));
}

void FileDelta::changed() {
  if (!dropped_) owner_.keep(shared_from_this());
}

void FileDelta::drop() {
  dropped_ = true;
  owner_.release(key_);  // may end this object
}

Status FileDelta::read_base(u64 offset, std::span<std::byte> into) const {
  u64 done = 0;
  if (base_ && offset < base_bytes_) {
    const auto got = base_.read(offset, into.first(std::min<u64>(into.size(), base_bytes_ - offset)));
    if (!got) return got.error();
    done = *got;
  }
  std::fill(into.begin() + static_cast<std::ptrdiff_t>(done), into.end(), std::byte{0});
  return Status::success;
}

Result<u64> FileDelta::read(u64 offset, std::span<std::byte> into) const {
  if (offset >= size_) return u64{0};
  const u64 bytes = std::min<u64>(into.size(), size_ - offset);
  for (u64 done = 0; done < bytes;) {
    const u64 at = offset + done, index = at / kBlock;
    const auto held = blocks_.lower_bound(index);
    Status status;
    u64 step = 0;
    if (held != blocks_.end() && held->first == index) {
      step = std::min(bytes - done, kBlock - at % kBlock);
      status = owner_.store().read(held->second, at % kBlock, into.subspan(done, step));
    } else {  // up to the next block that is held, in one go
      const u64 beyond = held == blocks_.end() ? offset + bytes : held->first * kBlock;
      step = std::min(bytes - done, beyond - at);
      status = read_base(at, into.subspan(done, step));
    }
    if (!is_success(status)) return done != 0 ? Result<u64>(done) : Failure(status);
    done += step;
  }
  return bytes;
}

// A block that is not held yet is filled first: with what the base has around the new bytes.
Status FileDelta::write_block(u64 index, u64 offset, std::span<const std::byte> from) {
  BlockStore& store = owner_.store();
  if (const auto held = blocks_.find(index); held != blocks_.end()) return store.write(held->second, offset, from);
  const u64 block = store.take();
  Status status;
  if (from.size() == kBlock) {
    status = store.write(block, 0, from);
  } else {
    std::array<std::byte, kBlock> whole;
    status = read_base(index * kBlock, whole);
    std::copy(from.begin(), from.end(), whole.begin() + static_cast<std::ptrdiff_t>(offset));
    if (is_success(status)) status = store.write(block, 0, whole);
  }
  if (is_success(status))
    blocks_.emplace(index, block);
  else
    store.give_back(block);
  return status;
}

Result<u64> FileDelta::write(u64 offset, std::span<const std::byte> from) {
  if (offset > kLargestFile || from.size() > kLargestFile - offset) return Failure(Status::disk_full);
  u64 done = 0;
  while (done < from.size()) {
    const u64 at = offset + done, step = std::min<u64>(from.size() - done, kBlock - at % kBlock);
    const Status status = write_block(at / kBlock, at % kBlock, from.subspan(done, step));
    if (!is_success(status)) {
      if (done == 0) return Failure(status);
      break;
    }
    done += step;
    size_ = std::max(size_, at + step);
  }
  changed();
  return done;
}

Status FileDelta::truncate(u64 bytes) {
  if (bytes > kLargestFile) return Status::disk_full;
  if (bytes < size_) {
    const u64 inside = bytes % kBlock;
    const auto cut = blocks_.find(bytes / kBlock);
    if (inside != 0 && cut != blocks_.end()) {
      const std::array<std::byte, kBlock> zeros{};
      VITRINE_TRY(owner_.store().write(cut->second, inside, std::span(zeros).subspan(inside)));
    }
    const auto first = blocks_.lower_bound((bytes + kBlock - 1) / kBlock);
    for (auto it = first; it != blocks_.end(); ++it) owner_.store().give_back(it->second);
    blocks_.erase(first, blocks_.end());
    base_bytes_ = std::min(base_bytes_, bytes);
  }
  size_ = bytes;
  changed();
  return Status::success;
}

void FileDelta::set_mode(u32 mode) {
  mode_ = mode & 07777;
  changed();
}

void FileDelta::set_modified(timespec time) {
  modified_ = time;
  changed();
}

void FileDelta::change_links(int by) {
  links_change_ += by;
  changed();
}

}  // namespace vitrine::io
