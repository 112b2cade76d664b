// FolderCopy: a private copy of a folder with the same names, contents, modes and modification times, so that a second run can
// start from what the first one found. Removed at the end.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <utility>

#include "base/types.h"

namespace vitrine {

class FolderCopy {
 public:
  // Refuses more than `limit_bytes` in files, or more than 100,000 files. The error is one line for the user.
  [[nodiscard]] static std::expected<FolderCopy, std::string> make(const std::filesystem::path& source, u64 limit_bytes);
  FolderCopy(FolderCopy&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  FolderCopy& operator=(FolderCopy&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~FolderCopy();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  FolderCopy() = default;
  std::filesystem::path path_;
};

}  // namespace vitrine
