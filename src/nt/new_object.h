// What the services that create an object have in common: the request, and the end: name, access, handle.
#pragma once

#include "nt/capture.h"

namespace vitrine::nt {

// The caller's process pays.
[[nodiscard]] ob::CreateRequest request_for(Call call, const ob::ObjectAttributes& attributes);

// Enters the object's name, makes a handle and writes it to the guest. object_name_exists is a success and keeps its handle.
// Errors: those of ObjectHandles::insert_new; access_violation, and then there is no handle.
[[nodiscard]] Status insert_and_return(Call call, ob::Ref<ob::Object> object, const ob::ObjectAttributes& attributes, u32 access,
                                       UserPtr<Handle> handle);

}  // namespace vitrine::nt
