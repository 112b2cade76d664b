// Registry services. Errors and layouts as NT's configuration manager gives them [WI6 ch. 4; WDK ZwXxxKey pages].
#include "abi/registry_information.h"
#include "nt/families.h"
#include "nt/guest_record.h"
#include "nt/key_notification.h"

namespace vitrine::nt {
namespace {

using abi::KeyInformationClass;
using abi::KeyValueInformationClass;
namespace key_access = abi::key_access;

constexpr u32 kMaximumValueEntries = 0x1'0000;

Result<ob::Ref<cm::KeyObject>> reference_key(Call call, Handle handle, u32 access) {
  return reference<cm::KeyObject>(call, handle, call->registry.key_type(), access);
}

u32 bytes_of(std::u16string_view text) { return static_cast<u32>(text.size() * 2); }

// NT: key names are looked up without case whatever the caller says.
Result<ob::ObjectAttributes> capture_key_attributes(Call call, UserPtr<ObjectAttributes> attributes) {
  if (attributes.is_null()) return Failure(Status::access_violation);
  auto captured = capture_attributes(call, attributes);
  if (captured) captured->attributes |= abi::obj::kCaseInsensitive;
  return captured;
}

Status open_key(Call call, UserPtr<Handle> key, u32 access, UserPtr<ObjectAttributes> attributes, u32 options) {
  if ((options & ~cm::key_options::kValid) != 0) return Status::invalid_parameter;
  VITRINE_TRY(call.space().probe(key.address, sizeof(Handle), 1, true));
  const auto captured = capture_key_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto handle = call->registry.open_key(*call.process().handles, *captured, access, options, user_access(call));
  if (!handle) return handle.error();
  return return_handle(call, key, *handle);
}

Status nt_open_key(Call call, UserPtr<Handle> key, u32 access, UserPtr<ObjectAttributes> attributes) {
  return open_key(call, key, access, attributes, 0);
}

Status nt_open_key_ex(Call call, UserPtr<Handle> key, u32 access, UserPtr<ObjectAttributes> attributes, u32 options) {
  return open_key(call, key, access, attributes, options);
}

Status nt_create_key(Call call, UserPtr<Handle> key, u32 access, UserPtr<ObjectAttributes> attributes,
                     u32 /*title_index*/, UserPtr<UnicodeString> key_class, u32 options, UserPtr<u32> disposition) {
  if ((options & ~cm::key_options::kValid) != 0) return Status::invalid_parameter;
  VITRINE_TRY(call.space().probe(key.address, sizeof(Handle), 1, true));
  if (disposition) VITRINE_TRY(call.space().probe(disposition.address, sizeof(u32), 1, true));
  auto captured = capture_key_attributes(call, attributes);
  if (!captured) return captured.error();
  cm::CreateKeyRequest request{std::move(*captured), access, options, {}};
  if (key_class) {
    auto text = capture_string(call, key_class);
    if (!text) return text.error();
    request.key_class = std::move(*text);
  }
  const auto created = call->registry.create_key(*call.process().handles, request, user_access(call));
  if (!created) return created.error();
  if (disposition) VITRINE_TRY(disposition.write(call.space(), static_cast<u32>(created->disposition)));
  return return_handle(call, key, created->handle);
}

// The record of one key. `full_path` is for the name class only.
Status return_key(Call call, const cm::KeyFacts& facts, std::u16string_view full_path,
                  KeyInformationClass information_class, Buffer buffer, u32 length, UserPtr<u32> return_length) {
  GuestRecord record;
  const u32 name_bytes = bytes_of(facts.name), class_bytes = bytes_of(facts.key_class);
  constexpr u32 kNoClass = ~0u;  // NT: ClassOffset of a key without a class
  u64 fixed = 0;
  switch (information_class) {
    case KeyInformationClass::basic:
      record.add(abi::KeyBasicInformation{facts.last_write, 0, name_bytes});
      fixed = record.size();
      record.add_text(facts.name);
      break;
    case KeyInformationClass::node: {
      fixed = sizeof(abi::KeyNodeInformation);
      const u32 class_offset = static_cast<u32>(align_up(fixed + name_bytes, 4));
      record.add(abi::KeyNodeInformation{facts.last_write, 0, class_bytes == 0 ? kNoClass : class_offset, class_bytes,
                                         name_bytes});
      record.add_text(facts.name);
      if (class_bytes != 0) {
        record.align(4);
        record.add_text(facts.key_class);
      }
      break;
    }
    case KeyInformationClass::full:
      fixed = sizeof(abi::KeyFullInformation);
      record.add(abi::KeyFullInformation{facts.last_write, 0, class_bytes == 0 ? kNoClass : static_cast<u32>(fixed),
                                         class_bytes, facts.subkeys, facts.longest_subkey_name,
                                         facts.longest_subkey_class, facts.values, facts.longest_value_name,
                                         facts.longest_value_data});
      record.add_text(facts.key_class);
      break;
    case KeyInformationClass::name:
      record.add(abi::KeyNameInformation{bytes_of(full_path)});
      fixed = record.size();
      record.add_text(full_path);
      break;
    case KeyInformationClass::cached:
      record.add(abi::KeyCachedInformation{facts.last_write, 0, facts.subkeys, facts.longest_subkey_name, facts.values,
                                           facts.longest_value_name, facts.longest_value_data, name_bytes, 0});
      fixed = record.size();
      break;
    case KeyInformationClass::flags:
      record.add(abi::KeyFlagsInformation{
          0, (facts.is_volatile ? abi::kKeyFlagVolatile : 0) | (facts.is_link ? abi::kKeyFlagSymbolicLink : 0), 0});
      fixed = record.size();
      break;
    case KeyInformationClass::handle_tags:
      record.add(abi::KeyHandleTagsInformation{0});
      fixed = record.size();
      break;
    default:
      return Status::invalid_parameter;  // NT gives this for an unknown class of key
  }
  return record.deliver_cut(call, buffer, length, fixed, return_length);
}

Status nt_query_key(Call call, Handle key, u32 information_class, Buffer buffer, u32 length,
                    UserPtr<u32> return_length) {
  const auto wanted = static_cast<KeyInformationClass>(information_class);
  // NT: the name of an open key may be asked for with any right on it.
  const bool any_right = wanted == KeyInformationClass::name || wanted == KeyInformationClass::handle_tags;
  const auto object = reference_key(call, key, any_right ? 0 : key_access::kQueryValue);
  if (!object) return object.error();
  const auto facts = call->registry.query(**object);
  if (!facts) return facts.error();
  const std::u16string path =
      wanted == KeyInformationClass::name ? call->registry.path(*(*object)->node) : std::u16string();
  return return_key(call, *facts, path, wanted, buffer, length, return_length);
}

Status nt_enumerate_key(Call call, Handle key, u32 index, u32 information_class, Buffer buffer, u32 length,
                        UserPtr<u32> return_length) {
  const auto wanted = static_cast<KeyInformationClass>(information_class);
  if (wanted != KeyInformationClass::basic && wanted != KeyInformationClass::node &&
      wanted != KeyInformationClass::full) {
    return Status::invalid_parameter;
  }
  const auto object = reference_key(call, key, key_access::kEnumerateSubKeys);
  if (!object) return object.error();
  const auto facts = call->registry.enumerate_subkey(**object, index);
  if (!facts) return facts.error();
  return return_key(call, *facts, {}, wanted, buffer, length, return_length);
}

Status return_key_value(Call call, const cm::KeyValue& value, KeyValueInformationClass information_class, Buffer buffer,
                        u32 length, UserPtr<u32> return_length) {
  GuestRecord record;
  const u32 name_bytes = bytes_of(value.name), data_bytes = static_cast<u32>(value.data.size());
  u64 fixed = 0;
  switch (information_class) {
    case KeyValueInformationClass::basic:
      record.add(abi::KeyValueBasicInformation{0, value.type, name_bytes});
      fixed = record.size();
      record.add_text(value.name);
      break;
    case KeyValueInformationClass::full:
    case KeyValueInformationClass::full_align64: {
      const u64 alignment = information_class == KeyValueInformationClass::full ? 4 : 8;
      fixed = sizeof(abi::KeyValueFullInformation);
      const u32 data_offset = static_cast<u32>(align_up(fixed + name_bytes, alignment));
      record.add(abi::KeyValueFullInformation{0, value.type, data_offset, data_bytes, name_bytes});
      record.add_text(value.name);
      if (data_bytes != 0) {
        record.align(alignment);
        record.add_bytes(value.data);
      }
      break;
    }
    case KeyValueInformationClass::partial:
      record.add(abi::KeyValuePartialInformation{0, value.type, data_bytes});
      fixed = record.size();
      record.add_bytes(value.data);
      break;
    case KeyValueInformationClass::partial_align64:
      record.add(abi::KeyValuePartialInformationAlign64{value.type, data_bytes});
      fixed = record.size();
      record.add_bytes(value.data);
      break;
    default:
      return Status::invalid_parameter;
  }
  return record.deliver_cut(call, buffer, length, fixed, return_length);
}

Status nt_query_value_key(Call call, Handle key, UserPtr<UnicodeString> name, u32 information_class, Buffer buffer,
                          u32 length, UserPtr<u32> return_length) {
  const auto text = capture_string(call, name);
  if (!text) return text.error();
  const auto object = reference_key(call, key, key_access::kQueryValue);
  if (!object) return object.error();
  const auto value = call->registry.query_value(**object, *text);
  if (!value) return value.error();
  return return_key_value(call, **value, static_cast<KeyValueInformationClass>(information_class), buffer, length,
                          return_length);
}

Status nt_enumerate_value_key(Call call, Handle key, u32 index, u32 information_class, Buffer buffer, u32 length,
                              UserPtr<u32> return_length) {
  const auto object = reference_key(call, key, key_access::kQueryValue);
  if (!object) return object.error();
  const auto value = call->registry.enumerate_value(**object, index);
  if (!value) return value.error();
  return return_key_value(call, **value, static_cast<KeyValueInformationClass>(information_class), buffer, length,
                          return_length);
}

// NT: all values or an error; when the buffer is too short the sizes are still filled in, with buffer_overflow.
Status nt_query_multiple_value_key(Call call, Handle key, UserPtr<abi::KeyValueEntry> entries, u32 count, Buffer buffer,
                                   UserPtr<u32> length, UserPtr<u32> required) {
  if (count > kMaximumValueEntries) return Status::insufficient_resources;
  const auto capacity = length.read(call.space());
  if (!capacity) return capacity.error();
  const auto object = reference_key(call, key, key_access::kQueryValue);
  if (!object) return object.error();
  u64 used = 0;
  Status result = Status::success;
  for (u32 i = 0; i < count; ++i) {
    auto entry = entries.element(i).read(call.space());
    if (!entry) return entry.error();
    const auto name = capture_string(call, {entry->value_name});
    if (!name) return name.error();
    const auto value = call->registry.query_value(**object, *name);
    if (!value) return value.error();
    used = align_up(used, 4);
    entry->type = (*value)->type;
    entry->data_length = static_cast<u32>((*value)->data.size());
    entry->data_offset = static_cast<u32>(used);
    used += entry->data_length;
    if (used > *capacity)
      result = Status::buffer_overflow;
    else
      VITRINE_TRY(call.space().write(buffer.address + entry->data_offset, (*value)->data));
    VITRINE_TRY(entries.element(i).write(call.space(), *entry));
  }
  VITRINE_TRY(length.write(call.space(), static_cast<u32>(std::min<u64>(used, ~0u))));
  if (required) VITRINE_TRY(required.write(call.space(), static_cast<u32>(std::min<u64>(used, ~0u))));
  return result;
}

Status nt_set_value_key(Call call, Handle key, UserPtr<UnicodeString> name, u32 /*title_index*/, u32 type, Buffer data,
                        u32 length) {
  const auto text = capture_string(call, name);
  if (!text) return text.error();
  if (length > cm::kMaximumValueBytes) return Status::insufficient_resources;
  const auto bytes = capture_bytes(call, data, length, cm::kMaximumValueBytes);
  if (!bytes) return bytes.error();
  const auto object = reference_key(call, key, key_access::kSetValue);
  if (!object) return object.error();
  return call->registry.set_value(**object, *text, type, std::as_bytes(std::span(*bytes)));
}

Status nt_delete_key(Call call, Handle key) {
  const auto object = reference_key(call, key, se::access::kDelete);
  if (!object) return object.error();
  return call->registry.delete_key(**object);
}

Status nt_delete_value_key(Call call, Handle key, UserPtr<UnicodeString> name) {
  const auto text = capture_string(call, name);
  if (!text) return text.error();
  const auto object = reference_key(call, key, key_access::kSetValue);
  if (!object) return object.error();
  return call->registry.delete_value(**object, *text);
}

Status nt_rename_key(Call call, Handle key, UserPtr<UnicodeString> name) {
  const auto text = capture_string(call, name);
  if (!text) return text.error();
  if (text->empty()) return Status::invalid_parameter;
  const auto object = reference_key(call, key, key_access::kWrite);
  if (!object) return object.error();
  return call->registry.rename_key(**object, *text);
}

Status nt_flush_key(Call call, Handle key) {
  const auto object = reference_key(call, key, 0);
  if (!object) return object.error();
  return call->registry.flush(**object);
}

Status nt_set_information_key(Call call, Handle key, u32 information_class, Buffer buffer, u32 length) {
  if (static_cast<abi::KeySetInformationClass>(information_class) != abi::KeySetInformationClass::write_time) {
    return Status::invalid_info_class;
  }
  const auto time = capture_value<i64>(call, buffer, length);
  if (!time) return time.error();
  const auto object = reference_key(call, key, key_access::kSetValue);
  if (!object) return object.error();
  if ((*object)->node->deleted) return Status::key_deleted;
  (*object)->node->last_write = *time;
  return Status::success;
}

Outcome nt_notify_change_key(Call call, Handle key, Handle event, Buffer apc, u64 apc_context,
                             UserPtr<abi::IoStatusBlock> io_status, u32 filter, bool watch_tree, Buffer /*buffer*/,
                             u32 /*length*/, bool asynchronous) {
  return notify_change_key(call,
                           {key, event, apc.address, apc_context, io_status.address, filter, watch_tree, asynchronous});
}

Outcome nt_notify_change_multiple_keys(Call call, Handle key, u32 count, UserPtr<ObjectAttributes> /*subordinates*/,
                                       Handle event, Buffer apc, u64 apc_context, UserPtr<abi::IoStatusBlock> io_status,
                                       u32 filter, bool watch_tree, Buffer /*buffer*/, u32 /*length*/,
                                       bool asynchronous) {
  if (count > 1) return Status::invalid_parameter;  // NT: at most one subordinate key
  if (count == 1) return Status::not_supported;
  return notify_change_key(call,
                           {key, event, apc.address, apc_context, io_status.address, filter, watch_tree, asynchronous});
}

// Transactions: the kernel transaction manager is not offered, so no handle can name a transaction.
Status nt_create_key_transacted(Call, UserPtr<Handle>, u32, UserPtr<ObjectAttributes>, u32, UserPtr<UnicodeString>, u32,
                                Handle, UserPtr<u32>) {
  return Status::not_supported;
}
Status nt_open_key_transacted(Call, UserPtr<Handle>, u32, UserPtr<ObjectAttributes>, Handle) {
  return Status::not_supported;
}
Status nt_open_key_transacted_ex(Call, UserPtr<Handle>, u32, UserPtr<ObjectAttributes>, u32, Handle) {
  return Status::not_supported;
}

// Hives: NT lets only holders of SeBackupPrivilege or SeRestorePrivilege load and save them; no token here has those
// enabled.
Status nt_load_key(Call, UserPtr<ObjectAttributes>, UserPtr<ObjectAttributes>) { return Status::privilege_not_held; }
Status nt_load_key2(Call, UserPtr<ObjectAttributes>, UserPtr<ObjectAttributes>, u32) {
  return Status::privilege_not_held;
}
Status nt_load_key_ex(Call, UserPtr<ObjectAttributes>, UserPtr<ObjectAttributes>, u32, Handle, Handle, u32,
                      UserPtr<Handle>, UserPtr<abi::IoStatusBlock>) {
  return Status::privilege_not_held;
}
Status nt_unload_key(Call, UserPtr<ObjectAttributes>) { return Status::privilege_not_held; }
Status nt_save_key(Call, Handle, Handle) { return Status::privilege_not_held; }
Status nt_restore_key(Call, Handle, Handle, u32) { return Status::privilege_not_held; }
Status nt_replace_key(Call, UserPtr<ObjectAttributes>, Handle, UserPtr<ObjectAttributes>) {
  return Status::privilege_not_held;
}

using enum SupportLevel;
constexpr std::string_view kNoTransactions = "there is no transaction manager";
constexpr std::string_view kNoHives = "hive files are not loaded or saved";

constexpr Service kServices[] = {
    service<&nt_create_key>("NtCreateKey", complete,
                            "key, access, attributes, title_index, class, options, disposition"),
    service<&nt_create_key_transacted>("NtCreateKeyTransacted", refused,
                                       "key, access, attributes, title_index, class, options, transaction, disposition",
                                       kNoTransactions),
    service<&nt_delete_key>("NtDeleteKey", complete, "key"),
    service<&nt_delete_value_key>("NtDeleteValueKey", complete, "key, name"),
    service<&nt_enumerate_key>("NtEnumerateKey", complete, "key, index, class, buffer, length, return_length"),
    service<&nt_enumerate_value_key>("NtEnumerateValueKey", complete,
                                     "key, index, class, buffer, length, return_length"),
    service<&nt_flush_key>("NtFlushKey", complete, "key"),
    service<&nt_load_key>("NtLoadKey", refused, "key, file", kNoHives),
    service<&nt_load_key2>("NtLoadKey2", refused, "key, file, flags", kNoHives),
    service<&nt_load_key_ex>("NtLoadKeyEx", refused,
                             "key, file, flags, trust_class_key, event, access, root_handle, io_status", kNoHives),
    service<&nt_notify_change_key>(
        "NtNotifyChangeKey", partial,
        "key, event, apc, apc_context, io_status, filter, watch_tree, buffer, length, asynchronous",
        "the list of changes is never filled in, as NT does not fill it either"),
    service<&nt_notify_change_multiple_keys>("NtNotifyChangeMultipleKeys", partial,
                                             "key, count, subordinates, event, apc, apc_context, io_status, filter, "
                                             "watch_tree, buffer, length, asynchronous",
                                             "a subordinate key is refused"),
    service<&nt_open_key>("NtOpenKey", complete, "key, access, attributes"),
    service<&nt_open_key_ex>("NtOpenKeyEx", complete, "key, access, attributes, options"),
    service<&nt_open_key_transacted>("NtOpenKeyTransacted", refused, "key, access, attributes, transaction",
                                     kNoTransactions),
    service<&nt_open_key_transacted_ex>("NtOpenKeyTransactedEx", refused,
                                        "key, access, attributes, options, transaction", kNoTransactions),
    service<&nt_query_key>("NtQueryKey", partial, "key, class, buffer, length, return_length",
                           "classes virtualization, trust and layer are refused"),
    service<&nt_query_multiple_value_key>("NtQueryMultipleValueKey", complete,
                                          "key, entries, count, buffer, length, required"),
    service<&nt_query_value_key>("NtQueryValueKey", complete, "key, name, class, buffer, length, return_length"),
    service<&nt_rename_key>("NtRenameKey", complete, "key, name"),
    service<&nt_replace_key>("NtReplaceKey", refused, "new_file, key, old_file", kNoHives),
    service<&nt_restore_key>("NtRestoreKey", refused, "key, file, flags", kNoHives),
    service<&nt_save_key>("NtSaveKey", refused, "key, file", kNoHives),
    service<&nt_set_information_key>("NtSetInformationKey", partial, "key, class, buffer, length", "class 0 only"),
    service<&nt_set_value_key>("NtSetValueKey", complete, "key, name, title_index, type, data, length"),
    service<&nt_unload_key>("NtUnloadKey", refused, "key", kNoHives),
};

}  // namespace

std::span<const Service> registry_services() { return kServices; }

}  // namespace vitrine::nt
