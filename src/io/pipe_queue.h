// PipeQueue: one direction of a pipe instance: bytes or messages on their way, the readers that wait for them, the
// writers that wait for room and the flushes that wait for emptiness (NT: the data queue of NPFS). Either data or
// readers wait, never both.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "io/irp.h"

namespace vitrine::io {

class IoManager;

enum class PipeReadMode : u8 { byte_stream, message };
enum class PipeBlocking : u8 { queue_operation, complete_operation };  // wait, or answer at once

class PipeQueue {
 public:
  PipeQueue(IoManager& manager, u32 quota_bytes) : manager_(manager), quota_(quota_bytes) {}

  // `messages`: each write is one message, also an empty one. success with irp.information, or pending.
  Status write(Irp& irp, bool messages, PipeBlocking blocking);
  // As write, but never waits for room (FSCTL_PIPE_TRANSCEIVE).
  void write_now(std::span<const u8> data);
  // success, buffer_overflow (a message was longer), pipe_empty (complete_operation), pending.
  Status read(Irp& irp, PipeReadMode mode, PipeBlocking blocking);
  // success, or pending until everything was read.
  Status flush(Irp& irp);
  // Copies without taking; returns how much was copied. Message mode: of the first message only.
  u64 peek(std::span<u8> out, PipeReadMode mode) const;

  // The end that reads is gone: data is lost, its writers get `status`.
  void reader_closed(Status status);
  // The end that writes is gone: waiting readers get `status`; data stays.
  void writer_closed(Status status);
  // Takes a pending request out. It is the caller's to complete.
  void cancel(Irp& irp);

  [[nodiscard]] bool empty() const { return chunks_.empty(); }
  [[nodiscard]] bool has_waiters() const { return !readers_.empty() || !flushers_.empty() || has_pending_writer(); }
  [[nodiscard]] u64 unread() const { return unread_; }          // bytes
  [[nodiscard]] u64 room() const { return unread_ < quota_ ? quota_ - unread_ : 0; }
  [[nodiscard]] u32 quota() const { return quota_; }
  [[nodiscard]] u32 message_count() const { return static_cast<u32>(chunks_.size()); }
  // Bytes of the first message that were not read yet.
  [[nodiscard]] u64 first_message_bytes() const { return chunks_.empty() ? 0 : chunks_.front().rest(); }

 private:
  struct Chunk {
    std::vector<u8> data;
    u64 taken = 0;
    Irp* writer = nullptr;  // pending until this chunk fits into the quota
    [[nodiscard]] u64 rest() const { return data.size() - taken; }
  };
  [[nodiscard]] bool has_pending_writer() const;
  Status take(Irp& irp, PipeReadMode mode);
  void push(std::span<const u8> data);
  void pop_front();
  void serve_readers();
  void release_writers();

  IoManager& manager_;
  u32 quota_;
  u64 unread_ = 0;
  std::deque<Chunk> chunks_;
  IrpQueue readers_;   // device_context: their PipeReadMode
  IrpQueue flushers_;
};

}  // namespace vitrine::io
