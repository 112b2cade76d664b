// What the io tests share: a bench with a dispatcher, an object manager, a temporary host folder and short ways to
// open, read and write.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <cstring>
#include <string>

#include "../ke/dispatcher_bench.h"
#include "abi/file_info.h"
#include "ex/unicode.h"
#include "io/host_volume.h"
#include "io/io_manager.h"
#include "ob/handles.h"
#include "ob/standard_directories.h"

namespace vitrine::io {

inline constexpr u32 kReadWrite = abi::kFileGenericRead | abi::kFileGenericWrite;
inline constexpr u32 kShareAll = abi::kFileShareRead | abi::kFileShareWrite | abi::kFileShareDelete;
inline constexpr u32 kSync = abi::kFileSynchronousIoNonalert;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vitrine-io-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] std::string string() const { return path_.string(); }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] bool has(const std::string& name) const { return std::filesystem::exists(path_ / name); }

 private:
  std::filesystem::path path_;
};

struct TestSnapshot final : HostSnapshot {
  void observe(HostMetadata&) override {}
  i64 system_time() override { return now; }
  i64 now = 132'223'104'000'000'000;
};

struct IoTest : testing::Test {
  IoTest() {
    EXPECT_EQ(ob::make_standard_directories(objects), Status::success);
    table = std::move(*ob::ObjectHandles::create(objects, {}));
  }
  ~IoTest() override {
    bench.stop();
    table->close_all();
  }

  struct Open {
    u32 access = kReadWrite | 0x100000;
    u32 share = kShareAll;
    abi::CreateDisposition disposition = abi::CreateDisposition::open;
    u32 options = kSync;
    u32 attributes = abi::kFileAttributeNormal;
    const PipeParameters* pipe = nullptr;
    FileObject* root = nullptr;
  };
  Result<OpenedFile> try_open(std::u16string_view path, const Open& how) {
    CreateParameters parameters;
    parameters.access = how.access;
    parameters.share = how.share;
    parameters.disposition = how.disposition;
    parameters.options = how.options;
    parameters.attributes = how.attributes;
    parameters.pipe = how.pipe;
    return io.open_path(how.root, path, parameters);
  }
  Status open_status(std::u16string_view path, const Open& how) {
    const auto opened = try_open(path, how);
    return opened ? Status::success : opened.error();
  }
  ob::Ref<FileObject> open(std::u16string_view path, const Open& how) {
    auto opened = try_open(path, how);
    EXPECT_TRUE(opened) << status_name(opened ? Status::success : opened.error());
    return opened ? std::move(opened->file) : ob::Ref<FileObject>();
  }
  // What closing its only handle does to a file.
  void close(ob::Ref<FileObject>& file) {
    const ob::Handle handle = *table->insert(*file, file->access, 0);
    file.reset();
    EXPECT_EQ(table->close(handle, se::Mode::kernel), Status::success);
  }

  // A read or write that must complete at once.
  std::pair<Status, std::string> read(FileObject& file, u64 length, const i64* offset = nullptr) {
    const auto position = IoManager::resolve_offset(file, offset, MajorFunction::read);
    if (!position) return {position.error(), ""};
    auto irp = make_irp(file, MajorFunction::read, length);
    irp->offset = *position;
    const Status status = io.send(*irp);
    return {status, std::string(irp->output.begin(), irp->output.end())};
  }
  Status write(FileObject& file, std::string_view text, const i64* offset = nullptr) {
    const auto position = IoManager::resolve_offset(file, offset, MajorFunction::write);
    if (!position) return position.error();
    auto irp = make_irp(file, MajorFunction::write, 0);
    irp->offset = *position;
    irp->input.assign(text.begin(), text.end());
    return io.send(*irp);
  }
  // Control codes; returns the output.
  std::pair<Status, std::vector<u8>> control(FileObject& file, MajorFunction function, u32 code, u64 length = 0,
                                             std::vector<u8> input = {}) {
    auto irp = make_irp(file, function, length);
    irp->control_code = code;
    irp->input = std::move(input);
    const Status status = io.send(*irp);
    EXPECT_NE(status, Status::pending);
    return {status, irp->output};
  }
  template <typename T>
  std::pair<Status, T> query(FileObject& file, abi::FileInformationClass information_class) {
    T value{};
    u32 written = 0;
    const Status status =
        io.query_information(file, information_class, std::span(reinterpret_cast<u8*>(&value), sizeof(T)), &written);
    return {status, value};
  }
  template <typename T>
  Status set(FileObject& file, abi::FileInformationClass information_class, const T& value) {
    return io.set_information(file, information_class, std::span(reinterpret_cast<const u8*>(&value), sizeof(T)));
  }

  ke::Bench bench;
  ex::Pool pool{bench.profile, nullptr};
  ob::ObjectManager objects{bench.profile, pool};
  std::unique_ptr<ob::ObjectHandles> table;
  IoManager io{bench.kernel, objects};
};

}  // namespace vitrine::io
