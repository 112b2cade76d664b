// Object: the header that precedes each executive object, as the base of a host structure. 32 bytes, no virtuals: what
// a kind of object does is said by function pointers of its ObjectType.
//
//   struct EventObject : ob::Object { ke::Event event; };
//
// Owns its place in pool (block_) and its optional information; both are made and freed by ObjectManager. Lifetime: the
// object lives while the pointer count is above zero; each handle holds one pointer reference too [WI6 ch. 3].
#pragma once

#include <memory>
#include <string>

#include "base/types.h"
#include "ex/pool.h"
#include "ex/quota.h"
#include "ob/ref.h"
#include "se/security_descriptor.h"

namespace vitrine::ob {

class ObjectManager;
struct ObjectType;
struct DirectoryObject;

using SharedSecurity = std::shared_ptr<const se::SecurityDescriptor>;

// What NT keeps in optional headers, and the descriptor: only objects that need it have one.
struct ObjectInfo {
  std::u16string name;                    // last component; empty: unnamed
  DirectoryObject* directory = nullptr;   // the directory that holds the entry (it references the object); null: none
  ex::PoolBlock name_block;               // the name's characters, tag "ObNm"
  ex::PoolBlock entry_block;              // the directory's entry, tag "ObDi"
  ex::PoolBlock security_block;           // a descriptor of its own, tag "ObSc"
  SharedSecurity security;                // null: everything is granted
  ex::QuotaCharger* payer = nullptr;      // who was charged for the object
  const void* exclusive_owner = nullptr;  // OBJ_EXCLUSIVE: the only handle table that may open it
};

namespace object_flags {
inline constexpr u8 kKernelObject = 1;  // made by the kernel for itself
inline constexpr u8 kPermanent = 2;     // its name keeps it alive without handles
inline constexpr u8 kExclusive = 4;
inline constexpr u8 kNamed = 8;  // has been entered in a directory
inline constexpr u8 kQuotaCharged = 16;
inline constexpr u8 kDeleting = 32;
inline constexpr u8 kStatic = 64;  // part of the object manager itself; the count does not delete it
}  // namespace object_flags

class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  [[nodiscard]] ObjectType& type() const { return *type_; }
  [[nodiscard]] i32 pointer_count() const { return pointer_count_; }
  [[nodiscard]] i32 handle_count() const { return handle_count_; }
  [[nodiscard]] bool has_flag(u8 flag) const { return (flags_ & flag) != 0; }
  [[nodiscard]] bool is_permanent() const { return has_flag(object_flags::kPermanent); }
  // Null when the object has neither name, descriptor nor payer.
  [[nodiscard]] const ObjectInfo* info() const { return info_; }
  [[nodiscard]] std::u16string_view name() const { return info_ == nullptr ? std::u16string_view{} : info_->name; }
  [[nodiscard]] ex::PoolBlock block() const { return {block_}; }

 private:
  friend class ObjectManager;
  friend struct DirectoryObject;
  friend void reference(Object& object);
  friend void dereference(Object& object);

  ObjectType* type_ = nullptr;  // set once, by ObjectManager
  ObjectInfo* info_ = nullptr;  // owned
  i32 pointer_count_ = 1;
  i32 handle_count_ = 0;
  u64 block_ : ex::kPoolBlockBits = 0;
  u64 flags_ : 8 = 0;
};
static_assert(sizeof(Object) == 32);

}  // namespace vitrine::ob
