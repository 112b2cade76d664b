#include "io/directory_watch.h"

#include "io_test.h"

namespace vitrine::io {
namespace {

using abi::CreateDisposition;
using abi::FileInformationClass;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr u32 kNames = abi::kNotifyFileName | abi::kNotifyDirectoryName;

struct DirectoryWatchTest : IoTest {
  DirectoryWatchTest() {
    folder.write("watched/old.txt", "old");
    folder.write("watched/sub/deep.txt", "deep");
    folder.write("other/x", "");
    volume = std::move(*HostVolume::create({{u"", {folder.string()}, MountAccess::read_write}}, {}, snapshot));
    volume->set_io_manager(&io);
    EXPECT_EQ(io.add_device(u"\\Device\\HarddiskVolume1", *volume), Status::success);
    EXPECT_EQ(objects.make_symbolic_link(u"\\??\\C:", u"\\Device\\HarddiskVolume1"), Status::success);
    watched = open(u"\\??\\C:\\watched", {.access = 0x100001, .options = abi::kFileDirectoryFile});
  }
  ~DirectoryWatchTest() override {
    if (watched) close(watched);  // ends what still waits
  }
  Irp* ask(u32 filter, bool tree = false, u64 length = 1000) {
    requests.push_back(make_irp(*watched, MajorFunction::notify_directory, length));
    Irp* irp = requests.back().get();
    irp->control_code = filter;
    irp->key = tree;
    last = io.send(*irp);
    return irp;
  }
  static std::vector<std::string> events(const Irp& irp) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at + 12 <= irp.output.size();) {
      u32 fixed[3];
      std::memcpy(fixed, &irp.output[at], sizeof fixed);
      std::u16string name(fixed[2] / 2, u'\0');
      std::memcpy(name.data(), &irp.output[at + 12], fixed[2]);
      lines.push_back(std::to_string(fixed[1]) + " " + ex::to_utf8(name));
      if (fixed[0] == 0) break;
      EXPECT_EQ(fixed[0] % 4, 0u);
      at += fixed[0];
    }
    return lines;
  }
  void make(std::u16string_view path, u32 options = kSync) {
    auto file = open(path, {.disposition = CreateDisposition::create, .options = options});
    ASSERT_TRUE(file);
    close(file);
  }
  void erase(std::u16string_view path) {
    auto file = open(path, {.access = abi::kFileDelete | 0x100000, .options = kSync | abi::kFileDeleteOnClose});
    ASSERT_TRUE(file);
    close(file);
  }

  TemporaryFolder folder;
  TestSnapshot snapshot;
  std::unique_ptr<HostVolume> volume;
  ob::Ref<FileObject> watched;
  std::vector<IrpPtr> requests;
  Status last{};
};

TEST_F(DirectoryWatchTest, ANameThatIsMadeCompletesTheRequest) {
  auto irp = ask(kNames);
  EXPECT_EQ(last, Status::pending);
  make(u"\\??\\C:\\watched\\new.txt");
  ASSERT_EQ(irp->state, IrpState::completed);
  EXPECT_EQ(irp->status, Status::success);
  EXPECT_THAT(events(*irp), ElementsAre("1 new.txt"));
  EXPECT_EQ(irp->information, irp->output.size());
}

TEST_F(DirectoryWatchTest, WhatHappensBetweenRequestsIsKept) {
  auto first = ask(kNames);
  make(u"\\??\\C:\\watched\\a");
  make(u"\\??\\C:\\watched\\b");
  erase(u"\\??\\C:\\watched\\old.txt");
  auto second = ask(kNames);
  EXPECT_EQ(last, Status::success);
  EXPECT_THAT(events(*second), ElementsAre("1 b", "2 old.txt"));
  auto third = ask(kNames);
  EXPECT_EQ(last, Status::pending);
}

TEST_F(DirectoryWatchTest, TheFilterAndTheDepthAreThoseOfTheFirstRequest) {
  auto first = ask(abi::kNotifyDirectoryName);
  make(u"\\??\\C:\\watched\\file");
  make(u"\\??\\C:\\watched\\sub\\folder", kSync | abi::kFileDirectoryFile);
  EXPECT_EQ(first->state, IrpState::pending);
  make(u"\\??\\C:\\watched\\folder", kSync | abi::kFileDirectoryFile);
  EXPECT_THAT(events(*first), ElementsAre("1 folder"));
  auto second = ask(kNames, true);
  make(u"\\??\\C:\\watched\\more");
  EXPECT_EQ(second->state, IrpState::pending);
}

TEST_F(DirectoryWatchTest, ATreeIsWatchedToItsLeavesAndNoFurther) {
  auto irp = ask(kNames, true);
  make(u"\\??\\C:\\other\\y");
  EXPECT_EQ(irp->state, IrpState::pending);
  make(u"\\??\\C:\\watched\\sub\\leaf");
  EXPECT_THAT(events(*irp), ElementsAre("1 sub\\leaf"));
}

TEST_F(DirectoryWatchTest, ARenameIsTwoNamesTogetherAMoveAwayARemoval) {
  auto irp = ask(kNames);
  auto file = open(u"\\??\\C:\\watched\\old.txt", {.access = abi::kFileDelete | 0x100080});
  ASSERT_EQ(io.rename(*file, nullptr, u"fresh.txt", {}), Status::success);
  EXPECT_THAT(events(*irp), ElementsAre("4 old.txt", "5 fresh.txt"));
  auto second = ask(kNames);
  ASSERT_EQ(io.rename(*file, nullptr, u"\\??\\C:\\other\\fresh.txt", {}), Status::success);
  EXPECT_THAT(events(*second), ElementsAre("2 fresh.txt"));
  auto third = ask(kNames);
  ASSERT_EQ(io.rename(*file, nullptr, u"\\??\\C:\\watched\\back.txt", {}), Status::success);
  EXPECT_THAT(events(*third), ElementsAre("1 back.txt"));
}

TEST_F(DirectoryWatchTest, WritesSizesAndAttributesAreTold) {
  auto irp = ask(abi::kNotifySize);
  auto file = open(u"\\??\\C:\\watched\\old.txt", {});
  EXPECT_EQ(write(*file, "OLD"), Status::success);  // as long as before
  EXPECT_EQ(irp->state, IrpState::pending);
  EXPECT_EQ(write(*file, "er"), Status::success);
  EXPECT_EQ(write(*file, "er"), Status::success);
  EXPECT_THAT(events(*irp), ElementsAre("3 old.txt"));
  auto second = ask(abi::kNotifySize);
  EXPECT_EQ(last, Status::success);  // the second write
  auto third = ask(abi::kNotifySize);
  const abi::FileBasicInformation hidden{0, 0, 0, 0, abi::kFileAttributeHidden, 0};
  EXPECT_EQ(set(*file, FileInformationClass::basic, hidden), Status::success);
  EXPECT_EQ(third->state, IrpState::pending);
  EXPECT_EQ(set(*file, FileInformationClass::end_of_file, i64{1}), Status::success);
  EXPECT_THAT(events(*third), ElementsAre("3 old.txt"));
}

TEST_F(DirectoryWatchTest, WhatDoesNotFitIsForgottenAndSaidSo) {
  auto first = ask(kNames, false, 40);
  make(u"\\??\\C:\\watched\\1");
  EXPECT_EQ(first->status, Status::success);
  for (char16_t c = u'a'; c < u'f'; ++c) make(u"\\??\\C:\\watched\\" + std::u16string(1, c));
  auto second = ask(kNames, false, 40);
  EXPECT_EQ(last, Status::notify_enum_dir);
  EXPECT_THAT(events(*second), IsEmpty());
  EXPECT_EQ(second->information, 0u);
  auto third = ask(kNames, false, 40);
  EXPECT_EQ(last, Status::pending);
  make(u"\\??\\C:\\watched\\z");
  EXPECT_THAT(events(*third), ElementsAre("1 z"));
}

TEST_F(DirectoryWatchTest, ClosingTheHandleEndsTheRequest) {
  auto irp = ask(kNames);
  close(watched);
  EXPECT_EQ(irp->state, IrpState::completed);
  EXPECT_EQ(irp->status, Status::notify_cleanup);
}

TEST_F(DirectoryWatchTest, DeletingTheDirectoryEndsTheRequest) {
  close(watched);
  watched = open(u"\\??\\C:\\watched\\sub", {.access = 0x110001, .options = abi::kFileDirectoryFile});
  erase(u"\\??\\C:\\watched\\sub\\deep.txt");
  auto irp = ask(kNames);
  auto other = open(u"\\??\\C:\\watched\\sub", {.access = 0x110000, .options = kSync | abi::kFileDirectoryFile});
  EXPECT_EQ(set(*other, FileInformationClass::disposition, u8{1}), Status::success);
  EXPECT_EQ(irp->status, Status::delete_pending);
  (void)ask(kNames);
  EXPECT_EQ(last, Status::delete_pending);
}

TEST_F(DirectoryWatchTest, OnlyADirectoryCanBeWatched) {
  close(watched);
  watched = open(u"\\??\\C:\\watched\\old.txt", {});
  (void)ask(kNames);
  EXPECT_EQ(last, Status::invalid_parameter);
}

}  // namespace
}  // namespace vitrine::io
