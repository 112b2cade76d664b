// IoCompletionObject: a completion port (NT: a kernel queue object, KQUEUE, whose entries are packets [WI5 ch.7 "I/O
// Completion Ports"]). Packets are removed first in, first out; threads that wait are released last in, first out, and never
// more than the port's concurrency run at once: those rules are ke::Queue's.
#pragma once

#include <memory>

#include "base/intrusive_list.h"
#include "base/status.h"
#include "base/task.h"
#include "ke/dispatcher_object.h"
#include "ob/object.h"

namespace vitrine::io {

struct CompletionPacket {
  ke::QueueEntry entry;
  u64 key = 0;
  u64 value = 0;        // ApcContext of the request: the address of the OVERLAPPED for kernel32
  Status status{};
  u64 information = 0;
};

// A port never holds more packets than this: quota_exceeded (set) or the packet is counted as lost (request completion
// cannot lose: every pending request reserved its packet). Assumed; NT charges nonpaged pool quota instead.
inline constexpr u32 kMaximumPackets = 1u << 20;

struct IoCompletionObject : ob::Object {
  explicit IoCompletionObject(u32 concurrency);
  ~IoCompletionObject();
  ke::Queue queue;
  u32 packets = 0;
};

}  // namespace vitrine::io
