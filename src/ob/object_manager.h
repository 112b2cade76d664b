// ObjectManager: makes and deletes objects, knows their types, and keeps the namespace. One per machine.
//
// Owns the types, the root directory and the deferred deletion queue. Refuses: handles (ob/handles.h), what is inside
// an object. Nothing here suspends. Names are counted UTF-16 and may contain any unit but a backslash inside a
// component, NUL included.
#pragma once

#include <memory>
#include <new>
#include <string>
#include <vector>

#include "abi/object_constants.h"
#include "base/status.h"
#include "ex/pool.h"
#include "ob/directory.h"
#include "ob/object.h"
#include "ob/object_type.h"
#include "se/access_check.h"
#include "sim/profile.h"

namespace vitrine::ob {

inline constexpr u32 kMaximumNameUnits = 32'767;  // NT: a UNICODE_STRING holds 65,535 bytes
inline constexpr u32 kMaximumReparses = 32;       // NT: how many links one look-up follows

// OBJECT_ATTRIBUTES after capture.
struct ObjectAttributes {
  std::u16string name = {};      // empty: none
  Ref<Object> root = {};         // directory or parsing object that the name is relative to; null: absolute
  u32 attributes = 0;            // abi::obj
  SharedSecurity security = {};  // null: default
};

// Who asks. Plain references that live for one call.
struct AccessState {
  se::Mode mode = se::Mode::kernel;
  const se::TokenData* token = nullptr;  // null only in kernel mode
};

struct CreateRequest {
  ObjectAttributes attributes = {};
  u32 extra_body_bytes = 0;           // booked beyond the type's body (variable-sized bodies: tokens, keys)
  ex::QuotaCharger* payer = nullptr;  // null: nobody is charged (kernel objects)
  bool kernel_object = false;
};

struct LookupRequest {
  std::u16string_view name;
  Object* root = nullptr;
  u32 attributes = 0;                // kCaseInsensitive, kOpenLink matter
  const ObjectType* type = nullptr;  // null: any; else object_type_mismatch
  u32 desired_access = 0;            // passed to parse procedures
  AccessState access = {};
  void* parse_context = nullptr;
};

class ObjectManager {
 public:
  // Registers Type, Directory and SymbolicLink and makes the root directory and \ObjectTypes. `profile` and `pool`
  // outlive it.
  ObjectManager(const sim::Profile& profile, ex::Pool& pool);
  // Frees what is left of the namespace. Objects that others still hold then must not be released afterwards.
  ~ObjectManager();
  ObjectManager(const ObjectManager&) = delete;
  ObjectManager& operator=(const ObjectManager&) = delete;

  // --- types ---
  // Precondition: no type of that name. The type lives as long as the manager and appears in \ObjectTypes.
  ObjectType& register_type(const TypeTraits& traits);
  [[nodiscard]] ObjectType* find_type(std::u16string_view name) const;
  [[nodiscard]] const std::vector<ObjectType*>& types() const { return types_; }  // by index
  [[nodiscard]] ObjectType& directory_type() const { return *directory_type_; }
  [[nodiscard]] ObjectType& symbolic_link_type() const { return *symbolic_link_type_; }

  // --- objects ---
  // ObCreateObject: books header, optional headers and body, charges the payer, and makes the host structure. The
  // caller holds the only reference; a name in `request` sizes the header but is entered by `insert`. Errors:
  // invalid_parameter (attributes that the type forbids), insufficient_resources, quota_exceeded.
  template <typename T, typename... Arguments>
  [[nodiscard]] Result<Ref<T>> create(ObjectType& type, const CreateRequest& request, Arguments&&... arguments) {
    if (type.traits.destroy == nullptr) type.traits.destroy = [](Object* object) { delete static_cast<T*>(object); };
    T* object = new (std::nothrow) T(std::forward<Arguments>(arguments)...);
    if (object == nullptr) return Failure(Status::insufficient_resources);
    if (const Status status = attach(*object, type, request); !is_success(status)) {
      type.traits.destroy(object);
      return Failure(status);
    }
    return Ref<T>::adopt(object);
  }
  // The same for a structure that the caller allocated itself (types with their own host allocator; traits.destroy must
  // be set). On failure the object is untouched and still the caller's.
  [[nodiscard]] Status attach(Object& object, ObjectType& type, const CreateRequest& request);

  // ObMakeTemporaryObject / NtMakePermanentObject.
  void make_temporary(Object& object);
  void make_permanent(Object& object);
  // Replaces the parts of the descriptor that `information` names (se::security_information).
  [[nodiscard]] Status set_security(Object& object, const se::SecurityDescriptor& descriptor, u32 information);
  // Null when the object has none of its own: everything is granted.
  [[nodiscard]] const se::SecurityDescriptor* security(const Object& object) const;

  // --- namespace ---
  [[nodiscard]] DirectoryObject& root() const { return *root_; }

  // ObReferenceObjectByName without the access check: follows directories, links (at most 32) and parse procedures.
  // Errors: object_path_syntax_bad (empty or not absolute; absolute although there is a root), object_name_invalid (too
  // long, or an empty component: "a\\b", a trailing backslash), object_path_not_found (a directory on the way is
  // missing), object_name_not_found (the last part is, or more than 32 links), object_type_mismatch (something on the
  // way is neither directory nor parses, or the result has another type), access_denied, and those of parse.
  [[nodiscard]] Result<Ref<Object>> lookup(const LookupRequest& request);

  struct Inserted {
    Ref<Object> object;  // the new one, or the existing one of the same name
    Status status;       // success, or object_name_exists (OBJ_OPENIF and it existed)
  };
  // ObInsertObject's name half: enters `object` under attributes.name. Without a name it does nothing.
  // A symbolic link as the last component is followed; other parse procedures are not called.
  // Errors: those of lookup; object_name_collision (exists, without OBJ_OPENIF); object_type_mismatch (exists with
  // another type).
  [[nodiscard]] Result<Inserted> insert(Ref<Object> object, const ObjectAttributes& attributes,
                                        const AccessState& access);

  // ObQueryNameString: "\BaseNamedObjects\x"; empty when unnamed.
  [[nodiscard]] Result<std::u16string> query_name(Object& object);

  // Kernel conveniences: permanent, by absolute name; missing parents are an error.
  [[nodiscard]] Result<Ref<DirectoryObject>> make_directory(std::u16string_view path);
  [[nodiscard]] Status make_symbolic_link(std::u16string_view path, std::u16string_view target);

  // Creates a symbolic link object that the caller inserts (NtCreateSymbolicLinkObject).
  // Errors: invalid_parameter (empty target), name_too_long and those of create.
  [[nodiscard]] Result<Ref<SymbolicLinkObject>> create_symbolic_link(const CreateRequest& request,
                                                                     std::u16string_view target);

  // The machine is being taken down: every name goes, and with it what only its name kept alive. Done by the destructor, too;
  // called earlier when named objects stand on parts that end before the object manager.
  void empty_directories();

  // --- counts; used by Ref and ob/handles ---
  void release_object(Object& object);  // the last pointer reference is gone
  void add_handle(Object& object);
  // Calls the type's close routine; at the last handle a temporary name goes away.
  void remove_handle(Object& object, ObjectHandles& table, u32 granted_access);
  // The optional information, made at the first call.
  ObjectInfo& info_of(Object& object);

  [[nodiscard]] ex::Pool& pool() const { return pool_; }
  [[nodiscard]] const sim::Profile& profile() const { return profile_; }
  // Objects of all types that exist, types included.
  [[nodiscard]] u64 object_count() const;

 private:
  struct Walk;
  void make_own_types();
  ObjectType& add_type(const TypeTraits& traits);
  [[nodiscard]] Status run(Walk& walk);
  [[nodiscard]] Status begin(Walk& walk);
  [[nodiscard]] Status step(Walk& walk, DirectoryObject& directory);
  [[nodiscard]] Status parse(Walk& walk, Object& object, std::u16string_view remaining);
  [[nodiscard]] Status check_directory(const Walk& walk, const DirectoryObject& directory, u32 right) const;
  [[nodiscard]] Status enter(DirectoryObject& directory, std::u16string_view name, Object& object);
  void leave_directory(Object& object);
  void delete_object(Object& object);
  [[nodiscard]] u64 block_bytes(const ObjectType& type, const CreateRequest& request) const;

  const sim::Profile& profile_;
  ex::Pool& pool_;
  ex::PoolSite name_site_, entry_site_, security_site_, link_target_site_;
  std::vector<ObjectType*> types_;
  ObjectType* type_type_ = nullptr;
  ObjectType* directory_type_ = nullptr;
  ObjectType* symbolic_link_type_ = nullptr;
  DirectoryObject* root_ = nullptr;
  DirectoryObject* types_directory_ = nullptr;
  std::vector<Object*> deletion_queue_;
  bool deleting_ = false;
};

}  // namespace vitrine::ob
