// HostPlace: a directory below a mounted host folder, held open together with its ancestors up to the folder. It can
// only move to what is inside: every step opens one component without following links; links are followed here,
// component by component, and one that is absolute or climbs above the folder leads nowhere (object_name_not_found). A
// directory that somebody swaps for a link between two steps makes the step fail, never escape.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/host_folder.h"

namespace vitrine::io {

// A host object below a folder, links resolved.
struct HostLeaf {
  HostFolder parent;
  std::string name;  // in parent; empty: the folder itself
  struct stat information{};
};

class HostPlace {
 public:
  // The folder itself; `overlay` (or null) takes what is changed below it. object_path_not_found and others of the
  // host.
  static Result<HostPlace> open_folder(const std::string& host_path, std::shared_ptr<Overlay> overlay);

  [[nodiscard]] const HostFolder& directory() const { return directories_.back(); }

  // The host name that the guest means by `component`: exact, else the smallest in byte order that differs in case
  // only. object_name_not_found.
  [[nodiscard]] Result<std::string> find(std::u16string_view component) const;
  // What `name` is, links followed; regular files and directories only (others do not exist). Does not move.
  [[nodiscard]] Result<HostLeaf> inspect(const std::string& name) const;
  // Moves into the directory `name`, links followed.
  Status enter(const std::string& name);

  // Names in this directory that the guest can see, sorted by bytes.
  [[nodiscard]] Result<std::vector<std::string>> list() const;

 private:
  struct Walk;
  Status walk(Walk& walk);
  std::vector<HostFolder> directories_;  // from the folder to here; never empty
};

// The guest's name of a host file; empty when it has none that Windows allows.
[[nodiscard]] std::u16string guest_name(std::string_view host_name);

}  // namespace vitrine::io
