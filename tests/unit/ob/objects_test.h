// What the ob tests share: a pool, a manager with the standard directories, and a test type that counts what happens.
#pragma once

#include <gtest/gtest.h>

#include "ob/handles.h"
#include "ob/standard_directories.h"

namespace vitrine::ob {

struct Counters {
  int deleted = 0;
  int closed = 0;
  i32 last_count_before = 0;
  bool refuse_close = false;
  Status open_status = Status::success;
};

struct TestObject : Object {
  Ref<Object> next;  // to build chains
};

struct Quota : ex::QuotaCharger {
  std::array<u64, 2> bytes{};
  u64 limit = ~u64{0};
  Status charge_pool(ex::PoolType type, u64 amount) override {
    if (bytes[static_cast<u32>(type)] + amount > limit) return Status::quota_exceeded;
    bytes[static_cast<u32>(type)] += amount;
    return Status::success;
  }
  void return_pool(ex::PoolType type, u64 amount) override { bytes[static_cast<u32>(type)] -= amount; }
  i32 references = 0;
  void add_reference() override { ++references; }
  void release() override { --references; }
};

struct ObjectTest : testing::Test {
  static constexpr u32 kAll = 0x1F'0003;

  explicit ObjectTest(std::string_view profile_name = "nt61-x64") : profile(*sim::find_profile(profile_name)) {
    EXPECT_EQ(make_standard_directories(objects), Status::success);
    type = &objects.register_type(traits(u"Test"));
    other_type = &objects.register_type(traits(u"Other"));
  }

  TypeTraits traits(std::u16string_view name) {
    return {.name = name,
            .body_bytes = 24,
            .valid_access = kAll,
            .mapping = {0x2'0001, 0x2'0002, 0x12'0000, kAll},
            .nonpaged_charge = 24,
            .context = &counters,
            .delete_object = [](Object& object) { ++counters_of(object).deleted; },
            .close =
                [](Object& object, const CloseEvent& event) {
                  ++counters_of(object).closed;
                  counters_of(object).last_count_before = event.handle_count_before;
                },
            .okay_to_close = [](Object& object, ObjectHandles&, Handle,
                                se::Mode) { return !counters_of(object).refuse_close; },
            .open = [](Object& object, ObjectHandles&, u32) { return counters_of(object).open_status; }};
  }
  static Counters& counters_of(Object& object) { return *static_cast<Counters*>(object.type().traits.context); }

  Ref<TestObject> make(const CreateRequest& request = {}) { return *objects.create<TestObject>(*type, request); }
  static ObjectAttributes named(std::u16string_view name, u32 attributes = abi::obj::kCaseInsensitive) {
    return {.name = std::u16string(name), .attributes = attributes};
  }
  Result<Ref<Object>> lookup(std::u16string_view name, u32 attributes = abi::obj::kCaseInsensitive) {
    return objects.lookup({.name = name, .attributes = attributes});
  }
  Status lookup_status(std::u16string_view name, u32 attributes = abi::obj::kCaseInsensitive) {
    const auto found = lookup(name, attributes);
    return found ? Status::success : found.error();
  }

  const sim::Profile& profile;
  ex::Pool pool{profile, nullptr};
  Counters counters;
  ObjectManager objects{profile, pool};
  ObjectType* type = nullptr;
  ObjectType* other_type = nullptr;
};

}  // namespace vitrine::ob
