#include "nt/waitable.h"

#include <array>

namespace vitrine::nt {

Result<Waitable> reference_waitable(Call call, Handle handle) {
  auto object = reference_any(call, handle, se::access::kSynchronize);
  if (!object) return Failure(object.error());
  ke::DispatcherHeader* header = ob::dispatcher_header(**object);
  if (header == nullptr) return Failure(Status::object_type_mismatch);
  return Waitable{std::move(*object), header};
}

Result<WaitList> capture_wait_list(Call call, UserPtr<Handle> handles, u32 count) {
  std::array<Handle, ke::kMaximumWaitObjects> values{};
  VITRINE_CHECK(count <= values.size());
  const std::span captured(values.data(), count);
  if (const Status status = call.space().read(handles.address, std::as_writable_bytes(captured)); !is_success(status)) {
    return Failure(status);
  }
  WaitList list;
  list.objects.reserve(count);
  list.headers.reserve(count + 1);  // win32k adds its queue's event
  for (const Handle handle : captured) {
    auto target = reference_waitable(call, handle);
    if (!target) return Failure(target.error());
    list.objects.push_back(std::move(target->object));
    list.headers.push_back(target->header);
  }
  return list;
}

}  // namespace vitrine::nt
