#include "abi/object_information.h"
#include "abi/system_information.h"
#include "service_fixture.h"

namespace vitrine::nt {
namespace {

using SystemQueries = ServiceTest;

TEST_F(SystemQueries, TheProcessListSaysHowLongItIsAndThenNamesEveryProcess) {
  const Va length = room(4);
  EXPECT_EQ(invoke("NtQuerySystemInformation", 5, 0, 0, length), Status::info_length_mismatch);
  const u32 needed = value<u32>(length);
  const Va buffer = room(needed);
  ASSERT_EQ(invoke("NtQuerySystemInformation", 5, buffer, needed, length), Status::success);
  EXPECT_EQ(value<u32>(length), needed);
  Va at = buffer;
  std::vector<u64> ids;
  for (;;) {
    const auto entry = value<abi::SystemProcessInformation>(at);
    ids.push_back(entry.process_id);
    if (entry.process_id == process->id) {
      EXPECT_EQ(entry.thread_count, 1u);
      EXPECT_EQ(bytes(entry.image_name.buffer, 2), std::string("t\0", 2));
    }
    if (entry.next_entry_offset == 0) break;
    at += entry.next_entry_offset;
  }
  EXPECT_EQ(ids, (std::vector<u64>{0, processes->system_process().id, process->id}));
}

TEST_F(SystemQueries, TheExtendedProcessListSaysWhereEachThreadsStacksAndStartAre) {
  constexpr u64 kExtendedProcess = 57;
  const Va length = room(4);
  EXPECT_EQ(invoke("NtQuerySystemInformation", kExtendedProcess, 0, 0, length), Status::info_length_mismatch);
  const u32 needed = value<u32>(length);
  const Va buffer = room(needed);
  process->thread_extras[thread->id].win32_start_address = 0x1234'5678;
  ASSERT_EQ(invoke("NtQuerySystemInformation", kExtendedProcess, buffer, needed, 0), Status::success);
  Va at = buffer;
  for (;;) {
    const auto entry = value<abi::SystemProcessInformation>(at);
    if (entry.process_id == process->id) break;
    ASSERT_NE(entry.next_entry_offset, 0u);
    at += entry.next_entry_offset;
  }
  const auto listed = value<abi::SystemExtendedThreadInformation>(at + sizeof(abi::SystemProcessInformation));
  EXPECT_EQ(listed.thread.client_id.unique_thread, thread->id);
  EXPECT_EQ(listed.thread.start_address, thread->start_address);
  EXPECT_EQ(listed.win32_start_address, 0x1234'5678u);
  EXPECT_EQ(listed.teb_base, thread->teb);
  EXPECT_EQ(listed.stack_base, memory.kernel_stack_base(thread->kernel_stack));
  EXPECT_EQ(listed.stack_base - listed.stack_limit, u64{profile.stack.pages} * kPageSize);
}

TEST_F(SystemQueries, RandomNumbersComeFromTheSeed) {
  const Va buffer = room(24);
  ASSERT_EQ(invoke("NtQuerySystemInformation", 23, buffer, 24, 0), Status::success);
  sim::Random same(1, "guest");
  EXPECT_EQ(value<u64>(buffer), same.next());
  EXPECT_EQ(value<u64>(buffer + 8), same.next());
}

TEST_F(SystemQueries, BasicInformationWantsItsExactLength) {
  const Va buffer = room(80), length = room(4);
  EXPECT_EQ(invoke("NtQuerySystemInformation", 0, buffer, 65, length), Status::info_length_mismatch);
  EXPECT_EQ(invoke("NtQuerySystemInformation", 0, buffer, 64, length), Status::success);
  EXPECT_EQ(value<abi::SystemBasicInformation>(buffer).page_size, 4096u);
  EXPECT_EQ(invoke("NtQuerySystemInformation", 0x7777, buffer, 64, length), Status::invalid_info_class);
}

TEST_F(SystemQueries, ADuplicatedHandleKeepsItsObjectWhenTheSourceIsClosed) {
  const Va event = room(8), copy = room(8);
  constexpr u64 kSelf = ~0ull;
  ASSERT_EQ(invoke("NtCreateEvent", event, 0x1F0003, 0, 0, 1), Status::success);
  ASSERT_EQ(invoke("NtDuplicateObject", kSelf, value<u64>(event), kSelf, copy, 0, 0, 3), Status::success);
  EXPECT_EQ(invoke("NtClose", value<u64>(event)), Status::invalid_handle);
  EXPECT_EQ(invoke("NtWaitForSingleObject", value<u64>(copy), 0, place(i64{0})), Status::success);
}

TEST_F(SystemQueries, AProtectedHandleCannotBeClosed) {
  const Va event = room(8);
  ASSERT_EQ(invoke("NtCreateEvent", event, 0x1F0003, 0, 0, 1), Status::success);
  ASSERT_EQ(invoke("NtSetInformationObject", value<u64>(event), 4, place(abi::ObjectHandleFlagInformation{0, 1}), 2),
            Status::success);
  EXPECT_EQ(invoke("NtClose", value<u64>(event)), Status::handle_not_closable);
}

TEST_F(SystemQueries, AnObjectsNameIsItsFullPath) {
  const Va event = room(8), buffer = room(256), length = room(4);
  ASSERT_EQ(invoke("NtCreateEvent", event, 0x1F0003, attributes(u"\\BaseNamedObjects\\Thing"), 0, 1), Status::success);
  EXPECT_EQ(invoke("NtQueryObject", value<u64>(event), 1, buffer, 8, length), Status::info_length_mismatch);
  EXPECT_EQ(invoke("NtQueryObject", value<u64>(event), 1, buffer, 20, length), Status::buffer_overflow);
  ASSERT_EQ(invoke("NtQueryObject", value<u64>(event), 1, buffer, 256, length), Status::success);
  EXPECT_EQ(value<abi::UnicodeString>(buffer).length, std::u16string_view(u"\\BaseNamedObjects\\Thing").size() * 2);
}

TEST_F(SystemQueries, PipeEndsExchangeBytes) {
  const Va server = room(8), client = room(8), io_status = room(16), buffer = room(16);
  constexpr u32 kAccess = 0x12019F;
  ASSERT_EQ(invoke("NtCreateNamedPipeFile", server, kAccess, attributes(u"\\Device\\NamedPipe\\p"), io_status, 3, 2,
                   0x20, 0, 0, 0, 1, 4096, 4096, place(i64{-500'000})),
            Status::success);
  ASSERT_EQ(invoke("NtOpenFile", client, kAccess, attributes(u"\\Device\\NamedPipe\\p"), io_status, 3, 0x20),
            Status::success);
  EXPECT_EQ(invoke("NtWriteFile", value<u64>(client), 0, 0, 0, io_status, place_bytes("ping"), 4, 0, 0),
            Status::success);
  EXPECT_EQ(invoke("NtReadFile", value<u64>(server), 0, 0, 0, io_status, buffer, 16, 0, 0), Status::success);
  EXPECT_EQ(bytes(buffer, 4), "ping");
}

}  // namespace
}  // namespace vitrine::nt
