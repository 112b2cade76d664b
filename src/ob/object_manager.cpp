#include "ob/object_manager.h"

#include <utility>

#include "base/check.h"
#include "ex/unicode.h"

namespace vitrine::ob {
namespace {

constexpr u32 kNameTag = ex::pool_tag("ObNm");
constexpr u32 kEntryTag = ex::pool_tag("ObDi");
constexpr u32 kSecurityTag = ex::pool_tag("ObSc");
constexpr u32 kLinkTargetTag = ex::pool_tag("ObSt");

u32 tag_of(const TypeTraits& traits) {
  if (traits.tag != 0) return traits.tag;
  std::string text;
  for (std::size_t i = 0; i < 4 && i < traits.name.size(); ++i) text += static_cast<char>(traits.name[i] & 0x7F);
  return ex::pool_tag(text);
}

void delete_symbolic_link(Object& object) {
  auto& link = static_cast<SymbolicLinkObject&>(object);
  if (link.target_block) object.type().manager->pool().free(link.target_block);
}

void delete_directory(Object& object) { VITRINE_CHECK(static_cast<DirectoryObject&>(object).entries.empty()); }

}  // namespace

void reference(Object& object) { ++object.pointer_count_; }

void dereference(Object& object) {
  VITRINE_CHECK(object.pointer_count_ > 0);
  if (--object.pointer_count_ == 0) object.type_->manager->release_object(object);
}

ObjectManager::ObjectManager(const sim::Profile& profile, ex::Pool& pool)
    : profile_(profile),
      pool_(pool),
      name_site_(pool.site("object name", ex::PoolType::paged, kNameTag)),
      entry_site_(pool.site("directory entry", ex::PoolType::paged, kEntryTag)),
      security_site_(pool.site("security descriptor", ex::PoolType::paged, kSecurityTag)),
      link_target_site_(pool.site("symbolic link target", ex::PoolType::paged, kLinkTargetTag)) {
  make_own_types();
}

void ObjectManager::make_own_types() {
  const u32 pointer = profile_.pointer_size;
  const bool is_64 = pointer == 8;
  namespace sa = se::access;
  // NT: OBJECT_TYPE is 0x190 bytes (5.2 x86), 0x2D0 (5.2 x64), 0xD0 (6.1 x64); the directory is 37 buckets, a lock and
  // three words; the link holds a time, a string and a drive number [VOL; sizes of 5.2 types K].
  const u32 type_bytes = !is_64 ? 0x190 : profile_.sizes.quota_info_on_threads ? 0xD0 : 0x2D0;
  type_type_ = &add_type({.name = u"Type",
                          .pool = ex::PoolType::nonpaged,
                          .tag = ex::pool_tag("ObjT"),
                          .body_bytes = type_bytes,
                          .valid_access = 0xF'0001,
                          .mapping = {sa::kReadControl, sa::kReadControl, sa::kReadControl, 0xF'0001}});
  directory_type_ = &add_type(
      {.name = u"Directory",
       .pool = ex::PoolType::paged,
       .tag = ex::pool_tag("Dire"),
       .body_bytes = 37 * pointer + 4 * pointer,
       .valid_access = abi::directory_access::kAll,
       .mapping = {sa::kReadControl | 3, sa::kReadControl | 0xC, sa::kReadControl | 3, abi::directory_access::kAll},
       .delete_object = delete_directory,
       .destroy = [](Object* object) { delete static_cast<DirectoryObject*>(object); }});
  symbolic_link_type_ = &add_type(
      {.name = u"SymbolicLink",
       .pool = ex::PoolType::paged,
       .tag = ex::pool_tag("Symb"),
       .body_bytes = is_64 ? 0x20u : 0x18u,
       .valid_access = abi::symbolic_link_access::kAll,
       .mapping = {sa::kReadControl | 1, sa::kReadControl, sa::kReadControl | 1, abi::symbolic_link_access::kAll},
       .delete_object = delete_symbolic_link,
       .destroy = [](Object* object) { delete static_cast<SymbolicLinkObject*>(object); }});
  // The pool was made for this machine a moment ago: a region that cannot hold the first objects is a wrong profile.
  const CreateRequest request{.attributes = {.attributes = abi::obj::kPermanent}, .kernel_object = true};
  Result<Ref<DirectoryObject>> root = create<DirectoryObject>(*directory_type_, request);
  VITRINE_CHECK(root.has_value());
  root_ = root->release();
  Result<Ref<DirectoryObject>> types = make_directory(u"\\ObjectTypes");
  VITRINE_CHECK(types.has_value());
  types_directory_ = types->get();
  for (ObjectType* type : types_) VITRINE_CHECK(is_success(enter(*types_directory_, type->type_name, *type)));
}

ObjectType& ObjectManager::add_type(const TypeTraits& traits) {
  VITRINE_CHECK(find_type(traits.name) == nullptr && types_.size() < 250);
  auto* type = new ObjectType;
  type->type_name = traits.name;
  type->traits = traits;
  type->traits.name = type->type_name;
  type->manager = this;
  type->index = static_cast<u8>(types_.size() + 2);  // NT 6.1: indexes 0 and 1 mark bad headers
  type->site = pool_.site("ObCreateObject: " + ex::to_utf8(traits.name), traits.pool, tag_of(traits));
  types_.push_back(type);
  ObjectType& type_of_types = type_type_ == nullptr ? *type : *type_type_;
  VITRINE_CHECK(is_success(
      attach(*type, type_of_types, {.attributes = {.attributes = abi::obj::kPermanent}, .kernel_object = true})));
  type->flags_ |= object_flags::kStatic;
  return *type;
}

ObjectType& ObjectManager::register_type(const TypeTraits& traits) {
  ObjectType& type = add_type(traits);
  VITRINE_CHECK(is_success(enter(*types_directory_, type.type_name, type)));
  return type;
}

ObjectType* ObjectManager::find_type(std::u16string_view name) const {
  for (ObjectType* type : types_) {
    if (type->type_name == name) return type;
  }
  return nullptr;
}

u64 ObjectManager::object_count() const {
  u64 count = 0;
  for (const ObjectType* type : types_) count += type->object_count;
  return count;
}

// NT: the optional headers precede the object header; which ones there are follows from the request [facts 1.3].
u64 ObjectManager::block_bytes(const ObjectType& type, const CreateRequest& request) const {
  const sim::StructureSizes& sizes = profile_.sizes;
  const bool exclusive = (request.attributes.attributes & abi::obj::kExclusive) != 0;
  u64 bytes = u64{sizes.object_header} + type.traits.body_bytes + request.extra_body_bytes;
  if (!request.attributes.name.empty()) bytes += sizes.object_name_info;
  if (type.traits.maintains_handle_count) bytes += sizes.object_handle_info;
  if ((type.traits.carries_quota_info || exclusive) && !request.kernel_object) bytes += sizes.object_quota_info;
  return bytes;
}

Status ObjectManager::attach(Object& object, ObjectType& type, const CreateRequest& request) {
  const trace::CallScope scope(pool_.calls(), "ObCreateObject");
  const u32 attributes = request.attributes.attributes;
  if ((attributes & type.traits.invalid_attributes) != 0) return Status::invalid_parameter;
  Result<ex::PoolBlock> block = pool_.allocate(type.site, block_bytes(type, request));
  if (!block) return block.error();
  ex::PoolBlock security_block;
  if (request.attributes.security != nullptr) {
    const Result<ex::PoolBlock> made = pool_.allocate(security_site_, request.attributes.security->booked_bytes());
    if (!made) {
      pool_.free(*block);
      return made.error();
    }
    security_block = *made;
  }
  if (request.payer != nullptr) {
    // NT charges when the first handle is made; charging here differs only for objects that never get one.
    Status status = request.payer->charge_pool(ex::PoolType::nonpaged, type.traits.nonpaged_charge);
    if (is_success(status)) {
      status = request.payer->charge_pool(ex::PoolType::paged, type.traits.paged_charge);
      if (!is_success(status)) request.payer->return_pool(ex::PoolType::nonpaged, type.traits.nonpaged_charge);
    }
    if (!is_success(status)) {
      if (security_block) pool_.free(security_block);
      pool_.free(*block);
      return status;
    }
  }
  object.type_ = &type;
  object.block_ = block->bits;
  object.flags_ = static_cast<u8>((request.kernel_object ? object_flags::kKernelObject : 0) |
                                  ((attributes & abi::obj::kPermanent) != 0 ? object_flags::kPermanent : 0) |
                                  ((attributes & abi::obj::kExclusive) != 0 ? object_flags::kExclusive : 0) |
                                  (request.payer != nullptr ? object_flags::kQuotaCharged : 0));
  if (security_block) {
    info_of(object).security = request.attributes.security;
    info_of(object).security_block = security_block;
  }
  if (request.payer != nullptr && type.traits.quota_payer == nullptr) {
    info_of(object).payer = request.payer;
    request.payer->add_reference();
  }
  ++type.object_count;
  if (type.object_count > type.peak_object_count) type.peak_object_count = type.object_count;
  return Status::success;
}

ObjectInfo& ObjectManager::info_of(Object& object) {
  if (object.info_ == nullptr) object.info_ = new ObjectInfo;
  return *object.info_;
}

void ObjectManager::release_object(Object& object) {
  VITRINE_CHECK(!object.has_flag(object_flags::kDeleting | object_flags::kStatic));
  object.flags_ |= object_flags::kDeleting;
  deletion_queue_.push_back(&object);
  if (deleting_) return;
  // Deleting one object may release others: they queue up here instead of nesting, so that no chain is too long.
  deleting_ = true;
  while (!deletion_queue_.empty()) {
    Object* next = deletion_queue_.back();
    deletion_queue_.pop_back();
    delete_object(*next);
  }
  deleting_ = false;
}

void ObjectManager::delete_object(Object& object) {
  VITRINE_CHECK(object.handle_count_ == 0);
  ObjectType& type = *object.type_;
  ex::QuotaCharger* payer = nullptr;
  if (object.has_flag(object_flags::kQuotaCharged)) {
    payer = type.traits.quota_payer != nullptr ? type.traits.quota_payer(object) : object.info_->payer;
  }
  if (type.traits.delete_object != nullptr) type.traits.delete_object(object);
  if (payer != nullptr) {
    payer->return_pool(ex::PoolType::nonpaged, type.traits.nonpaged_charge);
    payer->return_pool(ex::PoolType::paged, type.traits.paged_charge);
    if (type.traits.quota_payer == nullptr) payer->release();
  }
  if (ObjectInfo* info = std::exchange(object.info_, nullptr)) {
    VITRINE_CHECK(info->directory == nullptr);
    if (info->security_block) pool_.free(info->security_block);
    delete info;
  }
  ex::PoolBlock block{object.block_};
  pool_.free(block);
  --type.object_count;
  type.traits.destroy(&object);
}

void ObjectManager::make_temporary(Object& object) {
  object.flags_ &= static_cast<u8>(~object_flags::kPermanent);
  if (object.handle_count_ == 0) leave_directory(object);
}

void ObjectManager::make_permanent(Object& object) { object.flags_ |= object_flags::kPermanent; }

const se::SecurityDescriptor* ObjectManager::security(const Object& object) const {
  return object.info_ == nullptr ? nullptr : object.info_->security.get();
}

Status ObjectManager::set_security(Object& object, const se::SecurityDescriptor& descriptor, u32 information) {
  se::SecurityDescriptor merged;
  if (const se::SecurityDescriptor* old = security(object)) merged = *old;
  se::merge(merged, descriptor, information);
  const Result<ex::PoolBlock> block = pool_.allocate(security_site_, merged.booked_bytes());
  if (!block) return block.error();
  ObjectInfo& info = info_of(object);
  if (info.security_block) pool_.free(info.security_block);
  info.security_block = *block;
  info.security = std::make_shared<const se::SecurityDescriptor>(std::move(merged));
  return Status::success;
}

void ObjectManager::add_handle(Object& object) {
  reference(object);
  ++object.handle_count_;
  ObjectType& type = *object.type_;
  ++type.handle_count;
  if (type.handle_count > type.peak_handle_count) type.peak_handle_count = type.handle_count;
}

void ObjectManager::remove_handle(Object& object, ObjectHandles& table, u32 granted_access) {
  VITRINE_CHECK(object.handle_count_ > 0);
  const i32 before = object.handle_count_--;
  ObjectType& type = *object.type_;
  --type.handle_count;
  if (type.traits.close != nullptr) type.traits.close(object, {&table, granted_access, before});
  // NT: with the last handle a temporary name goes away, whoever still has a pointer [ObpDeleteNameCheck].
  if (object.handle_count_ == 0) {
    if (object.info_ != nullptr) object.info_->exclusive_owner = nullptr;
    if (!object.is_permanent()) leave_directory(object);
  }
  dereference(object);
}

Result<Ref<SymbolicLinkObject>> ObjectManager::create_symbolic_link(const CreateRequest& request,
                                                                    std::u16string_view target) {
  if (target.empty()) return Failure(Status::invalid_parameter);
  if (target.size() > kMaximumNameUnits) return Failure(Status::name_too_long);
  Result<Ref<SymbolicLinkObject>> link = create<SymbolicLinkObject>(*symbolic_link_type_, request);
  if (!link) return link;
  const Result<ex::PoolBlock> block = pool_.allocate(link_target_site_, target.size() * 2);
  if (!block) return Failure(block.error());
  (*link)->target = target;
  (*link)->target_block = *block;
  return link;
}

ObjectManager::~ObjectManager() {
  empty_directories();
  Object* root = std::exchange(root_, nullptr);
  dereference(*root);
  // Types go last; the type of types is the first of them.
  for (auto type = types_.rbegin(); type != types_.rend(); ++type) {
    ex::PoolBlock block{(*type)->block_};
    pool_.free(block);
    delete (*type)->info_;
    delete *type;
  }
}

}  // namespace vitrine::ob
