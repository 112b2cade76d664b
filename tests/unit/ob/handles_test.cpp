#include "ob/handles.h"

#include "objects_test.h"

namespace vitrine::ob {
namespace {

struct HandlesTest : ObjectTest, CurrentContext {
  Object& current_process() override { return *process; }
  Object& current_thread() override { return *thread; }
  ObjectHandles& kernel_handles() override { return *kernel; }

  std::unique_ptr<ObjectHandles> make_table(ex::QuotaCharger* quota = nullptr) {
    return std::move(*ObjectHandles::create(objects, {.quota = quota, .context = this}));
  }
  Status reference_status(ObjectHandles& table, Handle handle, const ObjectType* wanted, u32 access,
                          se::Mode mode = se::Mode::user) {
    const auto object = table.reference(handle, wanted, access, mode);
    return object ? Status::success : object.error();
  }

  Ref<TestObject> process = make();
  Ref<TestObject> thread = *objects.create<TestObject>(*other_type, {});
  std::unique_ptr<ObjectHandles> kernel = make_table();
  std::unique_ptr<ObjectHandles> table = make_table();
  const se::TokenData token = se::make_user_token(1, false);
  const AccessState user{se::Mode::user, &token};
};

TEST_F(HandlesTest, ErrorsComeInNtsOrder) {
  const Handle handle = *table->insert(*make(), 1, 0);
  EXPECT_EQ(reference_status(*table, {400}, type, 1), Status::invalid_handle);
  EXPECT_EQ(reference_status(*table, handle, other_type, 2), Status::object_type_mismatch);
  EXPECT_EQ(reference_status(*table, handle, type, 2), Status::access_denied);
  EXPECT_EQ(reference_status(*table, handle, type, 2, se::Mode::kernel), Status::success);
  EXPECT_EQ(reference_status(*table, handle, nullptr, 1), Status::success);
}

TEST_F(HandlesTest, EachHandleHoldsOneReference) {
  Ref<TestObject> object = make();
  const Handle handle = *table->insert(*object, kAll, 0);
  EXPECT_EQ(object->pointer_count(), 2);
  EXPECT_EQ(object->handle_count(), 1);
  object.reset();
  EXPECT_EQ(counters.deleted, 0);
  EXPECT_EQ(table->close(handle, se::Mode::user), Status::success);
  EXPECT_EQ(counters.deleted, 1);
  EXPECT_EQ(counters.last_count_before, 1);
  EXPECT_EQ(table->close(handle, se::Mode::user), Status::invalid_handle);
}

TEST_F(HandlesTest, PseudoHandlesNameTheCallerAndGrantEverything) {
  EXPECT_EQ(*table->reference(kCurrentProcess, type, ~u32{0}, se::Mode::user), Ref<Object>(process));
  EXPECT_EQ(*table->reference(kCurrentThread, other_type, kAll, se::Mode::user), Ref<Object>(thread));
  EXPECT_EQ(reference_status(*table, kCurrentThread, type, 0), Status::object_type_mismatch);
  EXPECT_EQ(table->close(kCurrentProcess, se::Mode::user), Status::success);
  EXPECT_EQ(reference_status(*table, {~u64{0} - 2}, nullptr, 0), Status::invalid_handle);
}

TEST_F(HandlesTest, KernelHandlesAreInvisibleToUsers) {
  const Ref<TestObject> object = make();
  const Handle handle = *table->open(*object, kAll, abi::obj::kKernelHandle, {});
  EXPECT_EQ(handle.value & kKernelHandleMask, kKernelHandleMask);
  EXPECT_EQ(kernel->count(), 1u);
  EXPECT_EQ(reference_status(*table, handle, type, 0), Status::invalid_handle);
  EXPECT_EQ(reference_status(*table, handle, type, 0, se::Mode::kernel), Status::success);
  EXPECT_EQ(table->close(handle, se::Mode::user), Status::invalid_handle);
  EXPECT_EQ(table->close(handle, se::Mode::kernel), Status::success);
  // A user who asks for one gets an ordinary handle.
  const auto created = table->insert_new(make(), {.attributes = abi::obj::kKernelHandle}, kAll, user);
  ASSERT_TRUE(created);
  EXPECT_LT(created->handle.value, 1024u);
}

TEST_F(HandlesTest, ProtectedHandlesCannotBeClosedByUsers) {
  const Handle handle = *table->insert(*make(), kAll, 0);
  ASSERT_EQ(table->set_attributes(handle, ex::handle_attributes::kProtectFromClose, se::Mode::user), Status::success);
  EXPECT_EQ(table->close(handle, se::Mode::user), Status::handle_not_closable);
  ASSERT_EQ(table->set_attributes(handle, 0, se::Mode::user), Status::success);
  EXPECT_EQ(table->close(handle, se::Mode::user), Status::success);
}

TEST_F(HandlesTest, TheTypeMayRefuseToClose) {
  const Handle handle = *table->insert(*make(), kAll, 0);
  counters.refuse_close = true;
  EXPECT_EQ(table->close(handle, se::Mode::user), Status::handle_not_closable);
  EXPECT_EQ(table->count(), 1u);
}

TEST_F(HandlesTest, AFailingOpenRoutineLeavesNoHandle) {
  const Ref<TestObject> object = make();
  counters.open_status = Status::device_busy;
  EXPECT_EQ(table->insert(*object, kAll, 0).error(), Status::device_busy);
  EXPECT_EQ(object->handle_count(), 0);
  EXPECT_EQ(object->pointer_count(), 1);
}

TEST_F(HandlesTest, ATemporaryNameGoesWithTheLastHandle) {
  const auto created = table->insert_new(make(), named(u"\\BaseNamedObjects\\t"), kAll, user);
  const Handle second = *table->open_by_name(named(u"\\BaseNamedObjects\\T"), type, 1, user);
  const Ref<Object> pointer = created->object;
  (void)table->close(created->handle, se::Mode::user);
  EXPECT_TRUE(lookup(u"\\BaseNamedObjects\\t"));
  (void)table->close(second, se::Mode::user);
  EXPECT_EQ(lookup_status(u"\\BaseNamedObjects\\t"), Status::object_name_not_found);  // though `pointer` lives
  EXPECT_EQ(pointer->name(), u"");
}

TEST_F(HandlesTest, APermanentNameStaysUntilMadeTemporary) {
  const ObjectAttributes attributes = named(u"\\BaseNamedObjects\\p", abi::obj::kPermanent);
  Result<ObjectHandles::Created> created = table->insert_new(make({.attributes = attributes}), attributes, kAll, user);
  Object* object = created->object.get();
  created->object.reset();
  (void)table->close(created->handle, se::Mode::user);
  EXPECT_TRUE(lookup(u"\\BaseNamedObjects\\p"));
  objects.make_temporary(*object);
  EXPECT_EQ(counters.deleted, 1);
  EXPECT_FALSE(lookup(u"\\BaseNamedObjects\\p"));
}

TEST_F(HandlesTest, CreatingWithOpenIfChecksTheExistingObject) {
  se::SecurityDescriptor read_only;
  read_only.dacl = {{se::AceType::allowed, 0, 1, se::well_known::everyone()}};
  ObjectAttributes attributes = named(u"\\BaseNamedObjects\\o", abi::obj::kOpenIf);
  attributes.security = std::make_shared<const se::SecurityDescriptor>(read_only);
  const auto first = table->insert_new(make({.attributes = attributes}), attributes, kAll, user);
  ASSERT_TRUE(first);  // the creator gets what it asks for
  EXPECT_EQ(first->status, Status::success);
  EXPECT_EQ(table->insert_new(make(), attributes, kAll, user).error(), Status::access_denied);
  const auto again = table->insert_new(make(), attributes, 1, user);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->status, Status::object_name_exists);
  EXPECT_EQ(again->object, first->object);
  EXPECT_EQ(type->object_count, 2u);  // this one and `process`
}

TEST_F(HandlesTest, AFailedHandleTakesTheNewNameBack) {
  counters.open_status = Status::device_busy;
  EXPECT_EQ(table->insert_new(make(), named(u"\\BaseNamedObjects\\f"), kAll, user).error(), Status::device_busy);
  EXPECT_FALSE(lookup(u"\\BaseNamedObjects\\f"));
  EXPECT_EQ(counters.deleted, 1);
}

TEST_F(HandlesTest, GenericAndMaximumRightsAreMappedAtOpen) {
  const Ref<TestObject> object = make();
  HandleInformation information{};
  Handle handle = *table->open(*object, se::access::kGenericRead, abi::obj::kInherit, user);
  (void)table->reference(handle, type, 0, se::Mode::user, &information);
  EXPECT_EQ(information.granted_access, 0x2'0001u);
  EXPECT_EQ(information.attributes, ex::handle_attributes::kInherit);
  handle = *table->open(*object, se::access::kMaximumAllowed, 0, user);
  (void)table->reference(handle, type, 0, se::Mode::user, &information);
  EXPECT_EQ(information.granted_access, kAll);
}

TEST_F(HandlesTest, DuplicateGivesSameOrFewerRightsAndChecksMore) {
  const Ref<TestObject> object = make();
  se::SecurityDescriptor read_only;
  read_only.dacl = {{se::AceType::allowed, 0, 1, se::well_known::everyone()}};
  ASSERT_EQ(objects.set_security(*object, read_only, se::security_information::kDacl), Status::success);
  const auto other = make_table();
  const Handle source = *table->insert(*object, 3, ex::handle_attributes::kInherit);
  HandleInformation information{};
  Handle copy =
      *table->duplicate(source, other.get(), 0, 0, abi::duplicate::kSameAccess | abi::duplicate::kSameAttributes, user);
  (void)other->reference(copy, type, 0, se::Mode::user, &information);
  EXPECT_EQ(information.granted_access, 3u);
  EXPECT_EQ(information.attributes, ex::handle_attributes::kInherit);
  copy = *table->duplicate(source, other.get(), 2, 0, 0, user);
  (void)other->reference(copy, type, 0, se::Mode::user, &information);
  EXPECT_EQ(information.granted_access, 2u);
  EXPECT_EQ(information.attributes, 0);
  EXPECT_EQ(table->duplicate(source, other.get(), kAll, 0, 0, user).error(), Status::access_denied);
  EXPECT_EQ(object->handle_count(), 3);
}

TEST_F(HandlesTest, CloseSourceClosesEvenWhenDuplicationFails) {
  Quota quota;
  const auto other = make_table(&quota);
  Ref<TestObject> object = make();
  const Handle source = *table->insert(*object, kAll, 0);
  counters.open_status = Status::device_busy;
  EXPECT_EQ(
      table->duplicate(source, other.get(), 0, 0, abi::duplicate::kCloseSource | abi::duplicate::kSameAccess, user)
          .error(),
      Status::device_busy);
  EXPECT_EQ(reference_status(*table, source, type, 0), Status::invalid_handle);
  counters.open_status = Status::success;
  const Handle next = *table->insert(*object, kAll, 0);
  EXPECT_EQ(table->duplicate(next, nullptr, 0, 0, abi::duplicate::kSameAccess, user).error(),
            Status::invalid_parameter);
  EXPECT_TRUE(table->duplicate(next, nullptr, 0, 0, abi::duplicate::kCloseSource, user));
  EXPECT_EQ(object->handle_count(), 0);
}

// A named object must keep its name while its only handle moves to another process.
TEST_F(HandlesTest, MovingTheOnlyHandleKeepsNameAndObject) {
  const auto other = make_table();
  const auto created = table->insert_new(make(), named(u"\\BaseNamedObjects\\m"), kAll, user);
  const Handle moved = *table->duplicate(created->handle, other.get(), 0, 0,
                                         abi::duplicate::kCloseSource | abi::duplicate::kSameAccess, user);
  EXPECT_TRUE(lookup(u"\\BaseNamedObjects\\m"));
  EXPECT_EQ(counters.last_count_before, 2);
  EXPECT_EQ(*other->reference(moved, type, kAll, se::Mode::user), created->object);
}

TEST_F(HandlesTest, DuplicatingAPseudoHandleMakesARealOne) {
  const Handle real = *table->duplicate(kCurrentProcess, table.get(), 0, 0, abi::duplicate::kSameAccess, user);
  EXPECT_EQ(*table->reference(real, type, kAll, se::Mode::user), Ref<Object>(process));
}

TEST_F(HandlesTest, ChildrenInheritMarkedHandlesAtTheSameValues) {
  const Ref<TestObject> object = make();
  (void)*table->insert(*object, 1, 0);
  const Handle kept =
      *table->insert(*object, 2, ex::handle_attributes::kInherit | ex::handle_attributes::kProtectFromClose);
  const auto child = std::move(*ObjectHandles::create_inheriting(*table, {.context = this}));
  EXPECT_EQ(child->count(), 1u);
  HandleInformation information{};
  EXPECT_TRUE(child->reference(kept, type, 2, se::Mode::user, &information));
  EXPECT_EQ(information.attributes, ex::handle_attributes::kInherit | ex::handle_attributes::kProtectFromClose);
  EXPECT_EQ(object->handle_count(), 3);
  EXPECT_EQ(object->pointer_count(), 4);
}

TEST_F(HandlesTest, CloseAllClosesProtectedHandlesInAscendingOrder) {
  const Ref<TestObject> object = make();
  for (int i = 0; i < 600; ++i) (void)*table->insert(*object, 1, ex::handle_attributes::kProtectFromClose);
  table->close_all();
  EXPECT_EQ(table->count(), 0u);
  EXPECT_EQ(counters.closed, 600);
  EXPECT_EQ(object->pointer_count(), 1);
  EXPECT_EQ(table->peak_count(), 600u);
}

TEST_F(HandlesTest, AnExclusiveObjectOpensInOneTableOnly) {
  const Ref<TestObject> object = make({.attributes = {.attributes = abi::obj::kExclusive}});
  const auto other = make_table();
  const Handle handle = *table->insert(*object, kAll, ex::handle_attributes::kInherit);
  EXPECT_EQ(other->insert(*object, kAll, 0).error(), Status::access_denied);
  EXPECT_EQ((*ObjectHandles::create_inheriting(*table, {}))->count(), 0u);
  (void)table->close(handle, se::Mode::user);
  EXPECT_TRUE(other->insert(*object, kAll, 0));
}

TEST_F(HandlesTest, TableQuotaReturnsToZero) {
  Quota quota;
  auto paying = make_table(&quota);
  const Ref<TestObject> object = make();
  for (int i = 0; i < 300; ++i) (void)*paying->insert(*object, 1, 0);
  EXPECT_EQ(quota.bytes[1], pool.rounded_bytes(profile.sizes.handle_table) + 3 * 4096);
  paying.reset();
  EXPECT_EQ(quota.bytes[1], 0u);
  EXPECT_EQ(object->pointer_count(), 1);
}

}  // namespace
}  // namespace vitrine::ob
