#include "io/overlay.h"

#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "io/overlay_changes.h"
#include "io_test.h"

namespace vitrine::io {
namespace {

using abi::CreateDisposition;
using abi::FileInformationClass;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr u64 kBlock = BlockStore::kBlockBytes;

struct OverlayTest : IoTest {
  OverlayTest() {
    folder.write("a.txt", "first");
    folder.write("sub/b.txt", "second");
    folder.write("sub/deep/c.txt", "third");
    overlay = *Overlay::create(store.string());
    volume = std::move(
        *HostVolume::create({{u"", {folder.string()}, MountAccess::read_write}}, {.overlay = overlay}, snapshot));
    volume->set_io_manager(&io);
    EXPECT_EQ(io.add_device(u"\\Device\\HarddiskVolume1", *volume), Status::success);
    EXPECT_EQ(objects.make_symbolic_link(u"\\??\\C:", u"\\Device\\HarddiskVolume1"), Status::success);
    before = picture();
  }
  // All of the host's folder.
  std::vector<std::string> picture() const {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "")) {
      const std::string name = std::filesystem::relative(entry.path(), folder / "").string();
      struct stat information{};
      ::lstat(entry.path().c_str(), &information);
      all.push_back(name + (entry.is_regular_file() ? "=" + folder.read(name) : "") + " " +
                    std::to_string(information.st_mode));
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  std::string text_of(std::u16string_view path) {
    auto file = open(path, {.access = abi::kFileGenericRead});
    return file ? read(*file, 100).second : "";
  }
  void put(std::u16string_view path, std::string_view text, CreateDisposition how = CreateDisposition::overwrite_if) {
    auto file = open(path, {.disposition = how});
    ASSERT_TRUE(file);
    EXPECT_EQ(write(*file, text), Status::success);
    close(file);
  }
  void erase(std::u16string_view path) {
    auto file = open(path, {.access = abi::kFileDelete | 0x100000, .options = kSync | abi::kFileDeleteOnClose});
    ASSERT_TRUE(file);
    close(file);
  }
  Status rename(std::u16string_view from, std::u16string_view to, bool link = false, bool replace = false) {
    auto file = open(from, {.access = abi::kFileDelete | 0x100080});
    if (!file) return Status::object_name_not_found;
    const Status status = io.rename(*file, nullptr, to, {.path = {}, .link = link, .replace = replace});
    close(file);
    return status;
  }
  std::vector<std::string> list(std::u16string_view path) {
    auto directory = open(path, {.access = 0x100001, .options = kSync | abi::kFileDirectoryFile});
    std::vector<std::string> names;
    std::vector<u8> buffer(1024);
    u32 written = 0;
    while (volume->query_directory(*directory, {FileInformationClass::names, {}, false, true}, buffer, &written) ==
           Status::success) {
      u32 bytes = 0;
      std::memcpy(&bytes, &buffer[8], 4);
      std::u16string name(bytes / 2, u'\0');
      std::memcpy(name.data(), &buffer[12], bytes);
      if (name != u"." && name != u"..") names.push_back(ex::to_utf8(name));
    }
    return names;
  }
  std::vector<std::string> changes() {
    static constexpr const char* kKinds[] = {"-", "+", "*", "~"};
    std::vector<std::string> lines;
    for (const OverlayChange& change : *overlay_changes(root())) {
      lines.push_back(kKinds[static_cast<int>(change.kind)] + change.path + (change.is_folder ? "/" : ""));
    }
    return lines;
  }
  HostFolder root() { return *HostFolder::open(folder.string(), overlay); }
  void apply() {
    HostFolder top = root();
    auto found = *overlay_changes(top);
    const auto applied = apply_changes({{top, found}});
    EXPECT_TRUE(applied) << (applied ? "" : applied.error());
  }

  TemporaryFolder folder, store;
  TestSnapshot snapshot;
  std::shared_ptr<Overlay> overlay;
  std::unique_ptr<HostVolume> volume;
  std::vector<std::string> before;
};

TEST_F(OverlayTest, WhatIsWrittenIsReadBackAndNeverReachesTheHost) {
  put(u"\\??\\C:\\a.txt", "FI", CreateDisposition::open);
  put(u"\\??\\C:\\new.txt", "new");
  put(u"\\??\\C:\\sub\\b.txt", "other");
  EXPECT_EQ(text_of(u"\\??\\C:\\a.txt"), "FIrst");
  EXPECT_EQ(text_of(u"\\??\\C:\\NEW.txt"), "new");
  EXPECT_EQ(text_of(u"\\??\\C:\\sub\\B.TXT"), "other");
  EXPECT_EQ(picture(), before);
  EXPECT_THAT(changes(), ElementsAre("*a.txt", "+new.txt", "*sub/b.txt"));
}

TEST_F(OverlayTest, NothingHasChangedWhenNothingWasWritten) {
  EXPECT_EQ(text_of(u"\\??\\C:\\a.txt"), "first");
  auto writer = open(u"\\??\\C:\\sub\\b.txt", {});
  EXPECT_THAT(changes(), IsEmpty());
}

TEST_F(OverlayTest, ReadersThatWereThereBeforeSeeWrites) {
  auto reader = open(u"\\??\\C:\\a.txt", {.access = abi::kFileGenericRead});
  put(u"\\??\\C:\\a.txt", "changed", CreateDisposition::open);
  EXPECT_EQ(read(*reader, 100).second, "changed");
}

TEST_F(OverlayTest, DeletedNamesAreGoneAndMayComeBackAsSomethingElse) {
  erase(u"\\??\\C:\\a.txt");
  EXPECT_EQ(open_status(u"\\??\\C:\\a.txt", {}), Status::object_name_not_found);
  EXPECT_THAT(list(u"\\??\\C:\\"), ElementsAre("sub"));
  EXPECT_THAT(changes(), ElementsAre("-a.txt"));
  auto made =
      open(u"\\??\\C:\\a.txt", {.disposition = CreateDisposition::create, .options = kSync | abi::kFileDirectoryFile});
  ASSERT_TRUE(made);
  put(u"\\??\\C:\\a.txt\\x", "inside");
  EXPECT_THAT(list(u"\\??\\C:\\a.txt"), ElementsAre("x"));
  EXPECT_THAT(changes(), ElementsAre("-a.txt", "+a.txt/", "+a.txt/x"));
  EXPECT_EQ(picture(), before);
}

TEST_F(OverlayTest, AFolderThatIsMadeAgainIsEmpty) {
  erase(u"\\??\\C:\\sub\\deep\\c.txt");
  erase(u"\\??\\C:\\sub\\deep");
  EXPECT_EQ(open_status(u"\\??\\C:\\sub\\deep", {.access = 0x100001}), Status::object_name_not_found);
  auto made = open(u"\\??\\C:\\sub\\deep",
                   {.disposition = CreateDisposition::create, .options = kSync | abi::kFileDirectoryFile});
  EXPECT_THAT(list(u"\\??\\C:\\sub\\deep"), IsEmpty());
  apply();
  EXPECT_FALSE(folder.has("sub/deep/c.txt"));
  EXPECT_TRUE(folder.has("sub/deep"));
}

TEST_F(OverlayTest, AFolderIsNotDeletedWhileTheHostHasSomethingInIt) {
  ::mkfifo((folder / "sub/deep/fifo").c_str(), 0600);  // no guest sees it
  erase(u"\\??\\C:\\sub\\deep\\c.txt");
  EXPECT_THAT(list(u"\\??\\C:\\sub\\deep"), IsEmpty());
  erase(u"\\??\\C:\\sub\\deep");
  EXPECT_EQ(open_status(u"\\??\\C:\\sub\\deep", {.access = 0x100001}), Status::success);
}

TEST_F(OverlayTest, AMovedFolderTakesWhatWasChangedInItAlong) {
  put(u"\\??\\C:\\sub\\deep\\c.txt", "THIRD", CreateDisposition::open);
  put(u"\\??\\C:\\sub\\deep\\d.txt", "fourth");
  ASSERT_EQ(rename(u"\\??\\C:\\sub", u"\\??\\C:\\moved"), Status::success);
  EXPECT_EQ(text_of(u"\\??\\C:\\moved\\deep\\c.txt"), "THIRD");
  EXPECT_EQ(text_of(u"\\??\\C:\\moved\\b.txt"), "second");
  EXPECT_EQ(open_status(u"\\??\\C:\\sub\\b.txt", {}), Status::object_path_not_found);
  EXPECT_THAT(list(u"\\??\\C:\\"), ElementsAre("a.txt", "moved"));
  EXPECT_EQ(picture(), before);
  apply();
  EXPECT_FALSE(folder.has("sub"));
  EXPECT_EQ(folder.read("moved/deep/c.txt"), "THIRD");
  EXPECT_EQ(folder.read("moved/deep/d.txt"), "fourth");
  EXPECT_EQ(folder.read("moved/b.txt"), "second");
}

TEST_F(OverlayTest, MovingBackLeavesNothing) {
  ASSERT_EQ(rename(u"\\??\\C:\\a.txt", u"\\??\\C:\\x.txt"), Status::success);
  EXPECT_THAT(changes(), ElementsAre("-a.txt", "+x.txt"));
  ASSERT_EQ(rename(u"\\??\\C:\\x.txt", u"\\??\\C:\\a.txt"), Status::success);
  EXPECT_THAT(changes(), IsEmpty());
}

TEST_F(OverlayTest, TwoFilesCanChangePlaces) {
  ASSERT_EQ(rename(u"\\??\\C:\\a.txt", u"\\??\\C:\\t"), Status::success);
  ASSERT_EQ(rename(u"\\??\\C:\\sub\\b.txt", u"\\??\\C:\\a.txt"), Status::success);
  ASSERT_EQ(rename(u"\\??\\C:\\t", u"\\??\\C:\\sub\\b.txt"), Status::success);
  EXPECT_THAT(changes(), ElementsAre("*a.txt", "*sub/b.txt"));
  apply();
  EXPECT_EQ(folder.read("a.txt"), "second");
  EXPECT_EQ(folder.read("sub/b.txt"), "first");
}

TEST_F(OverlayTest, RenamingOverAFileReplacesIt) {
  put(u"\\??\\C:\\new.txt", "better");
  ASSERT_EQ(rename(u"\\??\\C:\\new.txt", u"\\??\\C:\\a.txt"), Status::object_name_collision);
  ASSERT_EQ(rename(u"\\??\\C:\\new.txt", u"\\??\\C:\\a.txt", false, true), Status::success);
  EXPECT_EQ(text_of(u"\\??\\C:\\a.txt"), "better");
  EXPECT_THAT(changes(), ElementsAre("*a.txt"));
  EXPECT_EQ(picture(), before);
  apply();
  EXPECT_EQ(folder.read("a.txt"), "better");
  EXPECT_FALSE(folder.has("new.txt"));
}

TEST_F(OverlayTest, HardLinksStayOneFile) {
  ASSERT_EQ(rename(u"\\??\\C:\\a.txt", u"\\??\\C:\\sub\\link.txt", true), Status::success);
  put(u"\\??\\C:\\sub\\link.txt", "FIR", CreateDisposition::open);
  EXPECT_EQ(text_of(u"\\??\\C:\\a.txt"), "FIRst");
  auto file = open(u"\\??\\C:\\a.txt", {});
  EXPECT_EQ(query<abi::FileStandardInformation>(*file, FileInformationClass::standard).second.number_of_links, 2u);
  close(file);
  erase(u"\\??\\C:\\a.txt");
  EXPECT_EQ(text_of(u"\\??\\C:\\sub\\link.txt"), "FIRst");
  apply();
  EXPECT_FALSE(folder.has("a.txt"));
  EXPECT_EQ(folder.read("sub/link.txt"), "FIRst");
}

TEST_F(OverlayTest, LinksOfTheHostAreSeenThroughEitherName) {
  std::filesystem::create_hard_link(folder / "a.txt", folder / "sub/same.txt");
  put(u"\\??\\C:\\sub\\same.txt", "X", CreateDisposition::open);
  EXPECT_EQ(text_of(u"\\??\\C:\\a.txt"), "Xirst");
  apply();
  EXPECT_EQ(folder.read("a.txt"), "Xirst");
  EXPECT_EQ(std::filesystem::hard_link_count(folder / "a.txt"), 2u);
}

TEST_F(OverlayTest, WhatWasCutOffDoesNotComeBack) {
  folder.write("long", std::string(3 * kBlock, 'x'));
  auto file = open(u"\\??\\C:\\long", {});
  EXPECT_EQ(set(*file, FileInformationClass::end_of_file, i64{10}), Status::success);
  EXPECT_EQ(set(*file, FileInformationClass::end_of_file, static_cast<i64>(2 * kBlock)), Status::success);
  const i64 at = 8;
  EXPECT_EQ(read(*file, 4, &at).second, std::string("xx\0\0", 4));
  const i64 far = static_cast<i64>(kBlock) + 5;
  EXPECT_EQ(read(*file, 2, &far).second, std::string("\0\0", 2));
}

TEST_F(OverlayTest, OneByteOfALargeFileCostsOneBlock) {
  {
    std::ofstream(folder / "large");
  }
  ASSERT_EQ(::truncate((folder / "large").c_str(), 1ll << 40), 0);
  auto file = open(u"\\??\\C:\\large", {});
  const i64 at = 1ll << 39;
  EXPECT_EQ(write(*file, "x", &at), Status::success);
  EXPECT_EQ(read(*file, 1, &at).second, "x");
  EXPECT_EQ(overlay->store().take(), 1u);  // block 0 is the only one in use
}

TEST_F(OverlayTest, BlocksOfDeletedFilesAreUsedAgain) {
  put(u"\\??\\C:\\one", std::string(2 * kBlock, 'x'));
  erase(u"\\??\\C:\\one");
  put(u"\\??\\C:\\two", std::string(2 * kBlock, 'y'));
  EXPECT_EQ(overlay->store().take(), 2u);
}

TEST_F(OverlayTest, AnyMixOfReadsWritesAndSizesIsWhatAPlainFileWouldHold) {
  std::mt19937 chance(7);
  std::string plain(3 * kBlock + 100, '\0');
  for (char& c : plain) c = static_cast<char>('a' + chance() % 26);
  folder.write("mixed", plain);
  auto file = open(u"\\??\\C:\\mixed", {});
  for (int round = 0; round < 400; ++round) {
    const i64 at = static_cast<i64>(chance() % (5 * kBlock));
    const std::size_t length = 1 + chance() % (chance() % 2 != 0 ? 50 : 2 * kBlock);
    if (const u32 what = chance() % 8; what == 0) {
      ASSERT_EQ(set(*file, FileInformationClass::end_of_file, at), Status::success);
      plain.resize(static_cast<std::size_t>(at));
    } else if (what < 4) {
      const std::string text(length, static_cast<char>('A' + chance() % 26));
      ASSERT_EQ(write(*file, text, &at), Status::success);
      if (plain.size() < static_cast<std::size_t>(at) + length) plain.resize(static_cast<std::size_t>(at) + length);
      plain.replace(static_cast<std::size_t>(at), length, text);
    } else {
      const auto [status, text] = read(*file, length, &at);
      const std::string expected =
          static_cast<std::size_t>(at) < plain.size() ? plain.substr(static_cast<std::size_t>(at), length) : "";
      ASSERT_EQ(status, expected.empty() ? Status::end_of_file : Status::success) << round;
      ASSERT_EQ(text, expected) << round;
    }
  }
  close(file);
  apply();
  EXPECT_EQ(folder.read("mixed"), plain);
}

TEST_F(OverlayTest, AttributesAndTimesAreKeptApart) {
  auto file = open(u"\\??\\C:\\a.txt", {});
  EXPECT_EQ(set(*file, FileInformationClass::basic,
                abi::FileBasicInformation{0, 0, 132'000'000'000'000'000, 0, abi::kFileAttributeReadonly, 0}),
            Status::success);
  close(file);
  EXPECT_EQ(open_status(u"\\??\\C:\\a.txt", {}), Status::access_denied);
  EXPECT_EQ(picture(), before);
  EXPECT_THAT(changes(), ElementsAre("~a.txt"));
  apply();
  struct stat information{};
  ASSERT_EQ(::stat((folder / "a.txt").c_str(), &information), 0);
  EXPECT_EQ(information.st_mode & 0222, 0u);
  EXPECT_EQ(information.st_mtim.tv_sec, (132'000'000'000'000'000 - 116'444'736'000'000'000) / 10'000'000);
  EXPECT_EQ(folder.read("a.txt"), "first");
}

TEST_F(OverlayTest, AFileWithoutANameIsStillWholeForWhoHasIt) {
  auto file = open(u"\\??\\C:\\a.txt", {.access = kReadWrite | abi::kFileDelete | 0x100000});
  const abi::FileDispositionInformationEx disposition{abi::kDispositionDelete | abi::kDispositionPosixSemantics};
  EXPECT_EQ(set(*file, FileInformationClass::disposition_ex, disposition), Status::success);
  auto other = open(u"\\??\\C:\\sub\\b.txt", {});
  EXPECT_EQ(write(*file, "still"), Status::success);
  const i64 start = 0;
  EXPECT_EQ(read(*file, 100, &start).second, "still");
  close(file);
  EXPECT_EQ(open_status(u"\\??\\C:\\a.txt", {}), Status::object_name_not_found);
}

TEST_F(OverlayTest, ApplyingLeavesWhatAppearedMeanwhile) {
  erase(u"\\??\\C:\\sub\\deep\\c.txt");
  erase(u"\\??\\C:\\sub\\deep");
  folder.write("sub/deep/later", "by somebody else");
  HostFolder top = root();
  EXPECT_FALSE(apply_changes({{top, *overlay_changes(top)}}));
  EXPECT_EQ(folder.read("sub/deep/later"), "by somebody else");
}

TEST_F(OverlayTest, AHostFolderThatMayNotBeWrittenRefusesAsItWould) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  ::chmod((folder / "sub").c_str(), 0555);
  EXPECT_EQ(open_status(u"\\??\\C:\\sub\\new", {.disposition = CreateDisposition::create}), Status::access_denied);
  ::chmod((folder / "sub").c_str(), 0755);
}

}  // namespace
}  // namespace vitrine::io
