// RunOverlay: what a run with an overlay would have changed on the host, after the run: to be listed, kept elsewhere,
// or applied.
#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/host_volume.h"
#include "io/overlay.h"

namespace vitrine {

class RunOverlay {
 public:
  RunOverlay(std::shared_ptr<io::Overlay> overlay, const std::vector<io::Mount>& mounts);

  // Errors of all three: one line for the user.
  [[nodiscard]] std::expected<std::vector<std::string>, std::string> list() const;
  // Copies of all added and changed files below `folder`, which must be empty or absent, in folders named after the
  // mounts, and the list as changes.txt.
  [[nodiscard]] std::expected<void, std::string> keep(const std::filesystem::path& folder) const;
  [[nodiscard]] std::expected<void, std::string> apply() const;

 private:
  struct Root {
    std::string guest_path;  // "C:\\work"
    std::string host_path;
  };
  std::shared_ptr<io::Overlay> overlay_;
  std::vector<Root> roots_;
};

}  // namespace vitrine
