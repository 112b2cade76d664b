// What an overlay holds that the host does not have: to be listed, copied out, or applied.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "io/host_folder.h"

namespace vitrine::io {

struct OverlayChange {
  enum class Kind : u8 { removed, added, changed, attributes };
  Kind kind{};
  bool is_folder = false;
  std::string path;                 // below the root, with '/'
  u64 bytes = 0, bytes_before = 0;  // of a file
  HostFolder folder;                // where the name is, or was
  std::string name;
};

// `root` is a folder opened with the overlay. In the order of names, a folder before what is in it; a removed folder
// stands for all that was in it. Errors of the host.
[[nodiscard]] Result<std::vector<OverlayChange>> overlay_changes(const HostFolder& root);

// Copies what was added or changed into `target`, an open folder of the host. The error is one line for the user.
[[nodiscard]] std::expected<void, std::string> keep_changes(const std::vector<OverlayChange>& changes, int target);

struct RootChanges {
  HostFolder root;
  std::vector<OverlayChange> changes;
};
// Makes the host's folders what the program saw. All new contents are written beside them first, so a full disk changes
// nothing; what follows are renames and removals. The error is one line for the user.
[[nodiscard]] std::expected<void, std::string> apply_changes(const std::vector<RootChanges>& roots);

// The merged contents of a regular file into an open descriptor; into an empty file zeros become holes. Errors of the
// host.
enum class CopyTarget : u8 { empty, has_data };
[[nodiscard]] Status copy_contents(const HostFolder& folder, const std::string& name, FileKey key, int to,
                                   CopyTarget target);

}  // namespace vitrine::io
