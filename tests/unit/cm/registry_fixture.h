// What the registry tests share: a manager, a registry and one process's handles.
#pragma once

#include <gtest/gtest.h>

#include "cm/registry.h"

namespace vitrine::cm {

struct RegistryTest : testing::Test {
  static constexpr u32 kAll = abi::key_access::kAll;

  static ob::ObjectAttributes named(std::u16string_view name, u32 attributes = abi::obj::kCaseInsensitive) {
    return {.name = std::u16string(name), .attributes = attributes};
  }
  Result<CreatedKey> create(std::u16string_view path, u32 options = 0, std::u16string_view key_class = {}) {
    return registry.create_key(*handles, {named(path), kAll, options, std::u16string(key_class)}, user);
  }
  Result<ob::Handle> open(std::u16string_view path, u32 attributes = abi::obj::kCaseInsensitive, u32 options = 0) {
    return registry.open_key(*handles, named(path, attributes), kAll, options, user);
  }
  Status open_status(std::u16string_view path) {
    const auto handle = open(path);
    return handle ? Status::success : handle.error();
  }
  ob::Ref<KeyObject> key(ob::Handle handle) {
    return *ob::reference_by_handle<KeyObject>(*handles, handle, registry.key_type(), 0, se::Mode::user);
  }
  // Creates or opens; the path is below the machine's software key.
  ob::Ref<KeyObject> software(std::u16string_view name, u32 options = 0) {
    std::u16string path = u"\\Registry\\Machine\\Software\\";
    path += name;
    return key(create(path, options)->handle);
  }
  static std::vector<std::byte> bytes(std::string_view text) {
    std::vector<std::byte> result;
    for (const char c : text) result.push_back(static_cast<std::byte>(c));
    return result;
  }

  const sim::Profile& profile = *sim::find_profile("nt61-x64");
  ex::Pool pool{profile, nullptr};
  ob::ObjectManager objects{profile, pool};
  i64 now = 1000;
  Registry registry{objects, [this] { return now; }};
  const se::TokenData token = se::make_user_token(1, false);
  const ob::AccessState user{se::Mode::user, &token};
  std::unique_ptr<ob::ObjectHandles> handles = std::move(*ob::ObjectHandles::create(objects, {}));
  bool ready = registry.make(u"\\Registry\\Machine\\Software").has_value();
};

}  // namespace vitrine::cm
