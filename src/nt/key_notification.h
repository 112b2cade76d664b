// NtNotifyChangeKey: asks the registry to tell of the next change, and carries the news to the program: at once to a waiting
// thread, or later through status block, event and APC.
#pragma once

#include "nt/capture.h"
#include "nt/outcome.h"

namespace vitrine::nt {

struct KeyNotificationRequest {
  Handle key;
  Handle event;
  Va apc_routine = 0;
  u64 apc_context = 0;
  Va io_status = 0;
  u32 filter = 0;
  bool watch_tree = false;
  bool asynchronous = false;
};

// Suspends when it is synchronous. Status: pending (asynchronous), notify_enum_dir (something changed), notify_cleanup (the
// key's handle was closed), key_deleted, invalid_parameter (filter), and those of the handles.
[[nodiscard]] Outcome notify_change_key(Call call, const KeyNotificationRequest& request);

}  // namespace vitrine::nt
