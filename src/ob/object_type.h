// ObjectType: what all objects of one kind share: name, sizes, rights and the routines that the object manager calls.
// Types are objects themselves and appear in \ObjectTypes. Routines are plain function pointers; null means the default
// said at each one.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "ex/handle_table.h"
#include "ob/object.h"
#include "se/access.h"
#include "se/token.h"

namespace vitrine::ke {
struct DispatcherHeader;
}

namespace vitrine::ob {

class ObjectHandles;

struct CloseEvent {
  ObjectHandles* table;  // in which the handle was
  u32 granted_access;
  i32 handle_count_before;  // over all tables; 1 means that this is the last handle
};

// The rest of a name, handed to the object where the namespace ends (a device, a key).
struct ParseRequest {
  ObjectManager& manager;
  Object& object;                     // whose routine is called
  std::u16string_view complete_name;  // as given
  std::u16string_view remaining;      // behind the object's own name, with its leading backslash; may be empty
  u32 attributes;                     // OBJ_*
  u32 desired_access;                 // generic bits mapped or not, as given
  se::Mode mode;
  void* context;  // of the service that opens (file or key parameters); null for a plain open
  const ObjectType*
      wanted_type;         // null: any. Check it before looking into `context`: another type's opener has another one
  bool allow_link_target;  // false: OBJ_OPENLINK, the last component is wanted itself even if it is a link
};
struct ParseOutcome {
  Ref<Object> object;      // found or created; null together with `reparse`
  std::u16string reparse;  // not empty: start again at the root with this name
};

struct TypeTraits {
  std::u16string_view name;  // "Event"
  ex::PoolType pool = ex::PoolType::nonpaged;
  u32 tag = 0;         // pool tag; 0: from the name's first four characters
  u32 body_bytes = 0;  // of NT's structure, from the profile; header excluded
  u32 valid_access = 0;
  se::GenericMapping mapping{};
  u32 invalid_attributes = 0;           // OBJ_* that create refuses with invalid_parameter
  bool security_required = false;       // unnamed objects have a descriptor too
  bool maintains_handle_count = false;  // carries handle information
  bool carries_quota_info = false;      // carries quota information even at default charges [facts 1.3]
  u32 paged_charge = 0;                 // defaults of what the creator's quota pays
  u32 nonpaged_charge = 0;
  void* context = nullptr;  // the registering manager's own, for its routines

  // DeleteProcedure: the last reference is gone; give up what the body holds. Must not suspend. Default: nothing.
  void (*delete_object)(Object&) = nullptr;
  // Frees the host memory after that. Default: set by ObjectManager::create<T> to `delete static_cast<T*>`.
  void (*destroy)(Object*) = nullptr;
  // CloseProcedure: a handle was closed. Default: nothing.
  void (*close)(Object&, const CloseEvent&) = nullptr;
  // OkayToCloseProcedure: false makes NtClose fail with handle_not_closable. Default: true.
  bool (*okay_to_close)(Object&, ObjectHandles&, ex::Handle, se::Mode) = nullptr;
  // OpenProcedure: a handle is about to be made. A failure is returned to the opener. Default: success.
  Status (*open)(Object&, ObjectHandles&, u32 granted_access) = nullptr;
  // The dispatcher header to wait on. Default: none; waiting fails with object_type_mismatch.
  ke::DispatcherHeader* (*dispatcher)(Object&) = nullptr;
  // ParseProcedure. Default: names cannot continue behind such an object; see ObjectManager::lookup.
  Result<ParseOutcome> (*parse)(ParseRequest&) = nullptr;
  // QueryNameProcedure: the full name. Default: built from the directories.
  Result<std::u16string> (*query_name)(Object&) = nullptr;
  // Who paid for the object (the request's payer), for types of which millions exist (then nothing is stored per
  // object).
  ex::QuotaCharger* (*quota_payer)(Object&) = nullptr;
};

struct ObjectType : Object {
  TypeTraits traits;
  std::u16string type_name;  // owns traits.name
  ObjectManager* manager = nullptr;
  u8 index = 0;  // as ObjectTypesInformation shows it; first type 2, as on NT 6.1
  ex::PoolSite site;
  u32 object_count = 0;
  u32 handle_count = 0;
  u32 peak_object_count = 0;
  u32 peak_handle_count = 0;
};

// The header to wait on, or null when the object cannot be waited on.
[[nodiscard]] inline ke::DispatcherHeader* dispatcher_header(Object& object) {
  const TypeTraits& traits = object.type().traits;
  return traits.dispatcher == nullptr ? nullptr : traits.dispatcher(object);
}

}  // namespace vitrine::ob
