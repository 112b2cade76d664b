#include "io/mount_table.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "ex/unicode.h"

namespace vitrine::io {
namespace {

struct NameOrder {
  bool operator()(const std::u16string& a, const std::u16string& b) const {
    return ex::compare_ignoring_case(a, b) < 0;
  }
};

MountNode* child_of(const MountNode& node, std::u16string_view name) {
  for (const auto& child : node.children) {
    if (ex::equal_ignoring_case(child->name, name)) return child.get();
  }
  return nullptr;
}

std::u16string join(std::u16string_view path, std::u16string_view name) {
  std::u16string result(path);
  if (!result.ends_with(u'\\')) result += u'\\';
  result += name;
  return result;
}

HostLeaf folder_itself(const HostPlace& place) {
  const auto information = place.directory().look();
  return {place.directory(), "", information ? *information : (struct stat){}};
}

// The host path without links, so that command-line paths can be compared with it.
std::string canonical(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  std::string result = resolved == nullptr ? path : resolved;
  std::free(resolved);
  return result;
}

}  // namespace

Result<MountTable> MountTable::build(const std::vector<Mount>& mounts, const std::shared_ptr<Overlay>& overlay) {
  MountTable table;
  table.root_ = std::make_unique<MountNode>();
  u64 ordinal = 1;
  table.root_->ordinal = ordinal;
  for (const Mount& mount : mounts) {
    const auto path = split_path(mount.guest_path);
    if (!path) return Failure(path.error());
    MountNode* node = table.root_.get();
    for (std::u16string_view component : path->components) {
      MountNode* next = child_of(*node, component);
      if (next == nullptr) {
        auto made = std::make_unique<MountNode>();
        made->name = component;
        made->ordinal = ++ordinal;
        next = made.get();
        node->children.push_back(std::move(made));
        std::ranges::sort(node->children, [](const auto& a, const auto& b) { return NameOrder{}(a->name, b->name); });
      }
      node = next;
    }
    node->mounted = true;
    node->access = mount.access;
    for (const std::string& folder : mount.host_folders) {
      auto place =
          HostPlace::open_folder(folder, mount.access == MountAccess::read_write && mount.overlaid ? overlay : nullptr);
      if (!place) return Failure(place.error());
      node->folders.push_back(std::move(*place));
      node->host_paths.push_back(canonical(folder));
    }
  }
  return table;
}

GuestDirectory MountTable::root() const { return {root_.get(), root_->folders, root_->access}; }

Result<Located> MountTable::look_up(const GuestDirectory& directory, std::u16string_view path,
                                    std::u16string_view component) const {
  Located located;
  located.access = directory.access;
  const MountNode* child = directory.node == nullptr ? nullptr : child_of(*directory.node, component);
  if (child != nullptr) {
    located.path = join(path, child->name);
    located.exists = located.is_mount_point = true;
    if (child->mounted) located.access = child->access;
    located.directory = GuestDirectory{child, child->folders, located.access};
  }
  for (const HostPlace& place : directory.places) {
    if (child != nullptr && child->mounted) break;
    const auto name = place.find(component);
    if (!name && name.error() != Status::object_name_not_found) return Failure(name.error());
    if (!name) continue;
    auto leaf = place.inspect(*name);
    if (!leaf && leaf.error() != Status::object_name_not_found) return Failure(leaf.error());
    if (!leaf) continue;
    const bool is_directory = S_ISDIR(leaf->information.st_mode);
    if (located.exists && !(located.directory && is_directory)) continue;  // hidden by an earlier folder
    if (!located.exists) {
      located.exists = true;
      located.path = join(path, guest_name(*name));
      if (is_directory) located.directory = GuestDirectory{nullptr, {}, located.access};
    }
    if (!located.leaf.parent) located.leaf = std::move(*leaf);
    if (!is_directory) break;
    HostPlace inside = place;
    if (const Status status = inside.enter(*name); !is_success(status)) return Failure(status);
    located.directory->places.push_back(std::move(inside));
  }
  if (!located.exists) {
    located.path = join(path, component);
    if (!directory.places.empty()) located.leaf = {directory.places.front().directory(), ex::to_utf8(component), {}};
    return located;
  }
  if (located.directory && !located.leaf.parent) {
    if (!located.directory->places.empty()) {
      located.leaf = folder_itself(located.directory->places.front());
    } else {
      located.synthetic_ordinal = child->ordinal;
    }
  }
  return located;
}

Result<Located> MountTable::locate(const std::vector<std::u16string_view>& components) const {
  Located located;
  located.path = u"\\";
  located.exists = located.is_mount_point = true;
  located.directory = root();
  located.access = root_->access;
  if (root_->folders.empty()) {
    located.synthetic_ordinal = root_->ordinal;
  } else {
    located.leaf = folder_itself(root_->folders.front());
  }
  for (std::u16string_view component : components) {
    if (!located.exists || !located.directory) return Failure(Status::object_path_not_found);
    auto next = look_up(*located.directory, located.path, component);
    if (!next) return next;
    located = std::move(*next);
  }
  return located;
}

Result<std::vector<MountTable::Name>> MountTable::list(const GuestDirectory& directory,
                                                       std::u16string_view path) const {
  std::map<std::u16string, bool, NameOrder> names;
  if (directory.node != nullptr) {
    for (const auto& child : directory.node->children) names.emplace(child->name, true);
  }
  for (const HostPlace& place : directory.places) {
    const auto host_names = place.list();
    if (!host_names) return Failure(host_names.error());
    for (const std::string& name : *host_names) names.emplace(guest_name(name), true);
  }
  std::vector<Name> result;
  result.reserve(names.size());
  for (const auto& [name, present] : names) {
    auto located = look_up(directory, path, name);
    if (!located || !located->exists) continue;  // a link to the outside, or gone meanwhile
    result.push_back({name, std::move(*located)});
  }
  return result;
}

std::optional<std::u16string> MountTable::guest_path_of(const std::string& host_path) const {
  const std::string wanted = canonical(host_path);
  std::optional<std::u16string> best;
  std::size_t best_length = 0;
  struct Item {
    const MountNode* node;
    std::u16string path;
  };
  std::vector<Item> stack{{root_.get(), u"\\"}};
  while (!stack.empty()) {
    const Item item = std::move(stack.back());
    stack.pop_back();
    for (const auto& child : item.node->children) stack.push_back({child.get(), join(item.path, child->name)});
    for (const std::string& folder : item.node->host_paths) {
      const std::string prefix = folder == "/" ? "/" : folder + "/";
      if (wanted != folder && !wanted.starts_with(prefix)) continue;
      if (best && folder.size() <= best_length) continue;
      std::u16string guest = item.path;
      std::string_view rest = std::string_view(wanted).substr(std::min(prefix.size(), wanted.size()));
      while (!rest.empty()) {
        const std::size_t end = rest.find('/');
        const std::u16string name = guest_name(rest.substr(0, end));
        if (name.empty()) break;
        guest = join(guest, name);
        rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
      }
      if (!rest.empty()) continue;
      best = std::move(guest);
      best_length = folder.size();
    }
  }
  return best;
}

}  // namespace vitrine::io
