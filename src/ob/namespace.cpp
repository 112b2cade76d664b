// The namespace half of ObjectManager: walking names, entering and leaving directories.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "ex/unicode.h"
#include "ob/object_manager.h"

namespace vitrine::ob {

Object* DirectoryObject::find(std::u16string_view name, bool ignore_case) const {
  std::u16string upcased = ex::upcase(name);
  if (!ignore_case) {
    const auto exact = entries.find(DirectoryKey{std::move(upcased), std::u16string(name)});
    return exact == entries.end() ? nullptr : exact->second;
  }
  const auto first = entries.lower_bound(DirectoryKey{upcased, {}});
  return first == entries.end() || first->first.upcased != upcased ? nullptr : first->second;
}

// One look-up under way. `path` is what is left of the name counted from `position`; a link replaces it.
struct ObjectManager::Walk {
  const LookupRequest& request;
  std::u16string path;
  std::size_t position = 0;  // of the next component in `path`
  Ref<Object> current = {};  // the directory in which the next component is looked up, or the result
  u32 reparses = 0;
  Object* insert = nullptr;  // to be entered when the last component is missing
  bool done = false;
  bool existed = false;  // with `insert`: the last component was there
};

// Finds where the walk starts: at the root directory or at the caller's object.
Status ObjectManager::begin(Walk& walk) {
  if (walk.path.size() > kMaximumNameUnits) return Status::object_name_invalid;
  Object* root = walk.reparses == 0 ? walk.request.root : nullptr;
  if (root == nullptr) {
    if (walk.path.empty() || walk.path[0] != u'\\') return Status::object_path_syntax_bad;
    walk.current = Ref<Object>(*root_);
    walk.position = 1;
    walk.done = walk.path.size() == 1;
    if (walk.done) walk.existed = true;
    return Status::success;
  }
  walk.current = Ref<Object>(*root);
  walk.position = 0;
  if (&root->type() == directory_type_) {
    if (!walk.path.empty() && walk.path[0] == u'\\') return Status::object_path_syntax_bad;
    walk.done = walk.path.empty();
    if (walk.done) walk.existed = true;
    return Status::success;
  }
  if (root->type().traits.parse == nullptr || walk.insert != nullptr) return Status::object_type_mismatch;
  return parse(walk, *root, walk.path);
}

// Hands the rest of the name to an object's parse routine and takes what it says: an object, or a new name.
Status ObjectManager::parse(Walk& walk, Object& object, std::u16string_view remaining) {
  std::u16string reparse;
  if (&object.type() == symbolic_link_type_) {
    reparse = static_cast<SymbolicLinkObject&>(object).target;
    if (reparse.ends_with(u'\\') && remaining.starts_with(u'\\')) reparse.pop_back();  // a link to the root
    reparse += remaining;
  } else {
    ParseRequest request{.manager = *this,
                         .object = object,
                         .complete_name = walk.path,
                         .remaining = remaining,
                         .attributes = walk.request.attributes,
                         .desired_access = walk.request.desired_access,
                         .mode = walk.request.access.mode,
                         .context = walk.request.parse_context,
                         .wanted_type = walk.request.type,
                         .allow_link_target = (walk.request.attributes & abi::obj::kOpenLink) == 0};
    Result<ParseOutcome> outcome = object.type().traits.parse(request);
    if (!outcome) return outcome.error();
    if (outcome->object) {
      walk.current = std::move(outcome->object);
      walk.done = true;
      return Status::success;
    }
    reparse = std::move(outcome->reparse);
  }
  if (++walk.reparses > kMaximumReparses) return Status::object_name_not_found;
  walk.path = std::move(reparse);
  return begin(walk);
}

Status ObjectManager::check_directory(const Walk& walk, const DirectoryObject& directory, u32 right) const {
  const AccessState& access = walk.request.access;
  const se::SecurityDescriptor* descriptor = security(directory);
  if (access.mode == se::Mode::kernel || access.token == nullptr || descriptor == nullptr) return Status::success;
  const Result<u32> granted =
      se::access_check(descriptor, *access.token, right, directory_type_->traits.mapping, access.mode);
  return granted ? Status::success : granted.error();
}

// Takes one component off the name and looks it up.
Status ObjectManager::step(Walk& walk, DirectoryObject& directory) {
  const std::size_t end = std::min(walk.path.find(u'\\', walk.position), walk.path.size());
  const std::u16string component = walk.path.substr(walk.position, end - walk.position);
  const bool is_last = end == walk.path.size();
  if (component.empty()) return Status::object_name_invalid;
  VITRINE_TRY(check_directory(walk, directory, abi::directory_access::kTraverse));

  const bool ignore_case = (walk.request.attributes & abi::obj::kCaseInsensitive) != 0;
  Object* found = directory.find(component, ignore_case);
  if (found == nullptr && directory.shadow) found = directory.shadow->find(component, ignore_case);
  if (found == nullptr) {
    if (!is_last) return Status::object_path_not_found;
    if (walk.insert == nullptr) return Status::object_name_not_found;
    const bool is_directory = &walk.insert->type() == directory_type_;
    VITRINE_TRY(check_directory(
        walk, directory,
        is_directory ? abi::directory_access::kCreateSubdirectory : abi::directory_access::kCreateObject));
    VITRINE_TRY(enter(directory, component, *walk.insert));
    walk.current = Ref<Object>(*walk.insert);
    walk.done = true;
    return Status::success;
  }

  Ref<Object> next(*found);
  const bool is_link = &next->type() == symbolic_link_type_;
  // NT: the link itself is meant when the caller asks for that type, or with OBJ_OPENLINK, and the name ends here.
  const bool wants_link =
      is_last && is_link &&
      (walk.request.type == symbolic_link_type_ || (walk.request.attributes & abi::obj::kOpenLink) != 0);
  const bool parses = is_link || (next->type().traits.parse != nullptr && walk.insert == nullptr);
  if (parses && !wants_link) {
    const std::u16string remaining = walk.path.substr(end);
    return parse(walk, *next, remaining);
  }
  walk.current = std::move(next);
  walk.position = end + 1;
  walk.done = is_last;
  walk.existed = is_last;
  return Status::success;
}

Status ObjectManager::run(Walk& walk) {
  VITRINE_TRY(begin(walk));
  while (!walk.done) {
    if (&walk.current->type() != directory_type_) return Status::object_type_mismatch;
    const Ref<Object> holder = walk.current;
    VITRINE_TRY(step(walk, static_cast<DirectoryObject&>(*holder)));
  }
  return Status::success;
}

Result<Ref<Object>> ObjectManager::lookup(const LookupRequest& request) {
  Walk walk{.request = request, .path = std::u16string(request.name.substr(0, kMaximumNameUnits + 1))};
  if (const Status status = run(walk); !is_success(status)) return Failure(status);
  if (request.type != nullptr && &walk.current->type() != request.type) return Failure(Status::object_type_mismatch);
  return std::move(walk.current);
}

Result<ObjectManager::Inserted> ObjectManager::insert(Ref<Object> object, const ObjectAttributes& attributes,
                                                      const AccessState& access) {
  if (attributes.name.empty()) return Inserted{std::move(object), Status::success};
  const LookupRequest request{.name = attributes.name,
                              .root = attributes.root.get(),
                              .attributes = attributes.attributes & ~abi::obj::kOpenLink,
                              .type = &object->type(),
                              .access = access};
  Walk walk{.request = request, .path = attributes.name.substr(0, kMaximumNameUnits + 1), .insert = object.get()};
  if (const Status status = run(walk); !is_success(status)) return Failure(status);
  if (!walk.existed) return Inserted{std::move(object), Status::success};
  const bool open_if = (attributes.attributes & abi::obj::kOpenIf) != 0;
  if (!open_if) return Failure(Status::object_name_collision);
  if (&walk.current->type() != &object->type()) return Failure(Status::object_type_mismatch);
  return Inserted{std::move(walk.current), Status::object_name_exists};
}

// Precondition: no entry of exactly this name. The entry references the object, the object its directory.
Status ObjectManager::enter(DirectoryObject& directory, std::u16string_view name, Object& object) {
  ObjectInfo& info = info_of(object);
  VITRINE_CHECK(info.directory == nullptr);
  // NT: OBJECT_DIRECTORY_ENTRY is a chain link, a pointer and a hash value.
  const Result<ex::PoolBlock> entry = pool_.allocate(entry_site_, 3 * u64{profile_.pointer_size});
  if (!entry) return entry.error();
  const Result<ex::PoolBlock> characters = pool_.allocate(name_site_, name.size() * 2);
  if (!characters) {
    ex::PoolBlock unused = *entry;
    pool_.free(unused);
    return characters.error();
  }
  info.entry_block = *entry;
  info.name_block = *characters;
  info.name = name;
  info.directory = &directory;
  object.flags_ |= object_flags::kNamed;
  reference(directory);
  reference(object);
  const bool added = directory.entries.emplace(DirectoryKey{ex::upcase(name), info.name}, &object).second;
  VITRINE_CHECK(added);
  return Status::success;
}

// Does nothing when the object is in no directory. The caller holds a reference of its own, or the object may be gone
// after.
void ObjectManager::leave_directory(Object& object) {
  ObjectInfo* info = object.info_;
  if (info == nullptr || info->directory == nullptr) return;
  DirectoryObject* directory = std::exchange(info->directory, nullptr);
  const auto erased = directory->entries.erase(DirectoryKey{ex::upcase(info->name), info->name});
  VITRINE_CHECK(erased == 1);
  pool_.free(info->entry_block);
  pool_.free(info->name_block);
  info->name.clear();
  dereference(object);
  dereference(*directory);
}

// Takes every entry out of every directory, depth by depth, without recursion.
void ObjectManager::empty_directories() {
  std::vector<Ref<DirectoryObject>> pending{Ref<DirectoryObject>(*root_)};
  while (!pending.empty()) {
    const Ref<DirectoryObject> directory = std::move(pending.back());
    pending.pop_back();
    directory->shadow.reset();
    while (!directory->entries.empty()) {
      const Ref<Object> object(*directory->entries.begin()->second);
      if (&object->type() == directory_type_) pending.push_back(ref_cast<DirectoryObject>(Ref<Object>(object)));
      leave_directory(*object);
    }
  }
}

Result<std::u16string> ObjectManager::query_name(Object& object) {
  if (object.type().traits.query_name != nullptr) return object.type().traits.query_name(object);
  if (&object == root_) return std::u16string(u"\\");
  std::vector<std::u16string_view> components;
  std::size_t units = 0;
  const Object* current = &object;
  while (current != root_ && current->info_ != nullptr && current->info_->directory != nullptr) {
    components.push_back(current->info_->name);
    units += current->info_->name.size() + 1;
    if (units > kMaximumNameUnits) return Failure(Status::name_too_long);
    current = current->info_->directory;
  }
  std::u16string name;
  name.reserve(units);
  for (auto component = components.rbegin(); component != components.rend(); ++component) {
    name += u'\\';
    name += *component;
  }
  return name;
}

Result<Ref<DirectoryObject>> ObjectManager::make_directory(std::u16string_view path) {
  const CreateRequest request{.attributes = {.name = std::u16string(path), .attributes = abi::obj::kPermanent},
                              .kernel_object = true};
  Result<Ref<DirectoryObject>> directory = create<DirectoryObject>(*directory_type_, request);
  if (!directory) return directory;
  const Result<Inserted> inserted = insert(*directory, request.attributes, {});
  if (!inserted) return Failure(inserted.error());
  return directory;
}

Status ObjectManager::make_symbolic_link(std::u16string_view path, std::u16string_view target) {
  const CreateRequest request{.attributes = {.name = std::u16string(path), .attributes = abi::obj::kPermanent},
                              .kernel_object = true};
  Result<Ref<SymbolicLinkObject>> link = create_symbolic_link(request, target);
  if (!link) return link.error();
  const Result<Inserted> inserted = insert(*link, request.attributes, {});
  return inserted ? Status::success : inserted.error();
}

}  // namespace vitrine::ob
