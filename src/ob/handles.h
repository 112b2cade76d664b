// ObjectHandles: one process's handles: an ex::HandleTable whose entries reference objects.
//
// Owns one pointer and one handle count on the object of each entry. Refuses to know processes: what -1 and -2 mean and
// whose table kernel handles live in comes through CurrentContext. Nothing here suspends (a close routine starts what
// may take time; it does not wait).
#pragma once

#include <memory>

#include "ex/handle_table.h"
#include "ob/object_manager.h"

namespace vitrine::ob {

using ex::Handle;

// NT: NtCurrentProcess() and NtCurrentThread() [facts 2.2].
inline constexpr Handle kCurrentProcess{~u64{0}};
inline constexpr Handle kCurrentThread{~u64{0} - 1};
// NT x64: kernel handles are values in System's table with these bits set.
inline constexpr u64 kKernelHandleMask = 0xFFFF'FFFF'8000'0000;

// What the calling thread is. Implemented by ps; one per machine.
class CurrentContext {
 public:
  virtual ~CurrentContext() = default;
  [[nodiscard]] virtual Object& current_process() = 0;
  [[nodiscard]] virtual Object& current_thread() = 0;
  [[nodiscard]] virtual ObjectHandles& kernel_handles() = 0;
};

struct HandleInformation {
  u32 granted_access;
  u8 attributes;  // ex::handle_attributes
};

class ObjectHandles {
 public:
  struct Settings {
    ex::QuotaCharger* quota = nullptr;  // pays for the table; null for System
    CurrentContext* context = nullptr;  // null: no pseudo and kernel handles
    void* owner = nullptr;              // the process, for eyes and close routines
  };
  // Errors: insufficient_resources, quota_exceeded.
  [[nodiscard]] static Result<std::unique_ptr<ObjectHandles>> create(ObjectManager& objects, const Settings& settings);
  // For a child that inherits: the inheritable handles of `parent` at the same values, with their attributes and
  // access.
  [[nodiscard]] static Result<std::unique_ptr<ObjectHandles>> create_inheriting(const ObjectHandles& parent,
                                                                                const Settings& settings);
  // Precondition: closed (close_all), else it closes the rest.
  ~ObjectHandles();

  // Makes a handle. `granted_access` is final. Errors: insufficient_resources, quota_exceeded, the type's open
  // routine's, access_denied (exclusive object open elsewhere).
  [[nodiscard]] Result<Handle> insert(Object& object, u32 granted_access, u8 attributes);

  // Maps `desired_access` by the type and checks it against the object's descriptor, then inserts. OBJ_INHERIT and
  // OBJ_KERNEL_HANDLE of `object_attributes` are honoured. Errors: access_denied, those of insert.
  [[nodiscard]] Result<Handle> open(Object& object, u32 desired_access, u32 object_attributes,
                                    const AccessState& access);

  // ObOpenObjectByName: lookup, then open.
  [[nodiscard]] Result<Handle> open_by_name(const ObjectAttributes& attributes, const ObjectType* type,
                                            u32 desired_access, const AccessState& access,
                                            void* parse_context = nullptr);

  struct Created {
    Handle handle;
    Status status;       // success or object_name_exists
    Ref<Object> object;  // the one that the handle names
  };
  // ObInsertObject: enters the name, checks access (creation grants what was asked) and makes the handle.
  [[nodiscard]] Result<Created> insert_new(Ref<Object> object, const ObjectAttributes& attributes, u32 desired_access,
                                           const AccessState& access);

  // ObReferenceObjectByHandle. `type` null: any. Pseudo handles grant everything.
  // Errors in NT's order: invalid_handle, object_type_mismatch, access_denied (user mode only).
  [[nodiscard]] Result<Ref<Object>> reference(Handle handle, const ObjectType* type, u32 desired_access, se::Mode mode,
                                              HandleInformation* information = nullptr);

  // NtClose. Closing a pseudo handle succeeds and does nothing [Microsoft: CloseHandle]. Errors: invalid_handle,
  // handle_not_closable (protected, user mode only, or the type's routine says so).
  [[nodiscard]] Status close(Handle handle, se::Mode mode);
  // Closes in ascending order, protected ones too (process exit).
  void close_all();

  // NtDuplicateObject from this table into `target`. Options: abi::duplicate. With kCloseSource the source is closed
  // even if duplication fails (NT does so too); `target` null then only closes. Errors: invalid_handle, access_denied,
  // those of insert.
  [[nodiscard]] Result<Handle> duplicate(Handle source, ObjectHandles* target, u32 desired_access, u8 attributes,
                                         u32 options, const AccessState& access);

  // Inherit and protect-from-close (NtSetInformationObject class 4). Error: invalid_handle.
  [[nodiscard]] Status set_attributes(Handle handle, u8 attributes, se::Mode mode);

  // Live handles in ascending order: next({0}) is the first; null at the end.
  [[nodiscard]] Handle next(Handle after) const { return table_->next(after); }
  [[nodiscard]] Object* peek(Handle handle) const;  // no reference taken; null when not live
  [[nodiscard]] u32 count() const { return table_->count(); }
  [[nodiscard]] u32 peak_count() const { return peak_count_; }
  [[nodiscard]] const ex::HandleTable& table() const { return *table_; }
  [[nodiscard]] void* owner() const { return settings_.owner; }
  [[nodiscard]] ObjectManager& objects() const { return objects_; }

 private:
  ObjectHandles(ObjectManager& objects, const Settings& settings) : objects_(objects), settings_(settings) {}
  struct Resolved {
    Object* object;
    u32 granted_access;
    u8 attributes;
  };
  [[nodiscard]] ObjectHandles* kernel_table(Handle handle, se::Mode mode) const;
  [[nodiscard]] Object* pseudo(Handle handle) const;
  [[nodiscard]] Result<Resolved> resolve(Handle handle, se::Mode mode) const;
  [[nodiscard]] Result<u32> duplicate_access(const Object& object, u32 source_access, u32 desired_access,
                                             const AccessState& access) const;
  void close_entry(Handle handle);

  ObjectManager& objects_;
  Settings settings_;
  std::unique_ptr<ex::HandleTable> table_;
  u32 peak_count_ = 0;
};

// The typed form that services use: T is the host structure of objects of `type`.
template <typename T>
[[nodiscard]] Result<Ref<T>> reference_by_handle(ObjectHandles& table, Handle handle, const ObjectType& type,
                                                 u32 desired_access, se::Mode mode,
                                                 HandleInformation* information = nullptr) {
  Result<Ref<Object>> object = table.reference(handle, &type, desired_access, mode, information);
  if (!object) return Failure(object.error());
  return ref_cast<T>(std::move(*object));
}

}  // namespace vitrine::ob
