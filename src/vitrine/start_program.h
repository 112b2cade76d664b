// StartProgram: from a host path and arguments to the first process of a machine: what is checked before anything is built, what the
// guest sees of the host, and how the command line and the environment look to it.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "vitrine/machine.h"
#include "vitrine/run.h"

namespace vitrine {

// A private folder on the host for C:\temp and the user's profile; removed with everything in it at the end.
class PrivateFolder {
 public:
  [[nodiscard]] static std::expected<PrivateFolder, StartError> create();
  PrivateFolder(PrivateFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PrivateFolder& operator=(PrivateFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~PrivateFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  PrivateFolder() = default;
  std::filesystem::path path_;
};

// C: as the program finds it: the current folder (read-write) as C:\work, the program's folder (read-only) as C:\program unless it lies in
// the current one, system32, and the private folders. The host's other files do not exist for it.
[[nodiscard]] std::vector<io::Mount> program_mounts(const RunOptions& options, const SystemFiles& system,
                                                    const PrivateFolder& folder);

// Makes the process and its first thread, ready to run. Errors: one line for the user.
[[nodiscard]] std::expected<ob::Ref<ps::Process>, StartError> start_program(Machine& machine, const RunOptions& options);

}  // namespace vitrine
