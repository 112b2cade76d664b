#include "cm/registry.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "ex/unicode.h"

namespace vitrine::cm {
namespace {

constexpr std::u16string_view kLinkValueName = u"SymbolicLinkValue";
// What a node and a value are counted with beside their text: NT's key node and value cells [libregf, hive format].
constexpr u64 kNodeBytes = 80;
constexpr u64 kValueBytes = 24;

u64 node_bytes(const KeyNode& node) { return kNodeBytes + 2 * (node.name.size() + node.key_class.size()); }
u64 value_bytes(const KeyValue& value) { return kValueBytes + 2 * value.name.size() + value.data.size(); }

auto position_of(const KeyNode& node, std::u16string_view name) {
  return std::lower_bound(node.subkeys.begin(), node.subkeys.end(), name,
                          [](const std::unique_ptr<KeyNode>& left, std::u16string_view right) {
                            return ex::compare_ignoring_case(left->name, right) < 0;
                          });
}

KeyNode* find_child(const KeyNode& node, std::u16string_view name) {
  const auto found = position_of(node, name);
  return found == node.subkeys.end() || !ex::equal_ignoring_case((*found)->name, name) ? nullptr : found->get();
}

auto find_value(KeyNode& node, std::u16string_view name) {
  return std::find_if(node.values.begin(), node.values.end(),
                      [&](const KeyValue& value) { return ex::equal_ignoring_case(value.name, name); });
}

// Takes the next component off `path`; NT skips repeated backslashes. False when nothing is left.
bool next_component(std::u16string_view& path, std::u16string_view& component) {
  const std::size_t first = path.find_first_not_of(u'\\');
  if (first == std::u16string_view::npos) return false;
  path.remove_prefix(first);
  component = path.substr(0, path.find(u'\\'));
  path.remove_prefix(component.size());
  return true;
}

std::u16string link_target(const KeyNode& node) {
  const auto value = find_value(const_cast<KeyNode&>(node), kLinkValueName);
  if (value == node.values.end() || value->type != kTypeLink) return {};
  std::u16string target;
  for (std::size_t i = 0; i + 1 < value->data.size(); i += 2) {
    target += static_cast<char16_t>(static_cast<u32>(value->data[i]) | static_cast<u32>(value->data[i + 1]) << 8);
  }
  return target;
}

std::vector<std::byte> bytes_of(std::u16string_view text, bool terminated) {
  std::vector<std::byte> bytes;
  bytes.reserve(2 * text.size() + 2);
  for (const char16_t unit : text) {
    bytes.push_back(static_cast<std::byte>(unit));
    bytes.push_back(static_cast<std::byte>(unit >> 8));
  }
  if (terminated) bytes.insert(bytes.end(), 2, std::byte{0});
  return bytes;
}

}  // namespace

// What a create or open wants of the parse routine, and what it learns.
struct Registry::Opening {
  bool create = false;
  u32 options = 0;
  std::u16string_view key_class;
  Disposition disposition = Disposition::opened_existing_key;
};

Registry::Registry(ob::ObjectManager& objects, Clock clock) : objects_(objects), clock_(std::move(clock)) {
  namespace sa = se::access;
  // NT: CM_KEY_BODY is 0x44 bytes (5.2 x86: 0x30) in paged pool; 0x58 on x64 [VOL, K].
  const u32 body = objects.profile().pointer_size == 4 ? 0x30u : 0x58u;
  key_type_ = &objects.register_type(
      {.name = u"Key",
       .pool = ex::PoolType::paged,
       .tag = ex::pool_tag("Key "),
       .body_bytes = body,
       .valid_access = abi::key_access::kAll | sa::kSynchronize,
       .mapping = {abi::key_access::kRead, abi::key_access::kWrite, abi::key_access::kRead, abi::key_access::kAll},
       .security_required = true,
       .paged_charge = body,
       .context = this,
       .delete_object = delete_object,
       .close = close,
       .parse = parse,
       .query_name = query_name});
  root_ = std::make_unique<KeyNode>();
  root_->name = u"REGISTRY";
  root_->is_volatile = true;
  Result<ob::Ref<ob::Object>> root = open_node(*root_);
  VITRINE_CHECK(root.has_value());
  root_object_ = std::move(*root);
  objects_.make_permanent(*root_object_);
  const auto inserted = objects_.insert(root_object_, {.name = u"\\Registry"}, {});
  VITRINE_CHECK(inserted.has_value());
  for (const std::u16string_view name : {u"MACHINE", u"USER"})
    VITRINE_CHECK(add_child(*root_, name, false).has_value());
}

Registry::~Registry() {
  objects_.make_temporary(*root_object_);
  root_object_.reset();
  while (KeyObject* key = open_keys_.pop_front()) {
    fire_all(*key, Status::notify_cleanup);
    key->registry = nullptr;
    key->node = nullptr;
  }
}

Result<ob::Ref<ob::Object>> Registry::open_node(KeyNode& node) {
  Result<ob::Ref<KeyObject>> key = objects_.create<KeyObject>(*key_type_, {});
  if (!key) return Failure(key.error());
  (*key)->registry = this;
  (*key)->node = &node;
  ++node.open_count;
  open_keys_.push_back(**key);
  return ob::Ref<ob::Object>(std::move(*key));
}

void Registry::delete_object(ob::Object& object) {
  auto& key = static_cast<KeyObject&>(object);
  if (key.registry == nullptr) return;
  key.registry->fire_all(key, Status::notify_cleanup);
  key.open_link.unlink();
  KeyNode& node = *key.node;
  if (--node.open_count == 0 && node.deleted) {
    std::erase_if(key.registry->deleted_, [&](const std::unique_ptr<KeyNode>& dead) { return dead.get() == &node; });
  }
}

void Registry::close(ob::Object& object, const ob::CloseEvent& event) {
  auto& key = static_cast<KeyObject&>(object);
  if (event.handle_count_before == 1 && key.registry != nullptr) key.registry->fire_all(key, Status::notify_cleanup);
}

Result<std::u16string> Registry::query_name(ob::Object& object) {
  const auto& key = static_cast<const KeyObject&>(object);
  if (key.registry == nullptr || key.node->deleted) return Failure(Status::key_deleted);
  return key.registry->path(*key.node);
}

std::u16string Registry::path(const KeyNode& node) const {
  if (node.deleted) return {};
  std::vector<const KeyNode*> chain;
  for (const KeyNode* current = &node; current != nullptr; current = current->parent) chain.push_back(current);
  std::u16string result;
  for (auto current = chain.rbegin(); current != chain.rend(); ++current) {
    result += u'\\';
    result += (*current)->name;
  }
  return result;
}

Result<ob::ParseOutcome> Registry::parse(ob::ParseRequest& request) {
  auto& key = static_cast<KeyObject&>(request.object);
  if (key.registry == nullptr || key.node->deleted) return Failure(Status::key_deleted);
  // NT: CmpParseKey serves only who wants a key; the context of anyone else is not an Opening.
  if (request.wanted_type != nullptr && request.wanted_type != key.registry->key_type_) {
    return Failure(Status::object_type_mismatch);
  }
  if (request.wanted_type == nullptr) request.context = nullptr;
  return key.registry->walk(request, *key.node);
}

Result<ob::ParseOutcome> Registry::walk(const ob::ParseRequest& request, KeyNode& start) {
  auto* opening = static_cast<Opening*>(request.context);
  const bool wants_link =
      !request.allow_link_target ||
      (opening != nullptr && (opening->options & (key_options::kOpenLink | key_options::kCreateLink)) != 0);
  KeyNode* node = &start;
  std::u16string_view rest = request.remaining;
  std::u16string_view component;
  while (next_component(rest, component)) {
    if (component.size() > kMaximumKeyNameUnits) return Failure(Status::object_name_invalid);
    const bool is_last = rest.find_first_not_of(u'\\') == std::u16string_view::npos;
    KeyNode* child = find_child(*node, component);
    if (child == nullptr) {
      // NT: a missing key is OBJECT_NAME_NOT_FOUND wherever it is in the path.
      if (!is_last || opening == nullptr || !opening->create) return Failure(Status::object_name_not_found);
      const Result<KeyNode*> created = create_child(*node, component, *opening, request.mode);
      if (!created) return Failure(created.error());
      opening->disposition = Disposition::created_new_key;
      node = *created;
      break;
    }
    if (child->is_link && !(is_last && wants_link)) {
      std::u16string target = link_target(*child);
      if (target.empty()) return Failure(Status::object_name_not_found);
      target += rest;
      return ob::ParseOutcome{.object = {}, .reparse = std::move(target)};
    }
    if (is_last && opening != nullptr && opening->create && (opening->options & key_options::kCreateLink) != 0) {
      return Failure(Status::object_name_collision);
    }
    node = child;
  }
  Result<ob::Ref<ob::Object>> object = open_node(*node);
  if (!object) return Failure(object.error());
  return ob::ParseOutcome{.object = std::move(*object), .reparse = {}};
}

Result<KeyNode*> Registry::create_child(KeyNode& parent, std::u16string_view name, const Opening& opening,
                                        se::Mode mode) {
  // NT: only the kernel loads hives below \Registry, \Registry\Machine and \Registry\User.
  if (mode == se::Mode::user && parent.depth < 2) return Failure(Status::access_denied);
  const bool is_volatile = (opening.options & key_options::kVolatile) != 0;
  if (parent.is_volatile && !is_volatile) return Failure(Status::child_must_be_volatile);
  const Result<KeyNode*> child = add_child(parent, name, is_volatile);
  if (!child) return child;
  (*child)->key_class = opening.key_class.substr(0, kMaximumKeyNameUnits);
  bytes_ += 2 * (*child)->key_class.size();
  (*child)->is_link = (opening.options & key_options::kCreateLink) != 0;
  return child;
}

Result<KeyNode*> Registry::add_child(KeyNode& parent, std::u16string_view name, bool is_volatile) {
  if (name.empty() || name.size() > kMaximumKeyNameUnits) return Failure(Status::object_name_invalid);
  if (parent.depth + 1u > kMaximumKeyDepth) return Failure(Status::insufficient_resources);
  auto child = std::make_unique<KeyNode>();
  child->name = name;
  child->parent = &parent;
  child->depth = static_cast<u16>(parent.depth + 1);
  child->is_volatile = is_volatile;
  child->last_write = clock_();
  if (const Status status = charge(node_bytes(*child), 0); !is_success(status)) return Failure(status);
  KeyNode* raw = child.get();
  parent.subkeys.insert(position_of(parent, name), std::move(child));
  changed_ |= !is_volatile;
  touch(parent, notify_filter::kName);
  return raw;
}

Status Registry::charge(u64 added, u64 removed) {
  if (added > removed && added - removed > kMaximumRegistryBytes - std::min(bytes_, kMaximumRegistryBytes)) {
    return Status::insufficient_resources;
  }
  bytes_ += added;
  bytes_ -= removed;
  return Status::success;
}

Result<CreatedKey> Registry::create_key(ob::ObjectHandles& handles, const CreateKeyRequest& request,
                                        const ob::AccessState& access) {
  if ((request.options & ~key_options::kValid) != 0) return Failure(Status::invalid_parameter);
  Opening opening{.create = true, .options = request.options, .key_class = request.key_class};
  constexpr u32 kViews = abi::key_access::kWow64_32 | abi::key_access::kWow64_64;
  const Result<ob::Handle> handle =
      handles.open_by_name(request.attributes, key_type_, request.desired_access & ~kViews, access, &opening);
  if (!handle) return Failure(handle.error());
  return CreatedKey{*handle, opening.disposition};
}

Result<ob::Handle> Registry::open_key(ob::ObjectHandles& handles, const ob::ObjectAttributes& attributes,
                                      u32 desired_access, u32 options, const ob::AccessState& access) {
  if ((options & ~(key_options::kOpenLink | key_options::kBackupRestore)) != 0)
    return Failure(Status::invalid_parameter);
  Opening opening{.create = false, .options = options, .key_class = {}};
  constexpr u32 kViews = abi::key_access::kWow64_32 | abi::key_access::kWow64_64;
  return handles.open_by_name(attributes, key_type_, desired_access & ~kViews, access, &opening);
}

KeyNode* Registry::find(std::u16string_view path) const {
  KeyNode* node = root_.get();
  std::u16string_view component;
  bool first = true;
  while (node != nullptr && next_component(path, component)) {
    if (!std::exchange(first, false) || !ex::equal_ignoring_case(component, root_->name))
      node = find_child(*node, component);
  }
  return node;
}

Result<KeyNode*> Registry::make(std::u16string_view path) {
  KeyNode* node = root_.get();
  std::u16string_view component;
  bool first = true;
  while (next_component(path, component)) {
    if (std::exchange(first, false) && ex::equal_ignoring_case(component, root_->name)) continue;
    KeyNode* child = find_child(*node, component);
    if (child == nullptr) {
      const Result<KeyNode*> added = add_child(*node, component, node->is_volatile && node != root_.get());
      if (!added) return added;
      child = *added;
    }
    node = child;
  }
  return node;
}

Status Registry::put(KeyNode& node, std::u16string_view name, u32 type, std::span<const std::byte> data) {
  if (name.size() > kMaximumValueNameUnits || data.size() > kMaximumValueBytes) return Status::invalid_parameter;
  const auto found = find_value(node, name);
  if (found != node.values.end()) {
    VITRINE_TRY(charge(data.size(), found->data.size()));
    found->type = type;
    found->data.assign(data.begin(), data.end());
  } else {
    KeyValue value{std::u16string(name), type, {data.begin(), data.end()}};
    VITRINE_TRY(charge(value_bytes(value), 0));
    node.values.push_back(std::move(value));
  }
  changed_ |= !node.is_volatile;
  touch(node, notify_filter::kLastSet);
  return Status::success;
}

Status Registry::put_string(KeyNode& node, std::u16string_view name, std::u16string_view text) {
  return put(node, name, kTypeString, bytes_of(text, true));
}

Status Registry::put_dword(KeyNode& node, std::u16string_view name, u32 value) {
  const std::byte data[4] = {static_cast<std::byte>(value), static_cast<std::byte>(value >> 8),
                             static_cast<std::byte>(value >> 16), static_cast<std::byte>(value >> 24)};
  return put(node, name, kTypeDword, data);
}

Status Registry::put_link(std::u16string_view path, std::u16string_view target) {
  const Result<KeyNode*> node = make(path);
  if (!node) return node.error();
  (*node)->is_link = true;
  return put(**node, kLinkValueName, kTypeLink, bytes_of(target, false));
}

bool Registry::take_changed() { return std::exchange(changed_, false); }

}  // namespace vitrine::cm
