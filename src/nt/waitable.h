// What a guest waits for: objects by their handles, kept alive for as long as somebody may wait.
#pragma once

#include <vector>

#include "nt/capture.h"

namespace vitrine::nt {

struct Waitable {
  ob::Ref<ob::Object> object;
  ke::DispatcherHeader* header;
};
// Errors: invalid_handle, access_denied (no SYNCHRONIZE), object_type_mismatch (nothing to wait on).
[[nodiscard]] Result<Waitable> reference_waitable(Call call, Handle handle);

struct WaitList {
  std::vector<ob::Ref<ob::Object>> objects;
  std::vector<ke::DispatcherHeader*> headers;
};
// An array of `count` handles in the guest's memory. Precondition: at most kMaximumWaitObjects. Errors:
// access_violation and those of the first handle that is none to wait on.
[[nodiscard]] Result<WaitList> capture_wait_list(Call call, UserPtr<Handle> handles, u32 count);

}  // namespace vitrine::nt
