#include "io/pipe_queue.h"

#include <algorithm>

#include "io/io_manager.h"

namespace vitrine::io {

bool PipeQueue::has_pending_writer() const {
  return std::ranges::any_of(chunks_, [](const Chunk& chunk) { return chunk.writer != nullptr; });
}

void PipeQueue::push(std::span<const u8> data) {
  chunks_.push_back({std::vector<u8>(data.begin(), data.end())});
  unread_ += data.size();
}

// The front chunk was read to its end: a writer that still waited with it is done.
void PipeQueue::pop_front() {
  Irp* writer = chunks_.front().writer;
  chunks_.pop_front();
  if (writer != nullptr) manager_.complete(*writer, Status::success, writer->input.size());
}

Status PipeQueue::write(Irp& irp, bool messages, PipeBlocking blocking) {
  std::span<const u8> data = irp.input;
  irp.information = data.size();
  if (data.empty() && !messages) return Status::success;
  if (blocking == PipeBlocking::complete_operation) {
    u64 possible = room();
    for (const Irp& reader : readers_) possible += reader.length;
    // NT: what does not fit is written in part (bytes) or not at all (messages), with success [CreateNamedPipe,
    // PIPE_NOWAIT].
    if (data.size() > possible) data = messages ? data.first(0) : data.first(possible);
    irp.information = data.size();
    if (data.empty() && !irp.input.empty()) return Status::success;
  }
  push(data);
  const std::size_t chunks_before = chunks_.size();
  serve_readers();
  // Readers only wait when nothing else is queued, so our chunk is the last one, if any of it is left.
  const bool left = !chunks_.empty() && chunks_.size() == chunks_before;
  if (!left || unread_ <= quota_) return Status::success;
  chunks_.back().writer = &irp;
  return Status::pending;
}

void PipeQueue::write_now(std::span<const u8> data) {
  push(data);
  serve_readers();
}

// Precondition: there is data.
Status PipeQueue::take(Irp& irp, PipeReadMode mode) {
  Status status = Status::success;
  irp.output.clear();
  while (!chunks_.empty()) {
    Chunk& front = chunks_.front();
    const u64 bytes = std::min(front.rest(), irp.length - irp.output.size());
    const auto from = front.data.begin() + static_cast<std::ptrdiff_t>(front.taken);
    irp.output.insert(irp.output.end(), from, from + static_cast<std::ptrdiff_t>(bytes));
    front.taken += bytes;
    unread_ -= bytes;
    const bool whole = front.rest() == 0;
    if (whole) {
      pop_front();
    } else if (mode == PipeReadMode::message) {
      status = Status::buffer_overflow;
    }
    if (mode == PipeReadMode::message || !whole || irp.output.size() == irp.length) break;
  }
  irp.information = irp.output.size();
  return status;
}

Status PipeQueue::read(Irp& irp, PipeReadMode mode, PipeBlocking blocking) {
  if (!chunks_.empty() && readers_.empty()) {
    const Status status = take(irp, mode);
    release_writers();
    return status;
  }
  if (blocking == PipeBlocking::complete_operation) return Status::pipe_empty;
  irp.device_context = static_cast<u64>(mode);
  readers_.push_back(irp);
  return Status::pending;
}

void PipeQueue::serve_readers() {
  while (!chunks_.empty() && !readers_.empty()) {
    Irp& reader = *readers_.pop_front();
    const Status status = take(reader, static_cast<PipeReadMode>(reader.device_context));
    manager_.complete(reader, status, reader.information);
  }
  release_writers();
}

// Writers whose data is within the quota by now are done; when all data was read, so are the flushes.
void PipeQueue::release_writers() {
  u64 bytes = 0;
  std::vector<Irp*> done;
  for (Chunk& chunk : chunks_) {
    bytes += chunk.rest();
    if (bytes > quota_) break;
    if (Irp* writer = std::exchange(chunk.writer, nullptr)) done.push_back(writer);
  }
  for (Irp* writer : done) manager_.complete(*writer, Status::success, writer->input.size());
  while (chunks_.empty() && !flushers_.empty()) manager_.complete(*flushers_.pop_front(), Status::success, 0);
}

Status PipeQueue::flush(Irp& irp) {
  if (chunks_.empty()) return Status::success;
  flushers_.push_back(irp);
  return Status::pending;
}

u64 PipeQueue::peek(std::span<u8> out, PipeReadMode mode) const {
  u64 done = 0;
  for (const Chunk& chunk : chunks_) {
    const u64 bytes = std::min<u64>(chunk.rest(), out.size() - done);
    std::copy_n(chunk.data.begin() + static_cast<std::ptrdiff_t>(chunk.taken), bytes,
                out.begin() + static_cast<std::ptrdiff_t>(done));
    done += bytes;
    if (mode == PipeReadMode::message || done == out.size()) break;
  }
  return done;
}

void PipeQueue::reader_closed(Status status) {
  std::deque<Chunk> lost = std::exchange(chunks_, {});
  unread_ = 0;
  for (Chunk& chunk : lost) {
    if (chunk.writer != nullptr) manager_.complete(*chunk.writer, status, 0);
  }
  while (!readers_.empty()) manager_.complete(*readers_.pop_front(), status, 0);
  while (!flushers_.empty()) manager_.complete(*flushers_.pop_front(), status, 0);
}

void PipeQueue::writer_closed(Status status) {
  while (!readers_.empty()) manager_.complete(*readers_.pop_front(), status, 0);
}

void PipeQueue::cancel(Irp& irp) {
  if (irp.device_link.is_linked()) {
    irp.device_link.unlink();
    return;
  }
  const auto chunk = std::ranges::find_if(chunks_, [&](const Chunk& c) { return c.writer == &irp; });
  if (chunk == chunks_.end()) return;
  unread_ -= chunk->rest();
  chunks_.erase(chunk);
}

}  // namespace vitrine::io
