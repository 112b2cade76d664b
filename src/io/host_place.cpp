#include "io/host_place.h"

#include <algorithm>
#include <deque>

#include "ex/unicode.h"
#include "io/name_rules.h"

namespace vitrine::io {
namespace {

constexpr int kMaximumLinks = 40;  // as Linux allows in one look-up
constexpr std::size_t kMaximumSteps = 4096;  // components in one walk, links expanded

// Cheap and never wrong when it says no: a UTF-16 unit takes one to three bytes of UTF-8, and ASCII letters that differ
// stay different in capitals. A look-up by another case than the host's asks it of every name of a folder.
bool may_mean(std::string_view host_name, std::u16string_view component) {
  if (host_name.size() < component.size() || host_name.size() > 3 * component.size()) return false;
  const auto first = static_cast<unsigned char>(host_name.front());
  if (first >= 0x80 || component.front() >= 0x80) return true;
  return ex::upcase(first) == ex::upcase(component.front());
}

}  // namespace

std::u16string guest_name(std::string_view host_name) {
  std::u16string name = ex::from_utf8(host_name);
  if (!is_legal_component(name) || ex::to_utf8(name) != host_name) return {};
  return name;
}

Result<HostPlace> HostPlace::open_folder(const std::string& host_path, std::shared_ptr<Overlay> overlay) {
  auto folder = HostFolder::open(host_path, std::move(overlay));
  if (!folder) return Failure(folder.error());
  HostPlace place;
  place.directories_.push_back(std::move(*folder));
  return place;
}

Result<std::string> HostPlace::find(std::u16string_view component) const {
  if (!is_legal_component(component)) return Failure(Status::object_name_invalid);
  std::string exact = ex::to_utf8(component);
  const auto there = directory().look(exact);
  if (there) return exact;
  if (there.error() != Status::object_name_not_found) return Failure(there.error());
  const auto names = directory().list();
  if (!names) return Failure(names.error());
  for (const std::string& name : *names) {
    if (may_mean(name, component) && ex::equal_ignoring_case(guest_name(name), component)) return name;
  }
  return Failure(Status::object_name_not_found);
}

Result<std::vector<std::string>> HostPlace::list() const {
  auto names = directory().list();
  if (names) std::erase_if(*names, [](const std::string& name) { return guest_name(name).empty(); });
  return names;
}

struct HostPlace::Walk {
  std::deque<std::string> rest;
  int links_left = kMaximumLinks;
  HostLeaf leaf;  // set at the end
};

// Takes walk.rest component by component; the last one becomes the leaf and, if it is a directory, is entered.
Status HostPlace::walk(Walk& walk) {
  for (std::size_t steps = 0; !walk.rest.empty(); ++steps) {
    if (steps == kMaximumSteps) return Status::object_name_not_found;
    const std::string name = std::move(walk.rest.front());
    walk.rest.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (directories_.size() == 1) return Status::object_name_not_found;
      directories_.pop_back();
      continue;
    }
    const auto information = directory().look(name);
    if (!information) return information.error();
    if (S_ISLNK(information->st_mode)) {
      if (walk.links_left-- == 0) return Status::object_name_not_found;
      const auto target = directory().read_link(name);
      if (!target) return target.error();
      std::string_view text = *target;
      if (text.front() == '/') return Status::object_name_not_found;
      std::vector<std::string> parts;
      for (std::size_t end = 0; end != text.npos; text.remove_prefix(end == text.npos ? 0 : end + 1)) {
        end = text.find('/');
        parts.emplace_back(text.substr(0, end));
      }
      walk.rest.insert(walk.rest.begin(), parts.begin(), parts.end());
      continue;
    }
    if (S_ISDIR(information->st_mode)) {
      auto next = directory().enter(name);
      if (!next) return next.error();
      walk.leaf = {directory(), name, *information};
      directories_.push_back(std::move(*next));
      continue;
    }
    if (!S_ISREG(information->st_mode)) return Status::object_name_not_found;
    const bool last =
        std::ranges::all_of(walk.rest, [](const std::string& part) { return part.empty() || part == "."; });
    if (!last) return Status::object_path_not_found;
    walk.leaf = {directory(), name, *information};
    return Status::success;
  }
  // A walk that ends with ".." or "." stands on a directory that it did not name: describe it from inside.
  const auto here = directory().look();
  if (!here) return here.error();
  if (!walk.leaf.parent || key_of(*here) != key_of(walk.leaf.information)) walk.leaf = {directory(), "", *here};
  return Status::success;
}

Result<HostLeaf> HostPlace::inspect(const std::string& name) const {
  HostPlace copy = *this;
  Walk steps{.rest = {name}, .leaf = {}};
  if (const Status status = copy.walk(steps); !is_success(status)) return Failure(status);
  return std::move(steps.leaf);
}

Status HostPlace::enter(const std::string& name) {
  HostPlace copy = *this;
  Walk steps{.rest = {name}, .leaf = {}};
  VITRINE_TRY(copy.walk(steps));
  if (!S_ISDIR(steps.leaf.information.st_mode)) return Status::object_path_not_found;
  *this = std::move(copy);
  return Status::success;
}

}  // namespace vitrine::io
