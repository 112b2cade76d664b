// IoCompletionObject: a completion port (NT: a kernel queue object, KQUEUE, whose entries are packets [WI5 ch.7 "I/O
// Completion Ports"]). Packets are removed first in, first out; threads that wait are released last in, first out, and
// never more than the port's concurrency run at once: those rules are ke::Queue's.
#pragma once

#include <memory>

#include "base/intrusive_list.h"
#include "base/status.h"
#include "ke/dispatcher_object.h"
#include "ob/object.h"

namespace vitrine::ke {
class Kernel;
}

namespace vitrine::io {

// FILE_IO_COMPLETION_INFORMATION, as NtRemoveIoCompletion returns it.
struct CompletionRecord {
  u64 key = 0;
  u64 value = 0;        // ApcContext of the request: the address of the OVERLAPPED for kernel32
  Status status{};
  u64 information = 0;
};

struct CompletionPacket : ke::QueueEntry {
  CompletionRecord record;
  // Called when the packet has left its port, taken by a thread or thrown away with the port. Null: it is deleted.
  void (*release)(CompletionPacket& packet) = nullptr;
};
inline void release_packet(CompletionPacket& packet) {
  if (packet.release != nullptr) {
    packet.release(packet);
  } else {
    delete &packet;
  }
}

// NtSetIoCompletion refuses to queue more (quota_exceeded); completions of requests are bounded by the requests.
// Assumed: NT charges nonpaged pool quota instead.
inline constexpr u32 kMaximumPackets = 1u << 20;

struct IoCompletionObject : ob::Object {
  IoCompletionObject(u32 concurrency, ke::Kernel& kernel_) : queue(concurrency), kernel(&kernel_) {}
  ke::Queue queue;      // of CompletionPackets, which it owns
  ke::Kernel* kernel;
};

}  // namespace vitrine::io
