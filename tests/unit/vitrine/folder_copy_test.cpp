#include "vitrine/folder_copy.h"

#include <gtest/gtest.h>

#include <fstream>

namespace vitrine {
namespace {

namespace fs = std::filesystem;

class FolderCopyTest : public ::testing::Test {
 protected:
  FolderCopyTest() {
    std::string pattern = (fs::temp_directory_path() / "vitrine-test-XXXXXX").string();
    source_ = mkdtemp(pattern.data());
    fs::create_directory(source_ / "sub");
    std::ofstream(source_ / "sub" / "a.txt") << "hello";
    fs::create_symlink("sub/a.txt", source_ / "link");
    fs::last_write_time(source_ / "sub" / "a.txt", fs::file_time_type{} + std::chrono::hours(1000));
    fs::last_write_time(source_ / "sub", fs::file_time_type{} + std::chrono::hours(2000));
  }
  ~FolderCopyTest() override { fs::remove_all(source_); }
  fs::path source_;
};

TEST_F(FolderCopyTest, KeepsContentsLinksAndTimes) {
  const auto copy = copy_folder(source_, 1 << 20);
  ASSERT_TRUE(copy.has_value()) << copy.error();
  std::string text;
  std::ifstream(copy->path() / "sub" / "a.txt") >> text;
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(fs::read_symlink(copy->path() / "link"), "sub/a.txt");
  for (const char* name : {"sub/a.txt", "sub"}) {
    EXPECT_EQ(fs::last_write_time(copy->path() / name), fs::last_write_time(source_ / name)) << name;
  }
}

TEST_F(FolderCopyTest, RefusesMoreThanItsLimitAndLeavesNothing) {
  const auto copy = copy_folder(source_, 4);
  ASSERT_FALSE(copy.has_value());
  EXPECT_NE(copy.error().find("smaller folder"), std::string::npos);
}

TEST_F(FolderCopyTest, GoesAwayWithItsOwner) {
  fs::path path;
  {
    const auto copy = copy_folder(source_, 1 << 20);
    path = copy->path();
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace vitrine
