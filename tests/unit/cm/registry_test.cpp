#include "cm/registry.h"

#include "registry_fixture.h"

namespace vitrine::cm {
namespace {

TEST_F(RegistryTest, CreatesThenOpensWithoutRegardToCase) {
  const auto first = create(u"\\Registry\\Machine\\Software\\Vendor", 0, u"class");
  EXPECT_EQ(first->disposition, Disposition::created_new_key);
  const auto second = create(u"\\REGISTRY\\machine\\SOFTWARE\\vendor");
  EXPECT_EQ(second->disposition, Disposition::opened_existing_key);
  EXPECT_EQ(key(first->handle)->node, key(second->handle)->node);
  const KeyFacts facts = *registry.query(*key(second->handle));
  EXPECT_EQ(facts.name, u"Vendor");
  EXPECT_EQ(facts.key_class, u"class");
  EXPECT_EQ(*objects.query_name(*key(first->handle)), u"\\REGISTRY\\MACHINE\\Software\\Vendor");
}

TEST_F(RegistryTest, OnlyTheLastComponentMayBeMissing) {
  EXPECT_EQ(create(u"\\Registry\\Machine\\Software\\a\\b").error(), Status::object_name_not_found);
  EXPECT_EQ(open_status(u"\\Registry\\Machine\\Software\\a"), Status::object_name_not_found);
}

TEST_F(RegistryTest, OpensRelativeToAKeyAndSkipsRepeatedBackslashes) {
  const auto parent = create(u"\\Registry\\Machine\\Software\\p");
  ob::ObjectAttributes relative = named(u"child");
  relative.root = ob::Ref<ob::Object>(key(parent->handle));
  EXPECT_TRUE(registry.create_key(*handles, {relative, kAll, 0, {}}, user));
  EXPECT_TRUE(open(u"\\Registry\\Machine\\Software\\p\\\\child\\"));
  relative.name.clear();
  EXPECT_EQ(key(*registry.open_key(*handles, relative, kAll, 0, user))->node, key(parent->handle)->node);
}

TEST_F(RegistryTest, UsersCannotAddHives) {
  EXPECT_EQ(create(u"\\Registry\\Mine").error(), Status::access_denied);
  EXPECT_EQ(create(u"\\Registry\\Machine\\Mine").error(), Status::access_denied);
  EXPECT_EQ(create(u"\\Registry\\User\\S-1-1-0").error(), Status::access_denied);
}

TEST_F(RegistryTest, RefusesLongNamesUnknownOptionsAndTooDeepTrees) {
  EXPECT_TRUE(create(u"\\Registry\\Machine\\Software\\" + std::u16string(255, u'x')));
  EXPECT_EQ(create(u"\\Registry\\Machine\\Software\\" + std::u16string(256, u'x')).error(),
            Status::object_name_invalid);
  EXPECT_EQ(create(u"\\Registry\\Machine\\Software\\o", 0x100).error(), Status::invalid_parameter);
  ob::ObjectAttributes below = named(u"d");
  ob::Handle handle = create(u"\\Registry\\Machine\\Software\\d")->handle;
  Result<CreatedKey> next = CreatedKey{handle, {}};
  u32 depth = 3;
  while (next) {
    below.root = ob::Ref<ob::Object>(key(next->handle));
    next = registry.create_key(*handles, {below, kAll, 0, {}}, user);
    ASSERT_LE(++depth, kMaximumKeyDepth + 1);
  }
  EXPECT_EQ(next.error(), Status::insufficient_resources);
  EXPECT_EQ(depth, kMaximumKeyDepth + 1);
}

TEST_F(RegistryTest, ChildrenOfVolatileKeysMustBeVolatile) {
  (void)software(u"v", key_options::kVolatile);
  EXPECT_EQ(create(u"\\Registry\\Machine\\Software\\v\\c").error(), Status::child_must_be_volatile);
  EXPECT_TRUE(create(u"\\Registry\\Machine\\Software\\v\\c", key_options::kVolatile));
}

TEST_F(RegistryTest, RightsAreThoseOfTheHandle) {
  const auto handle = registry.create_key(
      *handles,
      {named(u"\\Registry\\Machine\\Software\\r"), abi::key_access::kQueryValue | abi::key_access::kWow64_64, 0, {}},
      user);
  ASSERT_TRUE(handle);
  EXPECT_EQ(
      handles->reference(handle->handle, &registry.key_type(), abi::key_access::kSetValue, se::Mode::user).error(),
      Status::access_denied);
}

TEST_F(RegistryTest, AnotherTypesOpenerGetsNoKey) {
  int foreign_context = 0;
  const auto found = objects.lookup(
      {.name = u"\\Registry\\Machine\\Software", .type = &objects.directory_type(), .parse_context = &foreign_context});
  EXPECT_EQ(found.error(), Status::object_type_mismatch);
  EXPECT_TRUE(objects.lookup({.name = u"\\Registry\\Machine\\Software", .parse_context = &foreign_context}));
}

// --- values ---

TEST_F(RegistryTest, ValuesKeepTheirNameTypeAndBytesAndTheOrderOfCreation) {
  const auto k = software(u"k");
  EXPECT_EQ(registry.set_value(*k, u"Zeta", 1, bytes("zz")), Status::success);
  EXPECT_EQ(registry.set_value(*k, u"", 99, bytes("")), Status::success);
  EXPECT_EQ(registry.set_value(*k, u"alpha", 3, bytes("aaa")), Status::success);
  EXPECT_EQ(registry.set_value(*k, u"zETA", 4, bytes("1234")), Status::success);
  EXPECT_EQ((*registry.enumerate_value(*k, 0))->name, u"Zeta");
  EXPECT_EQ((*registry.enumerate_value(*k, 0))->type, 4u);
  EXPECT_EQ((*registry.enumerate_value(*k, 2))->name, u"alpha");
  EXPECT_EQ(registry.enumerate_value(*k, 3).error(), Status::no_more_entries);
  EXPECT_EQ((*registry.query_value(*k, u""))->type, 99u);
  EXPECT_EQ((*registry.query_value(*k, u"ALPHA"))->data, bytes("aaa"));
  EXPECT_EQ(registry.delete_value(*k, u"ZETA"), Status::success);
  EXPECT_EQ(registry.delete_value(*k, u"ZETA"), Status::object_name_not_found);
  const KeyFacts facts = *registry.query(*k);
  EXPECT_EQ(facts.values, 2u);
  EXPECT_EQ(facts.longest_value_name, 10u);
  EXPECT_EQ(facts.longest_value_data, 3u);
}

TEST_F(RegistryTest, ValueNamesMayContainBackslashesAndNuls) {
  const auto k = software(u"k");
  const std::u16string odd(u"a\\b\0c", 5);
  EXPECT_EQ(registry.set_value(*k, odd, 1, bytes("x")), Status::success);
  EXPECT_TRUE(registry.query_value(*k, odd));
  EXPECT_FALSE(registry.query_value(*k, u"a\\b"));
}

TEST_F(RegistryTest, LimitsBoundWhatAProgramCanStore) {
  const auto k = software(u"k");
  EXPECT_EQ(registry.set_value(*k, std::u16string(16'384, u'n'), 1, {}), Status::invalid_parameter);
  const std::vector<std::byte> big(kMaximumValueBytes);
  EXPECT_EQ(registry.set_value(*k, u"huge", 3, std::vector<std::byte>(kMaximumValueBytes + 1)),
            Status::invalid_parameter);
  Status status = Status::success;
  u32 stored = 0;
  for (; stored < 32 && is_success(status); ++stored) {
    status = registry.set_value(*k, std::u16string(1, static_cast<char16_t>(u'A' + stored)), 3, big);
  }
  EXPECT_EQ(status, Status::insufficient_resources);
  EXPECT_EQ(stored, 16u);
  EXPECT_LE(registry.bytes(), kMaximumRegistryBytes);
}

TEST_F(RegistryTest, BooksReturnToWhatTheyWere) {
  const u64 before = registry.bytes();
  const auto k = software(u"k");
  EXPECT_EQ(registry.set_value(*k, u"v", 1, bytes("12345")), Status::success);
  EXPECT_EQ(registry.set_value(*k, u"v", 1, bytes("1")), Status::success);
  EXPECT_EQ(registry.rename_key(*k, u"renamed"), Status::success);
  EXPECT_GT(registry.bytes(), before);
  EXPECT_EQ(registry.delete_key(*k), Status::success);
  EXPECT_EQ(registry.bytes(), before);
}

// --- deletion, renaming, enumeration ---

TEST_F(RegistryTest, SubkeysEnumerateByNameWithoutRegardToCase) {
  for (const char16_t* name : {u"b", u"C", u"a", u"D"}) (void)software(name);
  const auto k = key(*open(u"\\Registry\\Machine\\Software"));
  std::u16string seen;
  for (u32 i = 0;; ++i) {
    const auto facts = registry.enumerate_subkey(*k, i);
    if (!facts) break;
    seen += facts->name + u" ";
  }
  EXPECT_EQ(seen, u"a b C D ");
}

TEST_F(RegistryTest, ADeletedKeyAnswersKeyDeletedToWhoHoldsIt) {
  const auto k = software(u"k");
  const auto child = software(u"k\\child");
  EXPECT_EQ(registry.delete_key(*k), Status::cannot_delete);
  EXPECT_EQ(registry.delete_key(*child), Status::success);
  EXPECT_EQ(registry.delete_key(*k), Status::success);
  EXPECT_EQ(registry.query(*k).error(), Status::key_deleted);
  EXPECT_EQ(registry.set_value(*k, u"v", 1, {}), Status::key_deleted);
  EXPECT_EQ(registry.delete_key(*k), Status::key_deleted);
  EXPECT_EQ(objects.query_name(*k).error(), Status::key_deleted);
  EXPECT_EQ(open_status(u"\\Registry\\Machine\\Software\\k"), Status::object_name_not_found);
  EXPECT_EQ(create(u"\\Registry\\Machine\\Software\\k")->disposition, Disposition::created_new_key);
}

TEST_F(RegistryTest, RootsCannotBeDeletedOrRenamed) {
  const auto machine = key(*open(u"\\Registry\\Machine"));
  EXPECT_EQ(registry.delete_key(*key(*open(u"\\Registry\\User"))), Status::cannot_delete);
  EXPECT_EQ(registry.rename_key(*machine, u"x"), Status::cannot_delete);
}

TEST_F(RegistryTest, RenamingMovesTheKeyInTheOrder) {
  const auto k = software(u"m");
  (void)software(u"p");
  EXPECT_EQ(registry.rename_key(*k, u"P"), Status::object_name_collision);
  EXPECT_EQ(registry.rename_key(*k, u"a\\b"), Status::invalid_parameter);
  EXPECT_EQ(registry.rename_key(*k, u""), Status::object_name_invalid);
  EXPECT_EQ(registry.rename_key(*k, u"M"), Status::success);  // only the case
  EXPECT_EQ(registry.rename_key(*k, u"z"), Status::success);
  const auto parent = key(*open(u"\\Registry\\Machine\\Software"));
  EXPECT_EQ(registry.enumerate_subkey(*parent, 1)->name, u"z");
  EXPECT_TRUE(open(u"\\Registry\\Machine\\Software\\Z"));
}

TEST_F(RegistryTest, WritesStampTheKey) {
  const auto k = software(u"k");
  now = 2000;
  EXPECT_EQ(registry.set_value(*k, u"v", 1, {}), Status::success);
  EXPECT_EQ(registry.query(*k)->last_write, 2000);
  now = 3000;
  (void)software(u"k\\c");
  EXPECT_EQ(registry.query(*k)->last_write, 3000);
}

// --- links ---

TEST_F(RegistryTest, LinksLeadElsewhereUnlessTheLinkItselfIsWanted) {
  const auto target = software(u"target");
  ASSERT_EQ(registry.put_link(u"\\Registry\\Machine\\Software\\link", u"\\Registry\\Machine\\Software\\target"),
            Status::success);
  EXPECT_EQ(key(*open(u"\\Registry\\Machine\\Software\\link"))->node, target->node);
  EXPECT_TRUE(create(u"\\Registry\\Machine\\Software\\LINK\\below"));
  EXPECT_TRUE(open(u"\\Registry\\Machine\\Software\\target\\below"));
  const auto link =
      key(*open(u"\\Registry\\Machine\\Software\\link", abi::obj::kCaseInsensitive, key_options::kOpenLink));
  EXPECT_TRUE(link->node->is_link);
  EXPECT_EQ(registry.set_value(*link, u"other", 1, {}), Status::access_denied);
  EXPECT_EQ(registry.delete_key(*link), Status::success);
  EXPECT_EQ(open_status(u"\\Registry\\Machine\\Software\\link"), Status::object_name_not_found);
}

TEST_F(RegistryTest, CircularAndEmptyLinksEndWithAStatus) {
  ASSERT_EQ(registry.put_link(u"\\Registry\\Machine\\Software\\l", u"\\Registry\\Machine\\Software\\l\\x"),
            Status::success);
  EXPECT_EQ(open_status(u"\\Registry\\Machine\\Software\\l"), Status::object_name_not_found);
  (void)create(u"\\Registry\\Machine\\Software\\e", key_options::kCreateLink);
  EXPECT_EQ(open_status(u"\\Registry\\Machine\\Software\\e"), Status::object_name_not_found);
  EXPECT_EQ(create(u"\\Registry\\Machine\\Software\\e", key_options::kCreateLink).error(),
            Status::object_name_collision);
}

// --- notification ---

struct Fired {
  int count = 0;
  Status status = Status::success;
  static void fire(void* context, Status status) {
    auto* self = static_cast<Fired*>(context);
    ++self->count;
    self->status = status;
  }
};

TEST_F(RegistryTest, ANotificationFiresOnceAtAChangeThatItFilters) {
  const auto k = software(u"k");
  Fired fired;
  ASSERT_EQ(registry.notify(*k, {notify_filter::kLastSet, false, Fired::fire, &fired}), Status::pending);
  (void)software(u"k\\c");
  EXPECT_EQ(fired.count, 0);
  (void)registry.set_value(*k, u"v", 1, {});
  (void)registry.set_value(*k, u"v", 1, {});
  EXPECT_EQ(fired.count, 1);
  EXPECT_EQ(fired.status, Status::success);
}

TEST_F(RegistryTest, WatchingTheTreeSeesChangesBelow) {
  const auto k = software(u"k");
  const auto c = software(u"k\\c");
  Fired tree;
  Fired flat;
  (void)registry.notify(*k, {notify_filter::kLastSet, true, Fired::fire, &tree});
  (void)registry.notify(*k, {notify_filter::kLastSet, false, Fired::fire, &flat});
  (void)registry.set_value(*c, u"v", 1, {});
  EXPECT_EQ(tree.count, 1);
  EXPECT_EQ(flat.count, 0);
  EXPECT_TRUE(registry.cancel_notification(*k, &flat));
}

TEST_F(RegistryTest, ClosingAndDeletingEndNotifications) {
  const ob::Handle handle = create(u"\\Registry\\Machine\\Software\\k")->handle;
  const auto k = key(handle);
  Fired closed;
  (void)registry.notify(*k, {notify_filter::kName, false, Fired::fire, &closed});
  (void)handles->close(handle, se::Mode::user);
  EXPECT_EQ(closed.status, Status::notify_cleanup);
  const auto again = software(u"k");
  Fired deleted;
  Fired cancelled;
  (void)registry.notify(*again, {notify_filter::kName, false, Fired::fire, &deleted});
  (void)registry.notify(*again, {notify_filter::kName, false, Fired::fire, &cancelled});
  EXPECT_TRUE(registry.cancel_notification(*again, &cancelled));
  EXPECT_FALSE(registry.cancel_notification(*again, &cancelled));
  (void)registry.delete_key(*again);
  EXPECT_EQ(deleted.status, Status::key_deleted);
  EXPECT_EQ(cancelled.count, 0);
}

TEST_F(RegistryTest, RefusesEmptyAndUnknownFilters) {
  const auto k = software(u"k");
  Fired fired;
  EXPECT_EQ(registry.notify(*k, {0, false, Fired::fire, &fired}), Status::invalid_parameter);
  EXPECT_EQ(registry.notify(*k, {0x40, false, Fired::fire, &fired}), Status::invalid_parameter);
}

}  // namespace
}  // namespace vitrine::cm
