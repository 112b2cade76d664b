#include "nt/new_object.h"

#include <utility>

namespace vitrine::nt {

ob::CreateRequest request_for(Call call, const ob::ObjectAttributes& attributes) {
  ob::CreateRequest request;
  request.attributes = attributes;
  request.payer = call.process().quota.get();
  return request;
}

Status insert_and_return(Call call, ob::Ref<ob::Object> object, const ob::ObjectAttributes& attributes, u32 access,
                         UserPtr<Handle> handle) {
  auto created = call.process().handles->insert_new(std::move(object), attributes, access, user_access(call));
  if (!created) return created.error();
  VITRINE_TRY(return_handle(call, handle, created->handle));
  return created->status;
}

}  // namespace vitrine::nt
