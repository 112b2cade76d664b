#include "vitrine/program_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "pe/image.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr int kNotRunnable = 126, kNotFound = 127;

std::unexpected<StartError> refuse(int exit_code, std::string message) {
  return std::unexpected(StartError{exit_code, std::move(message)});
}

// A whole file mapped for reading. Empty when it could not be mapped; `error` then says why.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      error_ = std::strerror(errno);
      return;
    }
    std::error_code code;
    size_ = fs::file_size(path, code);
    if (!code && size_ > 0) {
      void* mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (mapped == MAP_FAILED) error_ = std::strerror(errno);
      else data_ = static_cast<std::byte*>(mapped);
    }
    close(descriptor);
  }
  ~MappedFile() {
    if (data_ != nullptr) munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, data_ != nullptr ? size_ : 0}; }

 private:
  std::byte* data_ = nullptr;
  u64 size_ = 0;
  std::string error_;
};

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

bool folder_has(const fs::path& folder, std::string_view name) {
  std::error_code code;
  if (folder.empty()) return false;
  if (fs::exists(folder / name, code)) return true;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    if (equal_without_case(it->path().filename().string(), name)) return true;
  }
  return false;
}

// NT: names that begin so are API sets, which the schema maps to DLLs.
bool is_api_set(std::string_view name) {
  return name.size() > 7 && (equal_without_case(name.substr(0, 7), "api-ms-") || equal_without_case(name.substr(0, 7), "ext-ms-"));
}

}  // namespace

fs::path resolved(const fs::path& path) {
  std::error_code code;
  fs::path canonical = fs::canonical(path, code);
  return code ? path : canonical;
}

std::expected<void, StartError> check_program_file(const fs::path& program, const SystemFiles& system) {
  const std::string name = program.string();
  std::error_code code;
  const fs::file_status status = fs::status(program, code);
  if (status.type() == fs::file_type::not_found) return refuse(kNotFound, fmt::format("{}: no such file", name));
  if (code) return refuse(kNotRunnable, fmt::format("{}: {}", name, code.message()));
  if (fs::is_directory(status)) return refuse(kNotRunnable, fmt::format("{} is a folder; name the program in it", name));
  if (!fs::is_regular_file(status)) return refuse(kNotRunnable, fmt::format("{} is not a regular file", name));
  const MappedFile file(program);
  if (!file.error().empty()) return refuse(kNotRunnable, fmt::format("{}: {}", name, file.error()));
  const auto image = pe::parse(file.bytes());
  const auto problem = image ? pe::check_program(image->headers()) : std::optional(image.error());
  if (problem) {
    return refuse(kNotRunnable, fmt::format("{} {}; Vitrine runs x86-64 Windows console programs (.exe)", name, pe::describe(*problem)));
  }
  const fs::path folders[] = {system.dlls, system.own, resolved(program).parent_path(), fs::current_path(code)};
  for (std::string_view module : image->imported_modules()) {
    if (is_api_set(module)) continue;
    if (std::ranges::any_of(folders, [&](const fs::path& folder) { return folder_has(folder, module); })) continue;
    return refuse(
        kNotRunnable,
        fmt::format("{} needs {}, which is neither beside it nor among Wine's DLLs; put it beside the program", name,
                    module));
  }
  return {};
}

}  // namespace vitrine
