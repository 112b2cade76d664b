// What can be done with an open key: query, values, deletion, renaming, notification.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cm/registry.h"
#include "ex/unicode.h"

namespace vitrine::cm {
namespace {

constexpr std::u16string_view kLinkValueName = u"SymbolicLinkValue";

[[nodiscard]] bool is_gone(const KeyObject& key) { return key.registry == nullptr || key.node->deleted; }

KeyFacts facts_of(const KeyNode& node) {
  KeyFacts facts{.name = node.name,
                 .key_class = node.key_class,
                 .last_write = node.last_write,
                 .subkeys = static_cast<u32>(node.subkeys.size()),
                 .values = static_cast<u32>(node.values.size()),
                 .is_volatile = node.is_volatile,
                 .is_link = node.is_link};
  const auto raise = [](u32& longest, std::size_t bytes) { longest = std::max(longest, static_cast<u32>(bytes)); };
  for (const auto& child : node.subkeys) {
    raise(facts.longest_subkey_name, 2 * child->name.size());
    raise(facts.longest_subkey_class, 2 * child->key_class.size());
  }
  for (const KeyValue& value : node.values) {
    raise(facts.longest_value_name, 2 * value.name.size());
    raise(facts.longest_value_data, value.data.size());
  }
  return facts;
}

bool is_ancestor(const KeyNode& candidate, const KeyNode& node) {
  for (const KeyNode* current = node.parent; current != nullptr; current = current->parent) {
    if (current == &candidate) return true;
  }
  return false;
}

bool sorts_before(const std::unique_ptr<KeyNode>& left, std::u16string_view right) {
  return ex::compare_ignoring_case(left->name, right) < 0;
}

}  // namespace

Result<KeyFacts> Registry::query(const KeyObject& key) const {
  if (is_gone(key)) return Failure(Status::key_deleted);
  return facts_of(*key.node);
}

Result<KeyFacts> Registry::enumerate_subkey(const KeyObject& key, u32 index) const {
  if (is_gone(key)) return Failure(Status::key_deleted);
  if (index >= key.node->subkeys.size()) return Failure(Status::no_more_entries);
  return facts_of(*key.node->subkeys[index]);
}

Result<const KeyValue*> Registry::query_value(const KeyObject& key, std::u16string_view name) const {
  if (is_gone(key)) return Failure(Status::key_deleted);
  for (const KeyValue& value : key.node->values) {
    if (ex::equal_ignoring_case(value.name, name)) return &value;
  }
  return Failure(Status::object_name_not_found);
}

Result<const KeyValue*> Registry::enumerate_value(const KeyObject& key, u32 index) const {
  if (is_gone(key)) return Failure(Status::key_deleted);
  if (index >= key.node->values.size()) return Failure(Status::no_more_entries);
  return &key.node->values[index];
}

Status Registry::set_value(KeyObject& key, std::u16string_view name, u32 type, std::span<const std::byte> data) {
  if (is_gone(key)) return Status::key_deleted;
  const bool sets_link = type == kTypeLink && ex::equal_ignoring_case(name, kLinkValueName);
  if (key.node->is_link && !sets_link) return Status::access_denied;
  return put(*key.node, name, type, data);
}

Status Registry::delete_value(KeyObject& key, std::u16string_view name) {
  if (is_gone(key)) return Status::key_deleted;
  KeyNode& node = *key.node;
  const auto found = std::find_if(node.values.begin(), node.values.end(),
                                  [&](const KeyValue& value) { return ex::equal_ignoring_case(value.name, name); });
  if (found == node.values.end()) return Status::object_name_not_found;
  bytes_ -= 24 + 2 * found->name.size() + found->data.size();
  node.values.erase(found);
  changed_ |= !node.is_volatile;
  touch(node, notify_filter::kLastSet);
  return Status::success;
}

Status Registry::delete_key(KeyObject& key) {
  if (is_gone(key)) return Status::key_deleted;
  KeyNode& node = *key.node;
  if (!node.subkeys.empty() || node.depth < 2) return Status::cannot_delete;
  KeyNode& parent = *node.parent;
  const auto place = std::lower_bound(parent.subkeys.begin(), parent.subkeys.end(), node.name, sorts_before);
  VITRINE_CHECK(place != parent.subkeys.end() && place->get() == &node);
  deleted_.push_back(std::move(*place));
  parent.subkeys.erase(place);
  forget(node);
  changed_ |= !node.is_volatile;
  touch(parent, notify_filter::kName);
  std::vector<Notification> fired;
  for (KeyObject& open : open_keys_) {
    if (open.node != &node) continue;
    fired.insert(fired.end(), open.notifications.begin(), open.notifications.end());
    open.notifications.clear();
  }
  notifications_ -= static_cast<u32>(fired.size());
  for (const Notification& notification : fired) notification.fire(notification.context, Status::key_deleted);
  return Status::success;
}

// The node leaves the tree; its content goes, its record stays for those who have it open.
void Registry::forget(KeyNode& node) {
  bytes_ -= 80 + 2 * (node.name.size() + node.key_class.size());
  for (const KeyValue& value : node.values) bytes_ -= 24 + 2 * value.name.size() + value.data.size();
  node.values.clear();
  node.parent = nullptr;
  node.deleted = true;
}

Status Registry::rename_key(KeyObject& key, std::u16string_view name) {
  if (is_gone(key)) return Status::key_deleted;
  if (name.find(u'\\') != std::u16string_view::npos) return Status::invalid_parameter;
  if (name.empty() || name.size() > kMaximumKeyNameUnits) return Status::object_name_invalid;
  KeyNode& node = *key.node;
  if (node.depth < 2) return Status::cannot_delete;
  auto& siblings = node.parent->subkeys;
  const auto taken = std::lower_bound(siblings.begin(), siblings.end(), name, sorts_before);
  const bool is_taken = taken != siblings.end() && ex::equal_ignoring_case((*taken)->name, name);
  if (is_taken && taken->get() != &node) return Status::object_name_collision;
  VITRINE_TRY(charge(2 * name.size(), 2 * node.name.size()));
  const auto place = std::lower_bound(siblings.begin(), siblings.end(), node.name, sorts_before);
  VITRINE_CHECK(place != siblings.end() && place->get() == &node);
  std::unique_ptr<KeyNode> moved = std::move(*place);
  siblings.erase(place);
  moved->name = name;
  siblings.insert(std::lower_bound(siblings.begin(), siblings.end(), name, sorts_before), std::move(moved));
  changed_ |= !node.is_volatile;
  node.last_write = clock_();
  touch(*node.parent, notify_filter::kName);
  return Status::success;
}

Status Registry::flush(const KeyObject& key) const { return is_gone(key) ? Status::key_deleted : Status::success; }

Status Registry::notify(KeyObject& key, const Notification& notification) {
  if (is_gone(key)) return Status::key_deleted;
  if (notification.fire == nullptr || notification.filter == 0 || (notification.filter & ~notify_filter::kValid) != 0) {
    return Status::invalid_parameter;
  }
  key.notifications.push_back(notification);
  ++notifications_;
  return Status::pending;
}

bool Registry::cancel_notification(KeyObject& key, const void* context) {
  const auto removed =
      std::erase_if(key.notifications, [&](const Notification& waiting) { return waiting.context == context; });
  notifications_ -= static_cast<u32>(removed);
  return removed > 0;
}

void Registry::fire_all(KeyObject& key, Status status) {
  // Taken out first: a fired call-back may free what it was given.
  const std::vector<Notification> fired = std::exchange(key.notifications, {});
  notifications_ -= static_cast<u32>(fired.size());
  for (const Notification& notification : fired) notification.fire(notification.context, status);
}

void Registry::touch(KeyNode& node, u32 filter) {
  node.last_write = clock_();
  if (notifications_ == 0) return;
  std::vector<Notification> fired;
  for (KeyObject& key : open_keys_) {
    const bool is_above = is_ancestor(*key.node, node);
    std::erase_if(key.notifications, [&](const Notification& notification) {
      const bool concerned = key.node == &node || (notification.watch_tree && is_above);
      if (!concerned || (notification.filter & filter) == 0) return false;
      fired.push_back(notification);
      return true;
    });
  }
  notifications_ -= static_cast<u32>(fired.size());
  for (const Notification& notification : fired) notification.fire(notification.context, Status::success);
}

}  // namespace vitrine::cm
