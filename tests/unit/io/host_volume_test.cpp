#include "io/host_volume.h"

#include <sys/stat.h>
#include <unistd.h>

#include "io_test.h"

namespace vitrine::io {
namespace {

using abi::CreateDisposition;
using abi::FileInformationClass;
using testing::ElementsAre;
using testing::Pair;

struct HostVolumeTest : IoTest {
  HostVolumeTest() {
    folder.write("Work/Read Me.txt", "hello");
    folder.write("work2/x", "");
    system1.write("kernel32.dll", "first");
    system2.write("kernel32.dll", "second");
    system2.write("locale.nls", "nls");
    mount({{u"", {folder.string()}, MountAccess::read_write},
           {u"\\windows\\system32", {system1.string(), system2.string()}, MountAccess::read_only}});
  }
  void mount(std::vector<Mount> mounts) {
    volume = std::move(*HostVolume::create(std::move(mounts), {}, snapshot));
    volume->set_io_manager(&io);
    ASSERT_EQ(io.add_device(u"\\Device\\HarddiskVolume1", *volume), Status::success);
    ASSERT_EQ(objects.make_symbolic_link(u"\\??\\C:", u"\\Device\\HarddiskVolume1"), Status::success);
  }
  std::vector<std::string> list(FileObject& directory, std::u16string_view pattern) {
    std::vector<std::string> names;
    std::vector<u8> buffer(4096);
    for (bool first = true;; first = false) {
      u32 written = 0;
      const DirectoryQuery query{FileInformationClass::both_directory, first ? pattern : u"", first, false};
      const Status status = volume->query_directory(directory, query, buffer, &written);
      if (status != Status::success) {
        last_list_status = status;
        return names;
      }
      for (u32 at = 0;;) {
        abi::FileDirectoryEntry entry{};
        std::memcpy(&entry, &buffer[at], sizeof(entry));
        std::u16string name(entry.file_name_length / 2, u'\0');
        std::memcpy(name.data(), &buffer[at + abi::kBothDirectoryNameOffset], entry.file_name_length);
        names.push_back(ex::to_utf8(name));
        if (entry.next_entry_offset == 0) break;
        at += entry.next_entry_offset;
      }
    }
  }
  std::string text_of(std::u16string_view path) {
    auto file = open(path, {.access = abi::kFileGenericRead});
    return file ? read(*file, 100).second : "";
  }

  TemporaryFolder folder, system1, system2, outside;
  TestSnapshot snapshot;
  std::unique_ptr<HostVolume> volume;
  Status last_list_status{};
};

TEST_F(HostVolumeTest, NamesCompareWithoutCaseAndAnExactMatchWins) {
  EXPECT_EQ(text_of(u"\\??\\c:\\WORK\\read me.TXT"), "hello");
  folder.write("Work/READ ME.TXT", "exact");
  EXPECT_EQ(text_of(u"\\??\\C:\\work\\READ ME.TXT"), "exact");
  EXPECT_EQ(text_of(u"\\??\\C:\\work\\Read Me.txt"), "hello");
  EXPECT_EQ(text_of(u"\\??\\C:\\work\\rEAD mE.txt"), "exact");  // the smaller in byte order
}

TEST_F(HostVolumeTest, AUnionTakesEachNameFromTheFirstFolderThatHasIt) {
  EXPECT_EQ(text_of(u"\\??\\C:\\Windows\\System32\\KERNEL32.dll"), "first");
  EXPECT_EQ(text_of(u"\\??\\C:\\Windows\\System32\\locale.nls"), "nls");
  auto directory =
      open(u"\\??\\C:\\windows\\system32", {.access = 0x100001, .options = kSync | abi::kFileDirectoryFile});
  EXPECT_THAT(list(*directory, u"*"), ElementsAre(".", "..", "kernel32.dll", "locale.nls"));
}

TEST_F(HostVolumeTest, DirectoriesOnTheWayToAMountExist) {
  auto windows = open(u"\\??\\C:\\windows", {.access = 0x100001});
  EXPECT_THAT(list(*windows, u"*"), ElementsAre(".", "..", "system32"));
  auto root = open(u"\\??\\C:\\", {.access = 0x100001});
  EXPECT_THAT(list(*root, u"*"), ElementsAre("windows", "Work", "work2"));
}

TEST_F(HostVolumeTest, AReadOnlyMountRefusesEveryChange) {
  const std::u16string dll = u"\\??\\C:\\windows\\system32\\kernel32.dll";
  EXPECT_EQ(open_status(dll, {.access = abi::kFileWriteData | 0x100000}), Status::access_denied);
  EXPECT_EQ(open_status(dll, {.access = abi::kFileDelete | 0x100000}), Status::access_denied);
  EXPECT_EQ(open_status(dll, {.access = abi::kFileGenericRead, .disposition = CreateDisposition::overwrite}),
            Status::access_denied);
  EXPECT_EQ(open_status(u"\\??\\C:\\windows\\system32\\new.dll", {.disposition = CreateDisposition::create}),
            Status::access_denied);
  // A directory that only the mount table knows has no place for files.
  EXPECT_EQ(open_status(u"\\??\\C:\\windows\\new", {.disposition = CreateDisposition::create}), Status::access_denied);
  auto mapped = open(dll, {.access = 0x02000000 | 0x100000});
  EXPECT_EQ(mapped->access & abi::kFileWriteData, 0u);
  EXPECT_NE(mapped->access & abi::kFileExecute, 0u);
}

TEST_F(HostVolumeTest, NothingLeadsOutOfAMount) {
  outside.write("secret", "secret");
  std::filesystem::create_symlink(outside.string(), folder / "absolute");
  std::filesystem::create_symlink("../" + std::filesystem::path(outside.string()).filename().string(),
                                  folder / "relative");
  std::filesystem::create_symlink(outside / "secret", folder / "file");
  std::filesystem::create_symlink("loop", folder / "loop");
  std::filesystem::create_symlink("Work/Read Me.txt", folder / "inside");
  const Open how{.access = abi::kFileGenericRead};
  EXPECT_EQ(open_status(u"\\??\\C:\\..\\x", how), Status::object_name_invalid);
  EXPECT_EQ(open_status(u"\\??\\C:\\work\\..\\..\\x", how), Status::object_name_invalid);
  EXPECT_EQ(open_status(u"\\??\\C:\\a/../../b", how), Status::object_name_invalid);
  EXPECT_EQ(open_status(u"\\??\\C:\\absolute\\secret", how), Status::object_path_not_found);
  EXPECT_EQ(open_status(u"\\??\\C:\\relative\\secret", how), Status::object_path_not_found);
  EXPECT_EQ(open_status(u"\\??\\C:\\file", how), Status::object_name_not_found);
  EXPECT_EQ(open_status(u"\\??\\C:\\loop", how), Status::object_name_not_found);
  EXPECT_EQ(text_of(u"\\??\\C:\\inside"), "hello");
  auto root = open(u"\\??\\C:\\", {.access = 0x100001});
  EXPECT_THAT(list(*root, u"*"), ElementsAre("inside", "windows", "Work", "work2"));
  // A dangling or outward link is no place to create through either.
  EXPECT_EQ(open_status(u"\\??\\C:\\file", {.disposition = CreateDisposition::overwrite_if}),
            Status::object_name_collision);
  EXPECT_EQ(outside.read("secret"), "secret");
}

TEST_F(HostVolumeTest, ADirectorySwappedForALinkDoesNotEscape) {
  outside.write("x", "secret");
  std::filesystem::remove_all(folder / "work2");
  std::filesystem::create_symlink(outside.string(), folder / "work2");
  EXPECT_EQ(open_status(u"\\??\\C:\\work2\\x", {.access = abi::kFileGenericRead}), Status::object_path_not_found);
}

TEST_F(HostVolumeTest, TheSixDispositionsDoWhatNtSays) {
  const std::u16string old = u"\\??\\C:\\work\\Read Me.txt", fresh = u"\\??\\C:\\work\\fresh";
  const auto action = [&](const std::u16string& path, CreateDisposition d) {
    auto opened = try_open(path, {.disposition = d});
    return opened ? static_cast<int>(opened->action) : -1;
  };
  EXPECT_EQ(open_status(fresh, {.disposition = CreateDisposition::open}), Status::object_name_not_found);
  EXPECT_EQ(open_status(fresh, {.disposition = CreateDisposition::overwrite}), Status::object_name_not_found);
  EXPECT_EQ(action(fresh, CreateDisposition::create), static_cast<int>(abi::CreateAction::created));
  EXPECT_EQ(open_status(fresh, {.disposition = CreateDisposition::create}), Status::object_name_collision);
  EXPECT_EQ(action(old, CreateDisposition::open_if), static_cast<int>(abi::CreateAction::opened));
  EXPECT_EQ(folder.read("Work/Read Me.txt"), "hello");
  EXPECT_EQ(action(old, CreateDisposition::overwrite_if), static_cast<int>(abi::CreateAction::overwritten));
  EXPECT_EQ(folder.read("Work/Read Me.txt"), "");
  folder.write("Work/Read Me.txt", "again");
  EXPECT_EQ(action(old, CreateDisposition::supersede), static_cast<int>(abi::CreateAction::superseded));
  EXPECT_EQ(folder.read("Work/Read Me.txt"), "");
  EXPECT_EQ(open_status(u"\\??\\C:\\none\\x", {.disposition = CreateDisposition::create}),
            Status::object_path_not_found);
  EXPECT_EQ(open_status(old + u"\\x", {}), Status::object_path_not_found);
}

TEST_F(HostVolumeTest, DirectoriesAndFilesAreToldApart) {
  EXPECT_EQ(open_status(u"\\??\\C:\\work", {.access = 0x100001, .options = abi::kFileNonDirectoryFile | kSync}),
            Status::file_is_a_directory);
  EXPECT_EQ(
      open_status(u"\\??\\C:\\work\\Read Me.txt", {.access = 0x100001, .options = abi::kFileDirectoryFile | kSync}),
      Status::not_a_directory);
  EXPECT_EQ(open_status(u"\\??\\C:\\work\\Read Me.txt\\", {.access = abi::kFileGenericRead}),
            Status::object_name_invalid);
  EXPECT_EQ(open_status(u"\\??\\C:\\made", {.access = 0x100001, .disposition = CreateDisposition::create,
                                            .options = abi::kFileDirectoryFile | kSync}),
            Status::success);
  EXPECT_TRUE(std::filesystem::is_directory(folder / "made"));
}

TEST_F(HostVolumeTest, ShareModesHoldInBothDirections) {
  const std::u16string path = u"\\??\\C:\\work\\Read Me.txt";
  auto reader = open(path, {.access = abi::kFileGenericRead, .share = abi::kFileShareRead});
  EXPECT_EQ(open_status(path, {.access = abi::kFileGenericRead, .share = kShareAll}), Status::success);
  EXPECT_EQ(open_status(path, {.access = abi::kFileGenericWrite, .share = kShareAll}), Status::sharing_violation);
  EXPECT_EQ(open_status(path, {.access = abi::kFileGenericRead, .share = 0}), Status::sharing_violation);
  // Attributes only: not subject to sharing.
  EXPECT_EQ(open_status(path, {.access = abi::kFileReadAttributes | 0x100000, .share = 0}), Status::success);
  close(reader);
  EXPECT_EQ(open_status(path, {.access = abi::kFileGenericWrite, .share = 0}), Status::success);
}

TEST_F(HostVolumeTest, ReadsAndWritesMoveThePositionOfSynchronousFiles) {
  auto file = open(u"\\??\\C:\\work\\new", {.disposition = CreateDisposition::create});
  EXPECT_EQ(write(*file, "abcdef"), Status::success);
  EXPECT_EQ(file->current_offset, 6);
  const i64 two = 2, end = abi::kFileWriteToEndOfFile;
  EXPECT_THAT(read(*file, 3, &two), Pair(Status::success, "cde"));
  EXPECT_THAT(read(*file, 3), Pair(Status::success, "f"));
  EXPECT_EQ(read(*file, 3).first, Status::end_of_file);
  EXPECT_EQ(set(*file, FileInformationClass::position, abi::FilePositionInformation{1}), Status::success);
  EXPECT_EQ(write(*file, "!", &end), Status::success);
  EXPECT_EQ(folder.read("Work/new"), "abcdef!");
  auto append = open(u"\\??\\C:\\work\\new", {.access = abi::kFileAppendData | 0x100000});
  const i64 zero = 0;
  EXPECT_EQ(write(*append, "?", &zero), Status::success);
  EXPECT_EQ(folder.read("Work/new"), "abcdef!?");
  auto overlapped = open(u"\\??\\C:\\work\\new", {.options = 0});
  EXPECT_EQ(read(*overlapped, 1).first, Status::invalid_parameter);
}

TEST_F(HostVolumeTest, DeletionWaitsForTheLastHandle) {
  const std::u16string path = u"\\??\\C:\\work\\Read Me.txt";
  auto one = open(path, {.access = kReadWrite | abi::kFileDelete});
  auto two = open(path, {});
  EXPECT_EQ(set(*one, FileInformationClass::disposition, abi::FileDispositionInformation{1}), Status::success);
  EXPECT_EQ(open_status(path, {}), Status::delete_pending);
  EXPECT_EQ(query<abi::FileStandardInformation>(*two, FileInformationClass::standard).second.delete_pending, 1);
  close(one);
  EXPECT_TRUE(folder.has("Work/Read Me.txt"));
  close(two);
  EXPECT_FALSE(folder.has("Work/Read Me.txt"));
}

TEST_F(HostVolumeTest, PosixDeletionTakesTheNameAtOnce) {
  const std::u16string path = u"\\??\\C:\\work\\Read Me.txt";
  auto one = open(path, {.access = kReadWrite | abi::kFileDelete});
  auto two = open(path, {});
  EXPECT_EQ(set(*one, FileInformationClass::disposition_ex, abi::FileDispositionInformationEx{3}), Status::success);
  close(one);
  EXPECT_FALSE(folder.has("Work/Read Me.txt"));
  EXPECT_THAT(read(*two, 9), Pair(Status::success, "hello"));
}

TEST_F(HostVolumeTest, DeleteOnCloseAndWhatPreventsDeletion) {
  auto temporary = open(u"\\??\\C:\\t", {.access = kReadWrite | abi::kFileDelete,
                                         .disposition = CreateDisposition::create,
                                         .options = kSync | abi::kFileDeleteOnClose});
  EXPECT_TRUE(folder.has("t"));
  close(temporary);
  EXPECT_FALSE(folder.has("t"));
  EXPECT_EQ(open_status(u"\\??\\C:\\t", {.options = kSync | abi::kFileDeleteOnClose}), Status::invalid_parameter);
  auto directory = open(u"\\??\\C:\\work", {.access = abi::kFileDelete | 0x100001});
  EXPECT_EQ(set(*directory, FileInformationClass::disposition, abi::FileDispositionInformation{1}),
            Status::directory_not_empty);
  auto file = open(u"\\??\\C:\\work\\Read Me.txt", {.access = abi::kFileDelete | kReadWrite});
  EXPECT_EQ(set(*file, FileInformationClass::basic, abi::FileBasicInformation{0, 0, 0, 0, 1, 0}), Status::success);
  EXPECT_EQ(set(*file, FileInformationClass::disposition, abi::FileDispositionInformation{1}), Status::cannot_delete);
  auto mount_point = open(u"\\??\\C:\\windows", {.access = abi::kFileReadAttributes | 0x100000});
  EXPECT_EQ(open_status(u"\\??\\C:\\work\\Read Me.txt", {.access = abi::kFileGenericWrite}), Status::access_denied);
}

TEST_F(HostVolumeTest, RenameKeepsOpensAndObeysReplacement) {
  auto file = open(u"\\??\\C:\\work\\Read Me.txt", {.access = kReadWrite | abi::kFileDelete});
  folder.write("Work/taken", "x");
  EXPECT_EQ(io.rename(*file, nullptr, u"\\??\\C:\\work\\TAKEN", {}), Status::object_name_collision);
  EXPECT_EQ(io.rename(*file, nullptr, u"\\??\\C:\\work\\TAKEN", {.path = {}, .replace = true}), Status::success);
  EXPECT_EQ(folder.read("Work/TAKEN"), "hello");
  EXPECT_FALSE(folder.has("Work/taken"));
  EXPECT_EQ(file->name, u"\\Work\\TAKEN");
  EXPECT_EQ(io.rename(*file, nullptr, u"taken", {}), Status::success);  // only the case changes
  EXPECT_TRUE(folder.has("Work/taken"));
  EXPECT_EQ(io.rename(*file, nullptr, u"\\??\\C:\\none\\x", {}), Status::object_path_not_found);
  EXPECT_EQ(io.rename(*file, nullptr, u"\\??\\C:\\windows\\system32\\x", {}), Status::access_denied);
  auto directory = open(u"\\??\\C:\\work", {.access = abi::kFileDelete | 0x100001});
  EXPECT_EQ(io.rename(*directory, nullptr, u"\\??\\C:\\moved", {}), Status::access_denied);  // a file in it is open
  close(file);
  EXPECT_EQ(io.rename(*directory, nullptr, u"\\??\\C:\\work\\sub", {}), Status::invalid_parameter);
  EXPECT_EQ(io.rename(*directory, nullptr, u"\\??\\C:\\moved", {}), Status::success);
  EXPECT_EQ(folder.read("moved/taken"), "hello");
}

TEST_F(HostVolumeTest, HardLinksShareOneIdentity) {
  auto file = open(u"\\??\\C:\\work\\Read Me.txt", {});
  EXPECT_EQ(io.rename(*file, nullptr, u"\\??\\C:\\link", {.path = {}, .link = true}), Status::success);
  auto link = open(u"\\??\\C:\\LINK", {});
  const auto a = query<abi::FileInternalInformation>(*file, FileInformationClass::internal);
  const auto b = query<abi::FileInternalInformation>(*link, FileInformationClass::internal);
  EXPECT_EQ(a.second.index_number, b.second.index_number);
  EXPECT_EQ(query<abi::FileStandardInformation>(*link, FileInformationClass::standard).second.number_of_links, 2u);
}

TEST_F(HostVolumeTest, ListingIsSortedWithoutCaseAndASnapshot) {
  folder.write("dir/b", ""), folder.write("dir/A", ""), folder.write("dir/c.txt", ""), folder.write("dir/bad:name", "");
  ASSERT_EQ(mkfifo((folder / "dir/fifo").c_str(), 0600), 0);
  auto directory = open(u"\\??\\C:\\dir", {.access = 0x100001});
  EXPECT_THAT(list(*directory, u"*"), ElementsAre(".", "..", "A", "b", "c.txt"));
  EXPECT_EQ(last_list_status, Status::no_more_files);
  EXPECT_THAT(list(*directory, u"*.TXT"), ElementsAre("c.txt"));
  EXPECT_THAT(list(*directory, u"nothing"), ElementsAre());
  auto other = open(u"\\??\\C:\\dir", {.access = 0x100001});
  EXPECT_THAT(list(*other, u"nothing"), ElementsAre());
  EXPECT_EQ(last_list_status, Status::no_such_file);
  std::vector<u8> small(abi::kBothDirectoryNameOffset + 2);
  u32 written = 0;
  auto third = open(u"\\??\\C:\\dir", {.access = 0x100001});
  EXPECT_EQ(
      volume->query_directory(*third, {FileInformationClass::both_directory, u"c*", false, false}, small, &written),
      Status::buffer_overflow);
  EXPECT_EQ(written, small.size());
}

TEST_F(HostVolumeTest, IdsAreVirtualAndTimesOfGuestWritesAreTheGuests) {
  auto file = open(u"\\??\\C:\\work\\new", {.disposition = CreateDisposition::create});
  snapshot.now += 50;
  EXPECT_EQ(write(*file, "x"), Status::success);
  const auto basic = query<abi::FileBasicInformation>(*file, FileInformationClass::basic).second;
  EXPECT_EQ(basic.creation_time, snapshot.now - 50);
  EXPECT_EQ(basic.last_write_time, snapshot.now);
  EXPECT_EQ(basic.attributes, abi::kFileAttributeArchive);
  EXPECT_LT(query<abi::FileInternalInformation>(*file, FileInformationClass::internal).second.index_number, 100u);
  EXPECT_EQ(set(*file, FileInformationClass::basic,
                abi::FileBasicInformation{0, 0, 116'444'736'010'000'000, 0, abi::kFileAttributeHidden, 0}),
            Status::success);
  struct stat information{};
  ASSERT_EQ(::stat((folder / "Work/new").c_str(), &information), 0);
  EXPECT_EQ(information.st_mtim.tv_sec, 1);
  EXPECT_EQ(query<abi::FileBasicInformation>(*file, FileInformationClass::basic).second.attributes,
            abi::kFileAttributeHidden);
}

TEST_F(HostVolumeTest, SizesCanBeSet) {
  auto file = open(u"\\??\\C:\\work\\Read Me.txt", {});
  EXPECT_EQ(set(*file, FileInformationClass::end_of_file, abi::FileEndOfFileInformation{2}), Status::success);
  EXPECT_EQ(folder.read("Work/Read Me.txt"), "he");
  EXPECT_EQ(query<abi::FileEndOfFileInformation>(*file, FileInformationClass::end_of_file).second.end_of_file, 2);
  EXPECT_EQ(set(*file, FileInformationClass::allocation, abi::FileAllocationInformation{4096}), Status::success);
  EXPECT_EQ(folder.read("Work/Read Me.txt"), "he");
  EXPECT_EQ(set(*file, FileInformationClass::allocation, abi::FileAllocationInformation{1}), Status::success);
  EXPECT_EQ(folder.read("Work/Read Me.txt"), "h");
  EXPECT_EQ(set(*file, FileInformationClass::end_of_file, abi::FileEndOfFileInformation{-1}),
            Status::invalid_parameter);
}

TEST_F(HostVolumeTest, ClassesCheckTheirLengthAndCutNames) {
  auto file = open(u"\\??\\C:\\work\\Read Me.txt", {});
  std::vector<u8> buffer(200);
  u32 written = 0;
  EXPECT_EQ(io.query_information(*file, FileInformationClass::basic, std::span(buffer).first(39), &written),
            Status::info_length_mismatch);
  EXPECT_EQ(io.query_information(*file, FileInformationClass::name, std::span(buffer).first(10), &written),
            Status::buffer_overflow);
  EXPECT_EQ(written, 10u);
  EXPECT_EQ(io.query_information(*file, FileInformationClass::all, buffer, &written), Status::success);
  EXPECT_EQ(written, abi::kFileAllInformationNameOffset + 2 * std::u16string_view(u"\\Work\\Read Me.txt").size());
  EXPECT_EQ(io.query_information(*file, static_cast<FileInformationClass>(9999), buffer, &written),
            Status::invalid_info_class);
}

TEST_F(HostVolumeTest, RelativeOpensStartAtTheDirectoryAndAnEmptyNameOpensAgain) {
  auto directory = open(u"\\??\\C:\\work", {.access = 0x100001});
  auto file = open(u"read me.txt", {.access = abi::kFileGenericRead, .root = directory.get()});
  EXPECT_EQ(read(*file, 10).second, "hello");
  EXPECT_EQ(open_status(u"\\x", {.root = directory.get()}), Status::object_name_invalid);
  auto again = open(u"", {.access = abi::kFileGenericRead, .root = file.get()});
  EXPECT_EQ(again->name, u"\\Work\\Read Me.txt");
}

TEST_F(HostVolumeTest, TheVolumeItselfCanBeAskedButNotRead) {
  auto device = open(u"\\??\\C:", {.access = 0x100080});
  abi::FileFsDeviceInformation information{};
  u32 written = 0;
  EXPECT_EQ(volume->query_volume(*device, abi::VolumeInformationClass::device,
                                 std::span(reinterpret_cast<u8*>(&information), sizeof(information)), &written),
            Status::success);
  EXPECT_EQ(information.device_type, 7u);
  EXPECT_EQ(read(*device, 1).first, Status::invalid_device_request);
}

TEST_F(HostVolumeTest, HostPathsBelowAMountHaveGuestPaths) {
  EXPECT_EQ(*volume->guest_path_of((folder / "Work/Read Me.txt").string()), u"\\Work\\Read Me.txt");
  EXPECT_EQ(*volume->guest_path_of((system2 / "locale.nls").string()), u"\\windows\\system32\\locale.nls");
  EXPECT_EQ(volume->guest_path_of(outside.string()).error(), Status::object_path_not_found);
}

TEST_F(HostVolumeTest, CreateChecksItsArgumentsAsNtDoes) {
  const std::u16string path = u"\\??\\C:\\work\\Read Me.txt";
  EXPECT_EQ(open_status(path, {.access = abi::kFileReadData, .options = kSync}), Status::invalid_parameter);
  EXPECT_EQ(open_status(path, {.options = 0x30}), Status::invalid_parameter);
  EXPECT_EQ(open_status(path, {.options = kSync | 0x41}), Status::invalid_parameter);
  EXPECT_EQ(open_status(path, {.share = 8}), Status::invalid_parameter);
  EXPECT_EQ(open_status(path, {.disposition = static_cast<CreateDisposition>(6)}), Status::invalid_parameter);
  EXPECT_EQ(
      open_status(path, {.disposition = CreateDisposition::overwrite, .options = kSync | abi::kFileDirectoryFile}),
      Status::invalid_parameter);
}

}  // namespace
}  // namespace vitrine::io
