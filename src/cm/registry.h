// Registry: the configuration manager: a tree of keys under \Registry, with objects of type "Key" as what programs
// hold.
//
// Owns all nodes. Refuses: hive files, transactions, key security, WOW64 views (KEY_WOW64_* are ignored: there is one
// view). Nothing here suspends; a notification is a call-back.
//
// Paths: \Registry\Machine and \Registry\User are the two roots [WI6 ch. 4]; user mode may create keys below a hive
// only, not beside Machine or User. HKEY_CURRENT_USER is \Registry\User\<SID text>.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "cm/key_object.h"
#include "ob/handles.h"

namespace vitrine::cm {

enum class Disposition : u32 { created_new_key = 1, opened_existing_key = 2 };

struct CreateKeyRequest {
  ob::ObjectAttributes attributes;
  u32 desired_access = 0;
  u32 options = 0;  // key_options
  std::u16string key_class;
};
struct CreatedKey {
  ob::Handle handle;
  Disposition disposition;
};

// What NtQueryKey answers (lengths in bytes, as KEY_FULL_INFORMATION counts them).
struct KeyFacts {
  std::u16string name;  // last component
  std::u16string key_class;
  i64 last_write = 0;
  u32 subkeys = 0, values = 0;
  u32 longest_subkey_name = 0, longest_subkey_class = 0, longest_value_name = 0, longest_value_data = 0;
  bool is_volatile = false, is_link = false;
};

class Registry {
 public:
  using Clock = std::function<i64()>;  // system time, 100 ns

  // Registers type Key and makes \Registry, \Registry\Machine and \Registry\User. `objects` outlives it. Keys that are
  // still open when the registry goes are cut off from it.
  Registry(ob::ObjectManager& objects, Clock clock);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  [[nodiscard]] ob::ObjectType& key_type() const { return *key_type_; }

  // NtCreateKey. Only the last component may be missing. Errors: object_name_not_found (a parent is missing),
  // child_must_be_volatile, access_denied, invalid_parameter (options), object_name_invalid (a component over 255
  // units), those of ObjectHandles::open_by_name.
  [[nodiscard]] Result<CreatedKey> create_key(ob::ObjectHandles& handles, const CreateKeyRequest& request,
                                              const ob::AccessState& access);
  // NtOpenKeyEx; `options` may be kOpenLink or kBackupRestore.
  [[nodiscard]] Result<ob::Handle> open_key(ob::ObjectHandles& handles, const ob::ObjectAttributes& attributes,
                                            u32 desired_access, u32 options, const ob::AccessState& access);

  // The rest works on an open key. All of it fails with key_deleted when the key was deleted.

  [[nodiscard]] Result<KeyFacts> query(const KeyObject& key) const;
  // Full path: "\REGISTRY\MACHINE\Software". Empty for a deleted key.
  [[nodiscard]] std::u16string path(const KeyNode& node) const;
  // In order of upcased names. Error: no_more_entries.
  [[nodiscard]] Result<KeyFacts> enumerate_subkey(const KeyObject& key, u32 index) const;
  // The pointer is valid until the key changes. Errors: object_name_not_found; no_more_entries.
  [[nodiscard]] Result<const KeyValue*> query_value(const KeyObject& key, std::u16string_view name) const;
  [[nodiscard]] Result<const KeyValue*> enumerate_value(const KeyObject& key, u32 index) const;
  // Errors: invalid_parameter (name or data over a limit), insufficient_resources (the registry is full), access_denied
  // (a link takes only SymbolicLinkValue of type REG_LINK).
  [[nodiscard]] Status set_value(KeyObject& key, std::u16string_view name, u32 type, std::span<const std::byte> data);
  [[nodiscard]] Status delete_value(KeyObject& key, std::u16string_view name);
  // NtDeleteKey. Errors: cannot_delete (it has subkeys, or is one of the roots).
  [[nodiscard]] Status delete_key(KeyObject& key);
  // NtRenameKey: `name` is one component. Errors: object_name_invalid, object_name_collision, cannot_delete (a root),
  // invalid_parameter (contains a backslash).
  [[nodiscard]] Status rename_key(KeyObject& key, std::u16string_view name);
  // NtFlushKey: changes are stored at exit; succeeds.
  [[nodiscard]] Status flush(const KeyObject& key) const;
  // NtNotifyChangeKey: returns pending, or an error and then `fire` is never called.
  [[nodiscard]] Status notify(KeyObject& key, const Notification& notification);
  // Takes back a notification without firing it; false when it has fired already.
  bool cancel_notification(KeyObject& key, const void* context);

  // --- kernel and tool use
  // ------------------------------------------------------------------------------------------------ Absolute path with
  // or without "\Registry"; null when missing. Links are not followed.
  [[nodiscard]] KeyNode* find(std::u16string_view path) const;
  // Makes every missing component. Errors: object_name_invalid, insufficient_resources.
  [[nodiscard]] Result<KeyNode*> make(std::u16string_view path);
  [[nodiscard]] Status put(KeyNode& node, std::u16string_view name, u32 type, std::span<const std::byte> data);
  [[nodiscard]] Status put_string(KeyNode& node, std::u16string_view name, std::u16string_view text);
  [[nodiscard]] Status put_dword(KeyNode& node, std::u16string_view name, u32 value);
  [[nodiscard]] Status put_link(std::u16string_view path, std::u16string_view target);
  [[nodiscard]] KeyNode& root() const { return *root_; }
  [[nodiscard]] u64 bytes() const { return bytes_; }
  // True since the last call when a key that is not volatile changed.
  [[nodiscard]] bool take_changed();

 private:
  struct Opening;
  static Result<ob::ParseOutcome> parse(ob::ParseRequest& request);
  static void delete_object(ob::Object& object);
  static void close(ob::Object& object, const ob::CloseEvent& event);
  static Result<std::u16string> query_name(ob::Object& object);

  [[nodiscard]] Result<ob::ParseOutcome> walk(const ob::ParseRequest& request, KeyNode& start);
  [[nodiscard]] Result<KeyNode*> create_child(KeyNode& parent, std::u16string_view name, const Opening& opening,
                                              se::Mode mode);
  [[nodiscard]] Result<KeyNode*> add_child(KeyNode& parent, std::u16string_view name, bool is_volatile);
  [[nodiscard]] Result<ob::Ref<ob::Object>> open_node(KeyNode& node);
  void forget(KeyNode& node);
  // Stamps the node and tells whoever watches it.
  void touch(KeyNode& node, u32 filter);
  // Fires every notification of one key with `status`.
  void fire_all(KeyObject& key, Status status);
  [[nodiscard]] Status charge(u64 added, u64 removed);

  ob::ObjectManager& objects_;
  Clock clock_;
  ob::ObjectType* key_type_ = nullptr;
  std::unique_ptr<KeyNode> root_;
  std::vector<std::unique_ptr<KeyNode>> deleted_;              // still open
  IntrusiveList<KeyObject, &KeyObject::open_link> open_keys_;  // in the order of opening
  u32 notifications_ = 0;                                      // pending, over all keys
  ob::Ref<ob::Object> root_object_;
  u64 bytes_ = 0;
  bool changed_ = false;
};

}  // namespace vitrine::cm
