// FileObject: an open of a file, directory, pipe end or device (NT: FILE_OBJECT [WI5 ch.7 "Opening Devices"]). It holds
// what belongs to the open (position, access, share mode, completion port); what belongs to the file itself (size,
// share counts, locks, delete pending) is the device's, reached through `context`.
#pragma once

#include <memory>
#include <string>

#include "io/device.h"
#include "io/irp.h"
#include "ke/dispatcher_object.h"
#include "ob/object.h"

namespace vitrine::io {

struct IoCompletionObject;
class IoManager;

struct FileObject : ob::Object {
  explicit FileObject(IoManager& manager);
  ~FileObject();

  IoManager* manager;
  Device* device = nullptr;                // outlives every file
  std::unique_ptr<FileContext> context;    // null until the device's create succeeded
  std::u16string name;                     // below the device: "\windows\x.dll"; the device keeps it after a rename
  u32 access = 0;                          // granted at open
  u32 share = 0;
  u32 options = 0;                         // create options

  i64 current_offset = 0;                  // bytes; meaningful for synchronous files only
  ke::Event event;                         // notification; set when a request completes [WI5 ch.7]
  ke::Event lock;                          // synchronization: one request at a time on a synchronous file
  bool busy = false;                       // the lock is held
  bool cleaned_up = false;                 // the last handle is gone; requests fail with file_closed

  ob::Ref<IoCompletionObject> port;        // at most one for its life, unless replaced
  u64 completion_key = 0;
  u32 notification_flags = 0;              // kSkip...

  ListLink manager_link;                   // IoManager's list of all files
  IntrusiveList<Irp, &Irp::file_link> pending;  // asynchronous and synchronous requests not completed

  [[nodiscard]] bool is_synchronous() const {
    return (options & (abi::kFileSynchronousIoAlert | abi::kFileSynchronousIoNonalert)) != 0;
  }
  [[nodiscard]] bool is_alertable() const { return (options & abi::kFileSynchronousIoAlert) != 0; }
};

// A request of `length` bytes (see Irp::length) for this file, which it references.
[[nodiscard]] IrpPtr make_irp(FileObject& file, MajorFunction function, u64 length);

// A device in the object namespace (\Device\HarddiskVolume1). Type "Device", whose parse procedure is the I/O
// manager's.
struct DeviceObject : ob::Object {
  Device* device = nullptr;
  IoManager* manager = nullptr;
};

}  // namespace vitrine::io
