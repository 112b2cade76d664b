// Irp: one I/O request on its way through a device (NT: I/O request packet [WI5 ch.7 "I/O Request Packets"]).
//
// A request lives on the host heap, one owner at a time: the service that built it, then, while it is pending, the
// IoManager (asynchronous files) or the frame of the waiting service (synchronous files). A device that answers
// `pending` keeps only a link to it and must later complete it exactly once through `IoManager::complete`, or hand it
// back from `Device::cancel`. Data is buffered (NT: METHOD_BUFFERED): a device never sees guest memory.
#pragma once

#include <memory>
#include <vector>

#include "base/intrusive_list.h"
#include "base/status.h"
#include "base/types.h"
#include "ke/dispatcher_object.h"
#include "ke/thread.h"
#include "ob/object.h"

namespace vitrine::io {

struct FileObject;

enum class MajorFunction : u8 { read, write, flush, lock, fs_control, device_control, notify_directory };

// What a device finds in `Irp::completion_state`.
enum class IrpState : u8 { built, pending, completed };

// A piece of guest memory; address 0: the bytes are not wanted.
struct UserSegment {
  Va address = 0;
  u64 bytes = 0;
};

// Who asked, and where the answer goes. The addresses belong to the guest and are used by the CompletionSink only.
struct Requester {
  ke::Thread* thread = nullptr;  // null: the kernel itself asked. The sink's owner keeps the thread while it is pending
  u64 process_id = 0;
  Va io_status = 0;
  Va user_buffer = 0;   // where `output` is copied; 0 for writes
  std::vector<UserSegment> segments;  // not empty: `output` goes there, piece by piece, instead
  ob::Ref<ob::Object> user_event;  // an ob::EventObject, or null; reset when the request is sent, set at completion
  Va apc_routine = 0;   // 0: none. With a port and no routine `apc_context` is the packet's value
  Va apc_context = 0;
};

// Made by make_irp (io/file_object.h).
struct Irp {
  FileObject* file = nullptr;
  ob::Ref<ob::Object> file_reference;  // to the same file
  MajorFunction function{};
  IrpState state = IrpState::built;
  bool pended = false;    // the device once answered `pending`
  bool detached = false;  // the IoManager owns it
  u32 control_code = 0;   // fs_control, device_control; notify_directory: the filter
  i64 offset = 0;         // bytes; resolved by IoManager::resolve_offset: negative only for a write to the end
  u64 length = 0;         // lock: bytes. read: bytes wanted. others: size of the output buffer
  u32 key = 0;            // lock key; notify_directory: not 0 means folders below, too; fs/device control: unused
  u32 lock_flags = 0;     // kLockExclusive, kLockFailImmediately

  std::vector<u8> input;       // captured by the service before the call; the device may not grow it
  std::vector<u8> output;      // filled by the device, at most `length` bytes

  // What the input names by handle, referenced by the service; or what the device opened for the requester (opens_object): it
  // gets a handle, whose low half is the output.
  std::vector<ob::Ref<ob::Object>> objects;
  bool opens_object = false;

  Status status = Status::pending;
  u64 information = 0;

  Requester requester;
  ke::Event done{ke::EventKind::notification};  // set at completion; what a synchronous caller waits for
  u64 sequence = 0;            // order of submission; orders every queue of requests
  u64 device_context = 0;      // the device's own, while pending
  ListLink device_link;        // the device's queue
  ListLink file_link;          // FileObject::pending
  ListLink manager_link;       // IoManager's list of all pending requests
};
inline constexpr u32 kLockExclusive = 1, kLockFailImmediately = 2;

using IrpPtr = std::unique_ptr<Irp>;
using IrpQueue = IntrusiveList<Irp, &Irp::device_link>;

// The longest single request. A longer one is legal for the guest: services split it (disk files) or shorten it
// (streams).
inline constexpr u64 kMaximumTransferBytes = 16ull << 20;

}  // namespace vitrine::io
