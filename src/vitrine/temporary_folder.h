// TemporaryFolder: a private folder on the host, removed with everything in it when its owner goes.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <utility>

namespace vitrine {

class TemporaryFolder {
 public:
  // In TMPDIR (or /tmp), with a name that begins with `prefix`. The error is one line for the user.
  [[nodiscard]] static std::expected<TemporaryFolder, std::string> create(std::string_view prefix);
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TemporaryFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace vitrine
