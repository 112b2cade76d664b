// MountTable: which host folders make up a volume, and the way from a guest path to a host file. Mounts form a tree; a
// guest directory is a node of that tree, one or more host directories laid over each other, or both (the mount hides
// what the host has under the same name). Directories on the way to a mount exist even when no folder provides them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/host_place.h"
#include "io/host_volume.h"
#include "io/name_rules.h"

namespace vitrine::io {

struct MountNode {
  std::u16string name;
  u64 ordinal = 0;                     // in order of creation; the identity of a directory without a folder
  bool mounted = false;
  MountAccess access = MountAccess::read_only;  // meaningful when mounted; else the parent's
  std::vector<HostPlace> folders;
  std::vector<std::string> host_paths;          // of the folders, canonical
  std::vector<std::unique_ptr<MountNode>> children;  // sorted by name, without case
};

struct GuestDirectory {
  const MountNode* node = nullptr;   // null: below all mounts
  std::vector<HostPlace> places;     // may be empty for a node without folders
  MountAccess access = MountAccess::read_only;
};

// What is at a guest path, or would be.
struct Located {
  std::u16string path;               // "\Windows\x.dll", in the host's case where it exists; "\" for the root
  bool exists = false;
  std::optional<GuestDirectory> directory;  // set when it exists and is a directory
  bool is_mount_point = false;       // cannot be deleted or renamed
  MountAccess access = MountAccess::read_only;
  // The host file; when it does not exist, where to create it (no parent: nowhere).
  HostLeaf leaf;
  u64 synthetic_ordinal = 0;         // not 0: a directory that only the mount table provides
};

class MountTable {
 public:
  // Errors: object_name_invalid (guest path), those of HostPlace::open_folder.
  // What is changed below read-write mounts goes into `overlay`, if there is one.
  static Result<MountTable> build(const std::vector<Mount>& mounts, const std::shared_ptr<Overlay>& overlay);

  // object_path_not_found when a directory on the way is missing or no directory. A missing last component is no error.
  [[nodiscard]] Result<Located> locate(const std::vector<std::u16string_view>& components) const;

  struct Name {
    std::u16string name;
    Located located;
  };
  // All entries of a directory, sorted without case, links to the outside left out. `path` is the directory's own.
  [[nodiscard]] Result<std::vector<Name>> list(const GuestDirectory& directory, std::u16string_view path) const;

  // Guest path of a canonical host path: the longest mount that holds it and shows it; nullopt: none does.
  [[nodiscard]] std::optional<std::u16string> guest_path_of(const std::string& host_path) const;

 private:
  [[nodiscard]] GuestDirectory root() const;
  // One component further; `found` false leaves where it would be created in located.leaf.
  [[nodiscard]] Result<Located> look_up(const GuestDirectory& directory, std::u16string_view path,
                                        std::u16string_view component) const;
  std::unique_ptr<MountNode> root_;
};

}  // namespace vitrine::io
