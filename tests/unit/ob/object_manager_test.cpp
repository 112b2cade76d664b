#include "ob/object_manager.h"

#include "objects_test.h"

namespace vitrine::ob {
namespace {

TEST_F(ObjectTest, AnObjectGoesWithItsLastReferenceAndItsPoolWithIt) {
  const u64 before = pool.usage(ex::PoolType::nonpaged).bytes;
  Ref<TestObject> object = make();
  EXPECT_EQ(pool.usage(ex::PoolType::nonpaged).bytes - before, 96u);  // 16 + 48 + 24, to the granule
  Ref<TestObject> second = object;
  EXPECT_EQ(object->pointer_count(), 2);
  object.reset();
  EXPECT_EQ(counters.deleted, 0);
  second.reset();
  EXPECT_EQ(counters.deleted, 1);
  EXPECT_EQ(pool.usage(ex::PoolType::nonpaged).bytes, before);
  EXPECT_EQ(type->object_count, 0u);
  EXPECT_EQ(type->peak_object_count, 1u);
}

// A thread object's block in the three profiles [facts 1.3].
TEST(ObjectSizeTest, ThreadObjectsAreBookedWithTheirOptionalHeaders) {
  const std::pair<std::string_view, u64> expected[] = {{"nt52-x86", 624}, {"nt52-x64", 1136}, {"nt61-x64", 1280}};
  for (const auto& [name, bytes] : expected) {
    const sim::Profile& profile = *sim::find_profile(name);
    ex::Pool pool(profile, nullptr);
    ObjectManager objects(profile, pool);
    ObjectType& thread = objects.register_type({.name = u"Thread",
                                                .tag = ex::pool_tag("Thr\xE5"),
                                                .body_bytes = profile.sizes.ethread,
                                                .carries_quota_info = profile.sizes.quota_info_on_threads});
    const Ref<TestObject> object = *objects.create<TestObject>(thread, {});
    EXPECT_EQ(pool.charged_bytes(object->block()), bytes) << name;
    EXPECT_EQ(pool.site_info(object->block().site()).tag, ex::pool_tag("Thr\xE5"));
  }
}

TEST_F(ObjectTest, ANameAndADescriptorAreBookedAndReturned) {
  const u64 paged = pool.usage(ex::PoolType::paged).bytes;
  CreateRequest request{.attributes = named(u"\\BaseNamedObjects\\x")};
  request.attributes.security = std::make_shared<const se::SecurityDescriptor>();
  Ref<TestObject> object = make(request);
  EXPECT_EQ(pool.charged_bytes(object->block()), 128u);  // with name information
  ASSERT_TRUE(objects.insert(object, request.attributes, {}));
  EXPECT_GT(pool.usage(ex::PoolType::paged).bytes, paged);
  objects.make_temporary(*object);
  object.reset();
  EXPECT_EQ(counters.deleted, 1);
  EXPECT_EQ(pool.usage(ex::PoolType::paged).bytes, paged);
}

TEST_F(ObjectTest, TheCreatorPaysAndGetsItBack) {
  Quota quota;
  Ref<TestObject> object = make({.payer = &quota});
  EXPECT_EQ(quota.bytes[0], 24u);
  quota.limit = 30;
  EXPECT_EQ(objects.create<TestObject>(*type, {.payer = &quota}).error(), Status::quota_exceeded);
  EXPECT_EQ(type->object_count, 1u);
  EXPECT_EQ(quota.references, 1) << "the object may outlive its creator";
  object.reset();
  EXPECT_EQ(quota.bytes[0], 0u);
  EXPECT_EQ(quota.references, 0);
}

// A million links deep: deletion must neither recurse nor leave anything behind.
TEST_F(ObjectTest, LongChainsOfObjectsAreDeletedWithoutRecursion) {
  Ref<TestObject> head = make();
  for (int i = 0; i < 300'000; ++i) {
    Ref<TestObject> next = make();
    next->next = Ref<Object>(std::move(head));
    head = std::move(next);
  }
  head.reset();
  EXPECT_EQ(counters.deleted, 300'001);
  EXPECT_EQ(type->object_count, 0u);
}

TEST_F(ObjectTest, TypesForbidAttributes) {
  TypeTraits strict = traits(u"Strict");
  strict.invalid_attributes = abi::obj::kExclusive;
  ObjectType& strict_type = objects.register_type(strict);
  EXPECT_EQ(objects.create<TestObject>(strict_type, {.attributes = {.attributes = abi::obj::kExclusive}}).error(),
            Status::invalid_parameter);
}

TEST(ObjectManagerTest, LeavesNothingInPool) {
  const sim::Profile& profile = *sim::find_profile("nt61-x64");
  ex::Pool pool(profile, nullptr);
  {
    ObjectManager objects(profile, pool);
    ASSERT_EQ(make_standard_directories(objects), Status::success);
    EXPECT_GT(pool.usage(ex::PoolType::paged).blocks, 50u);
  }
  for (const ex::PoolType kind : {ex::PoolType::paged, ex::PoolType::nonpaged}) {
    EXPECT_EQ(pool.usage(kind).blocks, 0u);
    EXPECT_EQ(pool.pages(kind), 0u);
  }
}

// --- names ---

TEST_F(ObjectTest, NamesAreFoundWithoutCaseOnlyWhenAskedFor) {
  const Ref<TestObject> object = make();
  ASSERT_TRUE(objects.insert(object, named(u"\\BaseNamedObjects\\Mixed"), {}));
  EXPECT_EQ(*lookup(u"\\basenamedOBJECTS\\mIXED"), Ref<Object>(object));
  EXPECT_EQ(lookup_status(u"\\BaseNamedObjects\\mixed", 0), Status::object_name_not_found);
  EXPECT_EQ(lookup_status(u"\\BaseNamedObjects\\Mixed", 0), Status::success);
}

TEST_F(ObjectTest, NamesThatDifferInCaseCoexist) {
  const Ref<TestObject> upper = make();
  const Ref<TestObject> lower = make();
  ASSERT_TRUE(objects.insert(upper, named(u"\\BaseNamedObjects\\X", 0), {}));
  ASSERT_TRUE(objects.insert(lower, named(u"\\BaseNamedObjects\\x", 0), {}));
  EXPECT_EQ(*lookup(u"\\BaseNamedObjects\\x", 0), Ref<Object>(lower));
  EXPECT_TRUE(lookup(u"\\BaseNamedObjects\\x"));
}

TEST_F(ObjectTest, CollisionAndOpenIf) {
  const Ref<TestObject> first = make();
  ASSERT_TRUE(objects.insert(first, named(u"\\BaseNamedObjects\\n"), {}));
  EXPECT_EQ(objects.insert(make(), named(u"\\BaseNamedObjects\\N"), {}).error(), Status::object_name_collision);
  const auto opened =
      objects.insert(make(), named(u"\\BaseNamedObjects\\N", abi::obj::kCaseInsensitive | abi::obj::kOpenIf), {});
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->status, Status::object_name_exists);
  EXPECT_EQ(opened->object, Ref<Object>(first));
  const Ref<TestObject> different = *objects.create<TestObject>(*other_type, {});
  EXPECT_EQ(objects.insert(different, named(u"\\BaseNamedObjects\\n", abi::obj::kOpenIf), {}).error(),
            Status::object_type_mismatch);
}

TEST_F(ObjectTest, BadPathsAreRefusedWithNtsStatus) {
  EXPECT_EQ(lookup_status(u""), Status::object_path_syntax_bad);
  EXPECT_EQ(lookup_status(u"BaseNamedObjects"), Status::object_path_syntax_bad);
  EXPECT_EQ(lookup_status(u"\\nowhere\\x"), Status::object_path_not_found);
  EXPECT_EQ(lookup_status(u"\\BaseNamedObjects\\x"), Status::object_name_not_found);
  EXPECT_EQ(lookup_status(u"\\BaseNamedObjects\\\\x"), Status::object_name_invalid);
  EXPECT_EQ(lookup_status(u"\\BaseNamedObjects\\"), Status::object_name_invalid);
  EXPECT_EQ(lookup_status(std::u16string(u"\\") + std::u16string(40'000, u'a')), Status::object_name_invalid);
  ASSERT_TRUE(objects.insert(make(), named(u"\\BaseNamedObjects\\leaf", abi::obj::kPermanent), {}));
  EXPECT_EQ(lookup_status(u"\\BaseNamedObjects\\leaf\\below"), Status::object_type_mismatch);
  EXPECT_EQ(objects.insert(make(), named(u"\\"), {}).error(), Status::object_name_collision);
}

TEST_F(ObjectTest, NamesMayContainNulsAndAnyOtherUnit) {
  const std::u16string odd(u"\\BaseNamedObjects\\a\0b\xD800", 22);
  const Ref<TestObject> object = make();
  ASSERT_TRUE(objects.insert(object, {.name = odd}, {}));
  EXPECT_EQ(*lookup(odd), Ref<Object>(object));
  EXPECT_EQ(lookup_status(u"\\BaseNamedObjects\\a"), Status::object_name_not_found);
  EXPECT_EQ(*objects.query_name(*object), odd);
}

TEST_F(ObjectTest, LinksAreFollowedAndTheRestOfTheNameIsKept) {
  const Ref<TestObject> object = make();
  ASSERT_TRUE(objects.insert(object, named(u"\\Device\\HarddiskVolume1"), {}));
  ASSERT_EQ(objects.make_symbolic_link(u"\\GLOBAL??\\C:", u"\\Device\\HarddiskVolume1"), Status::success);
  EXPECT_EQ(*lookup(u"\\??\\C:"), Ref<Object>(object));
  EXPECT_EQ(*lookup(u"\\DosDevices\\c:"), Ref<Object>(object));
  EXPECT_EQ(*lookup(u"\\??\\GLOBALROOT\\Device\\HarddiskVolume1"), Ref<Object>(object));
  EXPECT_EQ(*lookup(u"\\Sessions\\1\\BaseNamedObjects\\Global"), *lookup(u"\\BaseNamedObjects"));
}

TEST_F(ObjectTest, TheLinkItselfIsMeantWhenItsTypeIsAskedForAtTheEndOfTheName) {
  const auto link = objects.lookup({.name = u"\\DosDevices", .type = &objects.symbolic_link_type()});
  ASSERT_TRUE(link);
  EXPECT_EQ(static_cast<SymbolicLinkObject&>(**link).target, u"\\??");
  EXPECT_EQ(*lookup(u"\\DosDevices"), *lookup(u"\\GLOBAL??"));
}

TEST_F(ObjectTest, CircularLinksEndWithAStatus) {
  ASSERT_EQ(objects.make_symbolic_link(u"\\a", u"\\b"), Status::success);
  ASSERT_EQ(objects.make_symbolic_link(u"\\b", u"\\a"), Status::success);
  ASSERT_EQ(objects.make_symbolic_link(u"\\grow", u"\\grow\\x"), Status::success);
  EXPECT_EQ(lookup_status(u"\\a"), Status::object_name_not_found);
  EXPECT_EQ(lookup_status(u"\\grow\\y"), Status::object_name_not_found);
}

TEST_F(ObjectTest, ALinkCannotMakeANameTooLong) {
  ASSERT_EQ(objects.make_symbolic_link(u"\\l", u"\\" + std::u16string(32'000, u'x')), Status::success);
  EXPECT_EQ(lookup_status(u"\\l\\" + std::u16string(1'000, u'y')), Status::object_name_invalid);
}

TEST_F(ObjectTest, RelativeNamesStartAtTheRootDirectoryGiven) {
  const Ref<Object> base = *lookup(u"\\BaseNamedObjects");
  const Ref<TestObject> object = make();
  ASSERT_TRUE(objects.insert(object, {.name = u"rel", .root = base}, {}));
  EXPECT_EQ(*objects.query_name(*object), u"\\BaseNamedObjects\\rel");
  EXPECT_EQ(*objects.lookup({.name = u"rel", .root = base.get()}), Ref<Object>(object));
  EXPECT_EQ(*objects.lookup({.name = u"", .root = base.get()}), base);
  EXPECT_EQ(objects.lookup({.name = u"\\rel", .root = base.get()}).error(), Status::object_path_syntax_bad);
  EXPECT_EQ(objects.lookup({.name = u"x", .root = object.get()}).error(), Status::object_type_mismatch);
}

TEST_F(ObjectTest, ParseProceduresReceiveTheRestOfTheName) {
  struct Seen {
    std::u16string remaining;
    void* context = nullptr;
  };
  static Seen seen;
  TypeTraits device = traits(u"Device");
  device.parse = [](ParseRequest& request) -> Result<ParseOutcome> {
    seen = {std::u16string(request.remaining), request.context};
    if (request.remaining == u"\\gone") return Failure(Status::no_such_file);
    if (request.remaining == u"\\moved") return ParseOutcome{{}, u"\\BaseNamedObjects"};
    return ParseOutcome{Ref<Object>(request.object), {}};
  };
  ObjectType& device_type = objects.register_type(device);
  const Ref<TestObject> volume = *objects.create<TestObject>(device_type, {});
  ASSERT_TRUE(objects.insert(volume, named(u"\\Device\\V"), {}));
  ASSERT_EQ(objects.make_symbolic_link(u"\\GLOBAL??\\C:", u"\\Device\\V"), Status::success);
  int context = 0;
  EXPECT_TRUE(objects.lookup({.name = u"\\??\\C:\\windows\\x", .parse_context = &context}));
  EXPECT_EQ(seen.remaining, u"\\windows\\x");
  EXPECT_EQ(seen.context, &context);
  EXPECT_TRUE(lookup(u"\\Device\\V"));
  EXPECT_EQ(seen.remaining, u"");
  EXPECT_EQ(lookup_status(u"\\??\\C:\\gone"), Status::no_such_file);
  EXPECT_EQ(*lookup(u"\\??\\C:\\moved"), *lookup(u"\\BaseNamedObjects"));
  // Relative to an object that parses.
  EXPECT_TRUE(objects.lookup({.name = u"sub", .root = volume.get()}));
  EXPECT_EQ(seen.remaining, u"sub");
  // An insertion never goes through a device.
  EXPECT_EQ(objects.insert(make(), named(u"\\Device\\V\\x"), {}).error(), Status::object_type_mismatch);
}

TEST_F(ObjectTest, DeepDirectoriesAreMadeAndTakenDownWithoutRecursion) {
  Ref<Object> parent = *lookup(u"\\BaseNamedObjects");
  for (int i = 0; i < 20'000; ++i) {
    Ref<DirectoryObject> child = *objects.create<DirectoryObject>(objects.directory_type(), {});
    ASSERT_TRUE(objects.insert(child, {.name = u"d", .root = parent}, {}));
    parent = child;
  }
  EXPECT_EQ(objects.query_name(*parent).error(), Status::name_too_long);
}

TEST_F(ObjectTest, DirectoryPermissionsAreChecked) {
  const se::TokenData token = se::make_user_token(1, false);
  const Ref<Object> directory = *lookup(u"\\BaseNamedObjects");
  se::SecurityDescriptor descriptor;
  descriptor.dacl = {{se::AceType::allowed, 0, abi::directory_access::kTraverse, se::well_known::everyone()}};
  ASSERT_EQ(objects.set_security(*directory, descriptor, se::security_information::kDacl), Status::success);
  const AccessState user{se::Mode::user, &token};
  EXPECT_EQ(objects.insert(make(), named(u"\\BaseNamedObjects\\x"), user).error(), Status::access_denied);
  EXPECT_TRUE(objects.insert(make(), named(u"\\BaseNamedObjects\\x", abi::obj::kPermanent), {}));
  EXPECT_TRUE(objects.lookup({.name = u"\\BaseNamedObjects\\x", .access = user}));
}

TEST_F(ObjectTest, StandardDirectoriesAreThereAndKnownDllsIsNot) {
  for (const char16_t* name :
       {u"\\ObjectTypes\\Directory", u"\\KernelObjects", u"\\RPC Control", u"\\Sessions\\1\\BaseNamedObjects"}) {
    EXPECT_TRUE(lookup(name));
  }
  EXPECT_EQ(lookup_status(u"\\KnownDlls"), Status::object_name_not_found);
}

}  // namespace
}  // namespace vitrine::ob
