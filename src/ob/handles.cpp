#include "ob/handles.h"

#include <new>
#include <utility>

#include "base/check.h"

namespace vitrine::ob {
namespace {

ex::HandleTable::Sites table_sites(ObjectManager& objects) {
  return ex::HandleTable::make_sites(objects.pool(), "process handle table");
}

}  // namespace

Result<std::unique_ptr<ObjectHandles>> ObjectHandles::create(ObjectManager& objects, const Settings& settings) {
  Result<std::unique_ptr<ex::HandleTable>> table = ex::HandleTable::create(
      objects.profile(), objects.pool(), table_sites(objects), ex::HandleReuse::last_in_first_out, settings.quota);
  if (!table) return Failure(table.error());
  std::unique_ptr<ObjectHandles> handles(new (std::nothrow) ObjectHandles(objects, settings));
  if (handles == nullptr) return Failure(Status::insufficient_resources);
  handles->table_ = std::move(*table);
  return handles;
}

Result<std::unique_ptr<ObjectHandles>> ObjectHandles::create_inheriting(const ObjectHandles& parent,
                                                                        const Settings& settings) {
  ObjectManager& objects = parent.objects_;
  // NT: OBJ_EXCLUSIVE excludes inheritance.
  const auto keep = [](Handle, const ex::HandleEntry& entry) {
    return (entry.attributes() & ex::handle_attributes::kInherit) != 0 &&
           !static_cast<Object*>(entry.object())->has_flag(object_flags::kExclusive);
  };
  Result<std::unique_ptr<ex::HandleTable>> table =
      ex::HandleTable::duplicate(objects.profile(), *parent.table_, table_sites(objects), settings.quota, keep);
  if (!table) return Failure(table.error());
  std::unique_ptr<ObjectHandles> handles(new (std::nothrow) ObjectHandles(objects, settings));
  if (handles == nullptr) return Failure(Status::insufficient_resources);
  handles->table_ = std::move(*table);
  for (Handle handle = handles->next({0}); handle; handle = handles->next(handle)) {
    const ex::HandleEntry* entry = handles->table_->find(handle);
    Object& object = *static_cast<Object*>(entry->object());
    objects.add_handle(object);
    const TypeTraits& traits = object.type().traits;
    // NT: an open routine cannot refuse an inherited handle.
    if (traits.open != nullptr) (void)traits.open(object, *handles, entry->granted_access());
  }
  handles->peak_count_ = handles->count();
  return handles;
}

ObjectHandles::~ObjectHandles() {
  if (table_ != nullptr) close_all();
}

Object* ObjectHandles::peek(Handle handle) const {
  const ex::HandleEntry* entry = table_->find(handle);
  return entry == nullptr ? nullptr : static_cast<Object*>(entry->object());
}

Object* ObjectHandles::pseudo(Handle handle) const {
  if (settings_.context == nullptr) return nullptr;
  if (handle == kCurrentProcess) return &settings_.context->current_process();
  if (handle == kCurrentThread) return &settings_.context->current_thread();
  return nullptr;
}

// NT: kernel handles exist for kernel callers only; to a user they are values that name nothing.
ObjectHandles* ObjectHandles::kernel_table(Handle handle, se::Mode mode) const {
  const bool is_kernel_handle = (handle.value & kKernelHandleMask) == kKernelHandleMask;
  if (mode == se::Mode::user || !is_kernel_handle || settings_.context == nullptr) return nullptr;
  return &settings_.context->kernel_handles();
}

Result<ObjectHandles::Resolved> ObjectHandles::resolve(Handle handle, se::Mode mode) const {
  if (Object* object = pseudo(handle)) return Resolved{object, object->type().traits.valid_access, 0};
  const ObjectHandles* owner = this;
  if (ObjectHandles* kernel = kernel_table(handle, mode)) {
    owner = kernel;
    handle.value &= ~kKernelHandleMask;
  }
  const ex::HandleEntry* entry = owner->table_->find(handle);
  if (entry == nullptr) return Failure(Status::invalid_handle);
  return Resolved{static_cast<Object*>(entry->object()), entry->granted_access(), entry->attributes()};
}

Result<Handle> ObjectHandles::insert(Object& object, u32 granted_access, u8 attributes) {
  const trace::CallScope scope(objects_.pool().calls(), "ObpCreateHandle");
  if (object.has_flag(object_flags::kExclusive)) {
    const ObjectInfo* info = object.info();
    const void* owner = info == nullptr ? nullptr : info->exclusive_owner;
    if (object.handle_count() > 0 && owner != this) return Failure(Status::access_denied);
    objects_.info_of(object).exclusive_owner = this;
  }
  const TypeTraits& traits = object.type().traits;
  if (traits.open != nullptr) {
    if (const Status status = traits.open(object, *this, granted_access); !is_success(status)) return Failure(status);
  }
  const Result<Handle> handle = table_->allocate(&object, granted_access, attributes);
  if (!handle) return handle;
  objects_.add_handle(object);
  if (table_->count() > peak_count_) peak_count_ = table_->count();
  return handle;
}

Result<Handle> ObjectHandles::open(Object& object, u32 desired_access, u32 object_attributes,
                                   const AccessState& access) {
  const TypeTraits& traits = object.type().traits;
  u32 granted = 0;
  if (access.mode == se::Mode::user && access.token != nullptr) {
    const Result<u32> checked =
        se::access_check(objects_.security(object), *access.token, desired_access, traits.mapping, access.mode);
    if (!checked) return Failure(checked.error());
    granted = *checked;
  } else {
    granted = se::map_generic(desired_access, traits.mapping);
    if ((granted & se::access::kMaximumAllowed) != 0) granted |= traits.mapping.all;
  }
  granted &= traits.valid_access | se::access::kAccessSystemSecurity;
  const u8 attributes = (object_attributes & abi::obj::kInherit) != 0 ? ex::handle_attributes::kInherit : u8{0};
  const bool to_kernel = (object_attributes & abi::obj::kKernelHandle) != 0 && access.mode == se::Mode::kernel;
  if (!to_kernel || settings_.context == nullptr) return insert(object, granted, attributes);
  const Result<Handle> handle = settings_.context->kernel_handles().insert(object, granted, attributes);
  if (!handle) return handle;
  return Handle{handle->value | kKernelHandleMask};
}

Result<Handle> ObjectHandles::open_by_name(const ObjectAttributes& attributes, const ObjectType* type,
                                           u32 desired_access, const AccessState& access, void* parse_context) {
  const Result<Ref<Object>> object = objects_.lookup({.name = attributes.name,
                                                      .root = attributes.root.get(),
                                                      .attributes = attributes.attributes,
                                                      .type = type,
                                                      .desired_access = desired_access,
                                                      .access = access,
                                                      .parse_context = parse_context});
  if (!object) return Failure(object.error());
  return open(**object, desired_access, attributes.attributes, access);
}

Result<ObjectHandles::Created> ObjectHandles::insert_new(Ref<Object> object, const ObjectAttributes& attributes,
                                                         u32 desired_access, const AccessState& access) {
  const trace::CallScope scope(objects_.pool().calls(), "ObInsertObject");
  Object* const fresh = object.get();
  Result<ObjectManager::Inserted> inserted = objects_.insert(std::move(object), attributes, access);
  if (!inserted) return Failure(inserted.error());
  // NT: whoever creates an object gets what it asked for; one that existed already is checked like any other.
  const bool is_new = inserted->object.get() == fresh;
  const AccessState check = is_new ? AccessState{se::Mode::kernel, access.token} : access;
  const u32 mode_attributes =
      access.mode == se::Mode::user ? attributes.attributes & ~abi::obj::kKernelHandle : attributes.attributes;
  const Result<Handle> handle = open(*inserted->object, desired_access, mode_attributes, check);
  if (!handle) {
    // The name must not outlive the failed creation.
    if (is_new && inserted->object->handle_count() == 0) objects_.make_temporary(*inserted->object);
    return Failure(handle.error());
  }
  return Created{*handle, inserted->status, std::move(inserted->object)};
}

Result<Ref<Object>> ObjectHandles::reference(Handle handle, const ObjectType* type, u32 desired_access, se::Mode mode,
                                             HandleInformation* information) {
  const Result<Resolved> found = resolve(handle, mode);
  if (!found) return Failure(found.error());
  if (type != nullptr && &found->object->type() != type) return Failure(Status::object_type_mismatch);
  if (mode == se::Mode::user && (desired_access & ~found->granted_access) != 0 && pseudo(handle) == nullptr) {
    return Failure(Status::access_denied);
  }
  if (information != nullptr) *information = {found->granted_access, found->attributes};
  return Ref<Object>(*found->object);
}

void ObjectHandles::close_entry(Handle handle) {
  const ex::HandleEntry* entry = table_->find(handle);
  Object& object = *static_cast<Object*>(entry->object());
  const u32 granted_access = entry->granted_access();
  table_->release(handle);
  objects_.remove_handle(object, *this, granted_access);
}

Status ObjectHandles::close(Handle handle, se::Mode mode) {
  if (pseudo(handle) != nullptr) return Status::success;
  if (ObjectHandles* kernel = kernel_table(handle, mode); kernel != nullptr) {
    const Handle plain{handle.value & ~kKernelHandleMask};
    if (kernel->table_->find(plain) == nullptr) return Status::invalid_handle;
    kernel->close_entry(plain);
    return Status::success;
  }
  const ex::HandleEntry* entry = table_->find(handle);
  if (entry == nullptr) return Status::invalid_handle;
  if (mode == se::Mode::user && (entry->attributes() & ex::handle_attributes::kProtectFromClose) != 0) {
    return Status::handle_not_closable;
  }
  Object& object = *static_cast<Object*>(entry->object());
  const TypeTraits& traits = object.type().traits;
  if (traits.okay_to_close != nullptr && !traits.okay_to_close(object, *this, handle, mode)) {
    return Status::handle_not_closable;
  }
  close_entry({handle.value & ~u64{3}});
  return Status::success;
}

void ObjectHandles::close_all() {
  // A close routine may open nothing in a table that is being emptied, but look once more from the start to be sure.
  while (table_->count() > 0) {
    for (Handle handle = next({0}); handle; handle = next(handle)) close_entry(handle);
  }
}

Result<u32> ObjectHandles::duplicate_access(const Object& object, u32 source_access, u32 desired_access,
                                            const AccessState& access) const {
  const TypeTraits& traits = object.type().traits;
  u32 granted = se::map_generic(desired_access, traits.mapping);
  // NT: what the source grants needs no check; asking for more is checked like an open.
  const bool grows = (granted & ~source_access) != 0;
  if (grows && access.mode == se::Mode::user && access.token != nullptr) {
    const Result<u32> checked =
        se::access_check(objects_.security(object), *access.token, granted, traits.mapping, access.mode);
    if (!checked) return checked;
    granted = *checked;
  } else if ((granted & se::access::kMaximumAllowed) != 0) {
    granted |= traits.mapping.all;
  }
  return granted & (traits.valid_access | se::access::kAccessSystemSecurity);
}

Result<Handle> ObjectHandles::duplicate(Handle source, ObjectHandles* target, u32 desired_access, u8 attributes,
                                        u32 options, const AccessState& access) {
  const bool close_source = (options & abi::duplicate::kCloseSource) != 0;
  if (target == nullptr && !close_source) return Failure(Status::invalid_parameter);
  const Result<Resolved> found = resolve(source, access.mode);
  if (!found) return Failure(found.error());
  const Ref<Object> object(*found->object);
  const Resolved from = *found;
  Result<Handle> handle(Handle{0});
  if (target != nullptr) {
    Result<u32> granted(from.granted_access);
    if ((options & abi::duplicate::kSameAccess) == 0) {
      granted = duplicate_access(*object, from.granted_access, desired_access, access);
    }
    constexpr u8 kCopied = ex::handle_attributes::kInherit | ex::handle_attributes::kProtectFromClose;
    const u8 wanted = (options & abi::duplicate::kSameAttributes) != 0 ? from.attributes : attributes;
    handle = granted ? target->insert(*object, *granted, wanted & kCopied) : Result<Handle>(Failure(granted.error()));
  }
  // Only now: the handle count must not pass through zero.
  if (close_source) (void)close(source, access.mode);
  return handle;
}

Status ObjectHandles::set_attributes(Handle handle, u8 attributes, se::Mode mode) {
  ObjectHandles* owner = this;
  if (ObjectHandles* kernel = kernel_table(handle, mode); kernel != nullptr && pseudo(handle) == nullptr) {
    owner = kernel;
    handle.value &= ~kKernelHandleMask;
  }
  ex::HandleEntry* entry = owner->table_->find(handle);
  if (entry == nullptr) return Status::invalid_handle;
  constexpr u8 kSettable = ex::handle_attributes::kInherit | ex::handle_attributes::kProtectFromClose;
  entry->set_attributes(static_cast<u8>((entry->attributes() & ~kSettable) | (attributes & kSettable)));
  return Status::success;
}

}  // namespace vitrine::ob
