#include "io/named_pipe.h"

#include "io_test.h"

namespace vitrine::io {
namespace {

using abi::CreateDisposition;
using abi::FileInformationClass;
using abi::FsControl;
using testing::ElementsAre;
using testing::Pair;

struct NamedPipeTest : IoTest {
  NamedPipeTest() { EXPECT_EQ(io.add_device(u"\\Device\\NamedPipe", pipes), Status::success); }

  static PipeParameters bytes(u32 quota = 16) { return {.type = 0, .maximum_instances = 4, .inbound_quota = quota,
                                                        .outbound_quota = quota, .default_timeout = -10'000}; }
  static PipeParameters messages(u32 quota = 16) {
    PipeParameters p = bytes(quota);
    p.type = abi::kPipeMessageType;
    p.read_mode = abi::kPipeMessageMode;
    return p;
  }
  ob::Ref<FileObject> server(const PipeParameters& p, u32 share = abi::kFileShareRead | abi::kFileShareWrite,
                             u32 options = kSync) {
    return open(u"\\Device\\NamedPipe\\p",
                {.share = share, .disposition = CreateDisposition::open_if, .options = options, .pipe = &p});
  }
  ob::Ref<FileObject> client(u32 access = kReadWrite | 0x100000) {
    return open(u"\\Device\\NamedPipe\\P", {.access = access});
  }
  Status code(FileObject& file, FsControl control_code) {
    return control(file, MajorFunction::fs_control, static_cast<u32>(control_code)).first;
  }
  // A request that is expected to pend; the answer is looked at later.
  IrpPtr pend(FileObject& file, MajorFunction function, u64 length, std::string_view input = {},
              FsControl control_code = {}) {
    auto irp = make_irp(file, function, length);
    irp->input.assign(input.begin(), input.end());
    irp->control_code = static_cast<u32>(control_code);
    EXPECT_EQ(io.send(*irp), Status::pending);
    return irp;
  }
  static std::string text(const Irp& irp) { return {irp.output.begin(), irp.output.end()}; }

  NamedPipeDevice pipes{io};
};

TEST_F(NamedPipeTest, BytesFlowBothWaysAndWritesJoin) {
  auto s = server(bytes());
  auto c = client();
  EXPECT_EQ(write(*c, "ab"), Status::success);
  EXPECT_EQ(write(*c, "cd"), Status::success);
  EXPECT_THAT(read(*s, 3), Pair(Status::success, "abc"));
  EXPECT_THAT(read(*s, 3), Pair(Status::success, "d"));
  EXPECT_EQ(write(*s, "back"), Status::success);
  EXPECT_THAT(read(*c, 9), Pair(Status::success, "back"));
}

TEST_F(NamedPipeTest, MessagesKeepTheirBorders) {
  auto s = server(messages());
  auto c = client();
  EXPECT_EQ(write(*c, "abc"), Status::success);
  EXPECT_EQ(write(*c, ""), Status::success);
  EXPECT_EQ(write(*c, "de"), Status::success);
  EXPECT_THAT(read(*s, 2), Pair(Status::buffer_overflow, "ab"));
  EXPECT_THAT(read(*s, 9), Pair(Status::success, "c"));
  EXPECT_THAT(read(*s, 9), Pair(Status::success, ""));
  EXPECT_THAT(read(*s, 9), Pair(Status::success, "de"));
  // A client starts in byte mode: the borders vanish for it until it asks for messages.
  EXPECT_EQ(write(*s, "x"), Status::success);
  EXPECT_EQ(write(*s, "y"), Status::success);
  EXPECT_THAT(read(*c, 9), Pair(Status::success, "xy"));
  EXPECT_EQ(set(*c, FileInformationClass::pipe, abi::FilePipeInformation{abi::kPipeMessageMode, 0}), Status::success);
}

TEST_F(NamedPipeTest, AReadWaitsForDataAndIsAnsweredInOrder) {
  auto s = server(bytes());
  auto c = client();
  auto first = pend(*s, MajorFunction::read, 2);
  auto second = pend(*s, MajorFunction::read, 9);
  EXPECT_EQ(write(*c, "abc"), Status::success);
  EXPECT_EQ(text(*first), "ab");
  EXPECT_EQ(text(*second), "c");
  EXPECT_EQ(second->status, Status::success);
  EXPECT_EQ(second->state, IrpState::completed);
}

TEST_F(NamedPipeTest, AWriteBeyondTheQuotaWaitsUntilThereIsRoom) {
  auto s = server(bytes(4));
  auto c = client();
  EXPECT_EQ(write(*c, "abcd"), Status::success);
  auto waiting = pend(*c, MajorFunction::write, 0, "efg");
  EXPECT_THAT(read(*s, 2), Pair(Status::success, "ab"));
  EXPECT_EQ(waiting->state, IrpState::pending);
  EXPECT_THAT(read(*s, 1), Pair(Status::success, "c"));
  EXPECT_EQ(waiting->state, IrpState::completed);
  EXPECT_EQ(waiting->information, 3u);
  EXPECT_THAT(read(*s, 9), Pair(Status::success, "defg"));
}

TEST_F(NamedPipeTest, ACancelledWriteTakesItsDataAlong) {
  auto s = server(bytes(2));
  auto c = client();
  auto waiting = pend(*c, MajorFunction::write, 0, "long");
  EXPECT_EQ(io.cancel(*c, nullptr, 0), 1u);
  EXPECT_EQ(waiting->status, Status::cancelled);
  EXPECT_EQ(write(*c, "x"), Status::success);
  EXPECT_THAT(read(*s, 9), Pair(Status::success, "x"));
}

TEST_F(NamedPipeTest, WithoutWaitingWritesAreCutOrRefused) {
  PipeParameters p = bytes(4);
  p.completion_mode = abi::kPipeCompleteOperation;
  auto s = server(p);
  auto c = client();
  EXPECT_EQ(read(*s, 1).first, Status::pipe_empty);
  auto irp = make_irp(*s, MajorFunction::write, 0);
  irp->input.assign(6, 'x');
  EXPECT_EQ(io.send(*irp), Status::success);
  EXPECT_EQ(irp->information, 4u);
  EXPECT_THAT(read(*c, 9), Pair(Status::success, "xxxx"));
}

TEST_F(NamedPipeTest, TheOtherEndsCloseIsSeenAfterTheData) {
  auto s = server(bytes());
  auto c = client();
  EXPECT_EQ(write(*c, "last"), Status::success);
  close(c);
  EXPECT_THAT(read(*s, 9), Pair(Status::success, "last"));
  EXPECT_EQ(read(*s, 9).first, Status::pipe_broken);
  EXPECT_EQ(write(*s, "x"), Status::pipe_closing);
}

TEST_F(NamedPipeTest, CloseWakesWhoWaits) {
  auto s = server(bytes(1));
  auto c = client();
  auto reader = pend(*s, MajorFunction::read, 5);
  auto writer = pend(*s, MajorFunction::write, 0, "two");
  close(c);
  EXPECT_EQ(reader->status, Status::pipe_broken);
  EXPECT_EQ(writer->status, Status::pipe_broken);
}

TEST_F(NamedPipeTest, ListenWaitsForAClientAndDisconnectKillsIt) {
  auto s = server(bytes());
  auto listening = pend(*s, MajorFunction::fs_control, 0, {}, FsControl::pipe_listen);
  auto c = client();
  EXPECT_EQ(listening->status, Status::success);
  EXPECT_EQ(code(*s, FsControl::pipe_listen), Status::pipe_connected);
  EXPECT_EQ(open_status(u"\\Device\\NamedPipe\\p", {}), Status::pipe_not_available);
  EXPECT_EQ(code(*s, FsControl::pipe_disconnect), Status::success);
  EXPECT_EQ(code(*s, FsControl::pipe_disconnect), Status::pipe_disconnected);
  EXPECT_EQ(read(*c, 1).first, Status::pipe_disconnected);
  EXPECT_EQ(write(*s, "x"), Status::pipe_disconnected);
  EXPECT_EQ(open_status(u"\\Device\\NamedPipe\\p", {}), Status::pipe_not_available);  // it does not listen
  auto again = pend(*s, MajorFunction::fs_control, 0, {}, FsControl::pipe_listen);
  auto other = client();
  EXPECT_EQ(again->status, Status::success);
  EXPECT_EQ(write(*other, "hi"), Status::success);
  EXPECT_THAT(read(*s, 9), Pair(Status::success, "hi"));
  EXPECT_EQ(read(*c, 1).first, Status::pipe_disconnected);
}

TEST_F(NamedPipeTest, InstancesAreCountedAndMustAgree) {
  PipeParameters one = bytes();
  one.maximum_instances = 1;
  auto s = server(one);
  const Open how{.share = 3, .disposition = CreateDisposition::open_if, .pipe = &one};
  EXPECT_EQ(open_status(u"\\Device\\NamedPipe\\p", how), Status::instance_not_available);
  PipeParameters other = messages();
  EXPECT_EQ(
      open_status(u"\\Device\\NamedPipe\\p", {.share = 3, .disposition = CreateDisposition::open_if, .pipe = &other}),
      Status::access_denied);
  EXPECT_EQ(
      open_status(u"\\Device\\NamedPipe\\p", {.share = 3, .disposition = CreateDisposition::create, .pipe = &one}),
      Status::access_denied);
  close(s);
  EXPECT_EQ(open_status(u"\\Device\\NamedPipe\\p", {}), Status::object_name_not_found);
}

TEST_F(NamedPipeTest, DirectionsAreEnforced) {
  auto s = server(bytes(), abi::kFileShareWrite);  // inbound: to the server only
  EXPECT_EQ(open_status(u"\\Device\\NamedPipe\\p", {.access = abi::kFileGenericRead}), Status::access_denied);
  auto c = client(abi::kFileGenericWrite);
  EXPECT_EQ(write(*c, "x"), Status::success);
  EXPECT_EQ(write(*s, "x"), Status::invalid_parameter);
  EXPECT_EQ(query<abi::FilePipeLocalInformation>(*s, FileInformationClass::pipe_local).second.read_data_available, 1u);
}

TEST_F(NamedPipeTest, PeekTellsAndTakesNothing) {
  auto s = server(messages());
  auto c = client();
  EXPECT_EQ(write(*c, "abc"), Status::success);
  EXPECT_EQ(write(*c, "de"), Status::success);
  auto [status, out] = control(*s, MajorFunction::fs_control, static_cast<u32>(FsControl::pipe_peek), 18);
  EXPECT_EQ(status, Status::buffer_overflow);
  abi::FilePipePeekBuffer peek{};
  ASSERT_EQ(out.size(), 18u);
  std::memcpy(&peek, out.data(), sizeof(peek));
  EXPECT_EQ(peek.read_data_available, 5u);
  EXPECT_EQ(peek.number_of_messages, 2u);
  EXPECT_EQ(peek.message_length, 3u);
  EXPECT_EQ(std::string(out.begin() + 16, out.end()), "ab");
  EXPECT_THAT(read(*s, 9), Pair(Status::success, "abc"));
}

TEST_F(NamedPipeTest, TransceiveWritesAndWaitsForTheAnswer) {
  auto s = server(messages());
  auto c = client();
  ASSERT_EQ(set(*c, FileInformationClass::pipe, abi::FilePipeInformation{abi::kPipeMessageMode, 0}), Status::success);
  auto call = pend(*c, MajorFunction::fs_control, 9, "ask", FsControl::pipe_transceive);
  EXPECT_THAT(read(*s, 9), Pair(Status::success, "ask"));
  EXPECT_EQ(write(*s, "answer"), Status::success);
  EXPECT_EQ(text(*call), "answer");
}

TEST_F(NamedPipeTest, FlushWaitsUntilAllWasRead) {
  auto s = server(bytes());
  auto c = client();
  EXPECT_EQ(write(*c, "ab"), Status::success);
  auto flush = pend(*c, MajorFunction::flush, 0);
  EXPECT_THAT(read(*s, 1), Pair(Status::success, "a"));
  EXPECT_EQ(flush->state, IrpState::pending);
  EXPECT_THAT(read(*s, 1), Pair(Status::success, "b"));
  EXPECT_EQ(flush->status, Status::success);
}

TEST_F(NamedPipeTest, WaitingForAnInstanceEndsByInstanceOrTime) {
  auto root = open(u"\\Device\\NamedPipe\\", {});
  const std::u16string name = u"p";
  std::string input(abi::kFilePipeWaitNameOffset, '\0');
  const i64 timeout = -10'000'000;  // one second
  const u32 length = 2;
  std::memcpy(input.data(), &timeout, 8);
  std::memcpy(input.data() + 8, &length, 4);
  input[12] = 1;
  input.append(reinterpret_cast<const char*>(name.data()), 2);
  EXPECT_EQ(
      control(*root, MajorFunction::fs_control, static_cast<u32>(FsControl::pipe_wait), 0, {input.begin(), input.end()})
          .first,
      Status::object_name_not_found);
  auto s = server(bytes());
  auto c = client();
  auto one = pend(*root, MajorFunction::fs_control, 0, input, FsControl::pipe_wait);
  bench.spinner(8);  // else the bench skips its idle time up to the timer
  bench.run_ms(100);
  EXPECT_EQ(one->state, IrpState::pending);
  auto second = server(bytes());
  EXPECT_EQ(one->status, Status::success);
  auto c2 = client();
  auto two = pend(*root, MajorFunction::fs_control, 0, input, FsControl::pipe_wait);
  bench.run_ms(1200);
  EXPECT_EQ(two->status, Status::io_timeout);
}

TEST_F(NamedPipeTest, TheRootListsThePipes) {
  auto s = server(bytes());
  auto root = open(u"\\Device\\NamedPipe\\", {});
  std::vector<u8> buffer(200);
  u32 written = 0;
  const DirectoryQuery query{FileInformationClass::both_directory, u"P*", false, false};
  EXPECT_EQ(pipes.query_directory(*root, query, buffer, &written), Status::success);
  EXPECT_EQ(written, abi::kBothDirectoryNameOffset + 2);
  EXPECT_EQ(buffer[abi::kBothDirectoryNameOffset], 'p');
  EXPECT_EQ(pipes.query_directory(*root, query, buffer, &written), Status::no_more_files);
}

// A thread in a synchronous read sleeps until the data comes.
TEST_F(NamedPipeTest, ASynchronousReaderIsWokenByTheWriter) {
  auto s = server(bytes());
  auto c = client();
  auto irp = make_irp(*s, MajorFunction::read, 9);
  bench.spawn(8, [&](ke::TestThread& t) -> Task<Status> {
    irp->requester.thread = &t.thread;
    Status status = io.send(*irp);
    bench.say("waits");
    if (status == Status::pending) status = co_await io.wait(irp.get());
    bench.say(text(*irp));
    co_return status;
  });
  bench.run_all();
  EXPECT_THAT(bench.log, ElementsAre("waits"));
  EXPECT_EQ(write(*c, "hello"), Status::success);
  bench.run_all();
  EXPECT_THAT(bench.log, ElementsAre("waits", "hello"));
  EXPECT_EQ(bench.threads.front()->result, Status::success);
}

TEST_F(NamedPipeTest, AbandonedWaitCancelsTheRequest) {
  auto s = server(bytes());
  auto c = client();
  auto irp = make_irp(*s, MajorFunction::read, 9);
  auto& thread = bench.spawn(8, [&](ke::TestThread& t) -> Task<Status> {
    irp->requester.thread = &t.thread;
    if (io.send(*irp) != Status::pending) co_return Status::unsuccessful;
    co_return co_await io.wait(irp.get());
  });
  bench.run_all();
  EXPECT_TRUE(bench.kernel.abort_wait(thread.thread, Status::user_apc));
  bench.run_all();
  EXPECT_EQ(thread.result, Status::cancelled);
  EXPECT_EQ(write(*c, "x"), Status::success);
  EXPECT_THAT(read(*s, 1), Pair(Status::success, "x"));
}

// Overlapped requests on a file with a port: a packet each, in the order of completion.
TEST_F(NamedPipeTest, CompletionPacketsArriveAtThePort) {
  struct Sink final : CompletionSink {
    explicit Sink(IoManager& io_) : io(io_) {}
    void complete(IrpPtr irp) override { io.announce(*irp); }
    IoManager& io;
  } sink{io};
  io.set_completion_sink(&sink);
  auto s = server(bytes(), 3, 0);
  auto c = client();
  auto port = *io.create_port({}, 1);
  EXPECT_EQ(io.associate(*s, port, 77), Status::success);
  EXPECT_EQ(io.associate(*s, port, 78), Status::invalid_parameter);
  EXPECT_EQ(io.associate(*c, port, 78), Status::invalid_parameter);  // synchronous
  auto irp = pend(*s, MajorFunction::read, 9);
  irp->requester.apc_context = 0x1234;
  io.detach(std::move(irp));
  EXPECT_EQ(io.post(*port, 1, 2, Status::success, 3), Status::success);
  EXPECT_EQ(write(*c, "abc"), Status::success);
  CompletionRecord records[4];
  u32 count = 0;
  bench.spawn(8, [&](ke::TestThread&) -> Task<Status> {
    co_return co_await io.remove(port, records, 4, &count, nullptr, false);
  });
  bench.run_all();
  ASSERT_EQ(count, 2u);
  EXPECT_EQ(records[0].key, 1u);
  EXPECT_EQ(records[1].key, 77u);
  EXPECT_EQ(records[1].value, 0x1234u);
  EXPECT_EQ(records[1].information, 3u);
  const i64 poll = 0;
  auto& late = bench.spawn(8, [&](ke::TestThread&) -> Task<Status> {
    co_return co_await io.remove(port, records, 4, &count, &poll, false);
  });
  bench.run_all();
  EXPECT_EQ(late.result, Status::timeout);
}

}  // namespace
}  // namespace vitrine::io
