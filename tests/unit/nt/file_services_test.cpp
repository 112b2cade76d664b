#include "abi/file_info.h"
#include "service_fixture.h"

namespace vitrine::nt {
namespace {

class FileServices : public ServiceTest {
 protected:
  static constexpr u32 kSynchronize = 0x10'0000;

  u64 open(std::u16string_view path, u32 access, u32 options,
           abi::CreateDisposition disposition = abi::CreateDisposition::open) {
    const Va handle = room(8);
    io_status = room(sizeof(abi::IoStatusBlock));
    status = invoke("NtCreateFile", handle, access, attributes(path), io_status, 0, 0, 7, static_cast<u32>(disposition),
                    options, 0, 0);
    return value<u64>(handle);
  }
  u64 open_synchronous(std::u16string_view path) {
    return open(path, abi::kFileGenericRead | abi::kFileGenericWrite, abi::kFileSynchronousIoNonalert,
                abi::CreateDisposition::open_if);
  }
  abi::IoStatusBlock block() { return value<abi::IoStatusBlock>(io_status); }

  Va io_status = 0;
  Status status{};
};

TEST_F(FileServices, ReadsMoveThePositionOfASynchronousFileAndEndAtItsEnd) {
  write_host_file("a.txt", "hello world");
  const u64 file = open_synchronous(u"\\??\\C:\\a.txt");
  ASSERT_EQ(status, Status::success);
  const Va buffer = room(64);
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0, 0, io_status, buffer, 5, 0, 0), Status::success);
  EXPECT_EQ(block().information, 5u);
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0, 0, io_status, buffer, 64, 0, 0), Status::success);
  EXPECT_EQ(bytes(buffer, 6), " world");
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0, 0, io_status, buffer, 64, 0, 0), Status::end_of_file);
}

TEST_F(FileServices, AWriteToTheEndAppendsWhereverThePositionIs) {
  write_host_file("a.txt", "12345");
  const u64 file = open_synchronous(u"\\??\\C:\\a.txt");
  const Va data = place_bytes("67"), at_end = place(i64{-1}), at_start = place(i64{0}), buffer = room(16);
  EXPECT_EQ(invoke("NtWriteFile", file, 0, 0, 0, io_status, data, 2, at_end, 0), Status::success);
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0, 0, io_status, buffer, 16, at_start, 0), Status::success);
  EXPECT_EQ(bytes(buffer, 7), "1234567");
}

TEST_F(FileServices, AnAsynchronousFileNeedsAnOffset) {
  write_host_file("a.txt", "12345");
  const u64 file = open(u"\\??\\C:\\a.txt", abi::kFileGenericRead, 0);
  const Va buffer = room(16), offset = place(i64{2});
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0, 0, io_status, buffer, 16, 0, 0), Status::invalid_parameter);
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0, 0, io_status, buffer, 16, offset, 0), Status::success);
  EXPECT_EQ(bytes(buffer, 3), "345");
}

TEST_F(FileServices, ATransferLongerThanOneRequestIsWhole) {
  const std::string content(io::kMaximumTransferBytes + 4096, 'x');
  write_host_file("big", content + "end");
  const u64 file = open_synchronous(u"\\??\\C:\\big");
  const auto big = process->space->allocate(
      {0, content.size() + 4096, 0, mm::mem::kReserve | mm::mem::kCommit, mm::page::kReadWrite});
  ASSERT_TRUE(big.has_value());
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0, 0, io_status, big->base, content.size() + 100, 0, 0), Status::success);
  EXPECT_EQ(block().information, content.size() + 3);
  EXPECT_EQ(bytes(big->base + content.size(), 3), "end");
}

TEST_F(FileServices, AHandleWithoutTheRightIsRefusedBeforeAnythingIsWritten) {
  write_host_file("a.txt", "12345");
  const u64 file = open(u"\\??\\C:\\a.txt", abi::kFileReadData | kSynchronize, abi::kFileSynchronousIoNonalert);
  ASSERT_EQ(status, Status::success);
  EXPECT_EQ(invoke("NtWriteFile", file, 0, 0, 0, io_status, place_bytes("x"), 1, 0, 0), Status::access_denied);
  EXPECT_EQ(invoke("NtReadFile", 0x1234, 0, 0, 0, io_status, room(8), 1, 0, 0), Status::invalid_handle);
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0, 0, io_status, 0x1000, 4, 0, 0), Status::access_violation);
}

TEST_F(FileServices, ACompletedRequestPostsAPacketToThePortOfItsFile) {
  write_host_file("a.txt", "12345");
  const u64 file = open(u"\\??\\C:\\a.txt", abi::kFileGenericRead, 0);
  const Va port = room(8);
  ASSERT_EQ(invoke("NtCreateIoCompletion", port, 0x1F0003, 0, 0), Status::success);
  const Va association = place(abi::FileCompletionInformation{value<u64>(port), 77});
  ASSERT_EQ(invoke("NtSetInformationFile", file, io_status, association, sizeof(abi::FileCompletionInformation), 30),
            Status::success);
  ASSERT_EQ(invoke("NtReadFile", file, 0, 0, 0xABC, io_status, room(16), 16, place(i64{0}), 0), Status::success);
  const Va key = room(8), packet = room(8), block_address = room(16);
  EXPECT_EQ(invoke("NtRemoveIoCompletion", value<u64>(port), key, packet, block_address, place(i64{0})),
            Status::success);
  EXPECT_EQ(value<u64>(key), 77u);
  EXPECT_EQ(value<u64>(packet), 0xABCu);
  EXPECT_EQ(value<abi::IoStatusBlock>(block_address).information, 5u);
  EXPECT_EQ(invoke("NtRemoveIoCompletion", value<u64>(port), key, packet, block_address, place(i64{0})),
            Status::timeout);
}

TEST_F(FileServices, AnApcOnAFileWithAPortIsRefused) {
  write_host_file("a.txt", "12345");
  const u64 file = open(u"\\??\\C:\\a.txt", abi::kFileGenericRead, 0);
  const Va port = room(8);
  ASSERT_EQ(invoke("NtCreateIoCompletion", port, 0x1F0003, 0, 0), Status::success);
  const Va association = place(abi::FileCompletionInformation{value<u64>(port), 77});
  ASSERT_EQ(invoke("NtSetInformationFile", file, io_status, association, sizeof(abi::FileCompletionInformation), 30),
            Status::success);
  EXPECT_EQ(invoke("NtReadFile", file, 0, 0x40'1000, 0, io_status, room(16), 16, place(i64{0}), 0),
            Status::invalid_parameter);
}

TEST_F(FileServices, AHandleForDeletionMayAskForBasicInformation) {
  write_host_file("a.txt", "12345");
  const u64 file = open(u"\\??\\C:\\a.txt", abi::kFileDelete | kSynchronize, abi::kFileSynchronousIoNonalert);
  ASSERT_EQ(status, Status::success);
  const Va answer = room(sizeof(abi::FileBasicInformation));
  EXPECT_EQ(invoke("NtQueryInformationFile", file, io_status, answer, sizeof(abi::FileBasicInformation), 4),
            Status::success);
  EXPECT_EQ(invoke("NtQueryInformationFile", file, io_status, room(64), 56, 34), Status::access_denied)
      << "network-open information needs the right";
}

TEST_F(FileServices, RenamingMovesTheFileToTheNameGiven) {
  write_host_file("a.txt", "12345");
  const u64 file = open(u"\\??\\C:\\a.txt", abi::kFileGenericRead | abi::kFileDelete, abi::kFileSynchronousIoNonalert);
  constexpr std::u16string_view kTarget = u"\\??\\C:\\b.txt";
  const Va record = room(128);
  ASSERT_EQ(process->space->write_value(record + 16, static_cast<u32>(kTarget.size() * 2)), Status::success);
  ASSERT_EQ(process->space->write(record + 20, std::as_bytes(std::span(kTarget))), Status::success);
  EXPECT_EQ(invoke("NtSetInformationFile", file, io_status, record, 20 + kTarget.size() * 2, 10), Status::success);
  EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(folder) / "b.txt"));
  // A length that reaches beyond the buffer must not be believed.
  ASSERT_EQ(process->space->write_value(record + 16, ~0u), Status::success);
  EXPECT_EQ(invoke("NtSetInformationFile", file, io_status, record, 64, 10), Status::invalid_parameter);
}

}  // namespace
}  // namespace vitrine::nt
