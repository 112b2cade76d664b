#include "io/stream.h"

#include "io/console.h"
#include "io/null_device.h"
#include "io_test.h"

namespace vitrine::io {
namespace {

using abi::ConsoleControl;
using testing::Pair;

// What the host would deliver, by hand.
struct FakeHost final : HostInput, HostOutput {
  Result<std::optional<u64>> take(InputSource, std::span<u8> out) override {
    if (arrived.empty()) return ended ? std::optional<u64>(0) : std::nullopt;
    const u64 count = std::min<u64>(out.size(), arrived.size());
    std::copy_n(arrived.begin(), count, out.begin());
    arrived.erase(0, count);
    return std::optional<u64>(count);
  }
  u64 available(InputSource) override { return arrived.size(); }
  void want(InputSource, bool yes) override { wanted = yes; }
  Status write(Sink sink, std::span<const u8> bytes) override {
    if (!is_success(write_status)) return write_status;
    (sink == Sink::standard_output ? output : error).append(bytes.begin(), bytes.end());
    return Status::success;
  }
  std::string arrived, output, error;
  bool ended = false, wanted = false;
  Status write_status = Status::success;
};

struct StreamTest : IoTest {
  void connect(StreamKinds kinds) {
    streams = std::make_unique<HostStream>(io, host, host, kinds);
    ASSERT_EQ(io.add_device(u"\\Device\\Stream", *streams), Status::success);
    ASSERT_EQ(io.add_device(u"\\Device\\ConDrv", console), Status::success);
    ASSERT_EQ(io.add_device(u"\\Device\\Null", null), Status::success);
    in = open(u"\\Device\\Stream\\Input", {});
    out = open(u"\\Device\\Stream\\Output", {});
  }
  u32 device_type(FileObject& file) {
    abi::FileFsDeviceInformation information{};
    u32 written = 0;
    EXPECT_EQ(file.device->query_volume(file, abi::VolumeInformationClass::device,
                                        std::span(reinterpret_cast<u8*>(&information), sizeof(information)), &written),
              Status::success);
    return information.device_type;
  }
  IrpPtr pending_read(FileObject& file, u64 length) {
    auto irp = make_irp(file, MajorFunction::read, length);
    EXPECT_EQ(io.send(*irp), Status::pending);
    return irp;
  }
  std::pair<Status, std::string> console_control(FileObject& file, ConsoleControl code, u64 length,
                                                 std::string_view input = {}) {
    auto [status, bytes] = control(file, MajorFunction::device_control, static_cast<u32>(code), length,
                                   std::vector<u8>(input.begin(), input.end()));
    return {status, std::string(bytes.begin(), bytes.end())};
  }
  static std::string utf16(std::u16string_view text) {
    return {reinterpret_cast<const char*>(text.data()), text.size() * 2};
  }

  FakeHost host;
  std::unique_ptr<HostStream> streams;
  Console console{io, host, host};
  NullDevice null;
  ob::Ref<FileObject> in, out;
};

TEST_F(StreamTest, TheDeviceTypeSaysWhatTheHostStreamIs) {
  connect({StreamKind::file, StreamKind::pipe, StreamKind::terminal});
  EXPECT_EQ(device_type(*in), 7u);
  EXPECT_EQ(device_type(*out), 0x11u);
  EXPECT_EQ(device_type(*open(u"\\Device\\Stream\\Error", {})), 0x50u);
  EXPECT_EQ(device_type(*open(u"\\Device\\Null", {})), 0x15u);
}

TEST_F(StreamTest, BytesPassUnchanged) {
  connect({StreamKind::pipe, StreamKind::pipe, StreamKind::pipe});
  const std::string all("a\r\n\0\xff\x1a", 6);
  EXPECT_EQ(write(*out, all), Status::success);
  EXPECT_EQ(host.output, all);
  host.arrived = all;
  EXPECT_THAT(read(*in, 100), Pair(Status::success, all));
}

TEST_F(StreamTest, AReadWaitsForTheHostAndAsksForIt) {
  connect({StreamKind::pipe, StreamKind::pipe, StreamKind::pipe});
  auto one = pending_read(*in, 3);
  auto two = pending_read(*in, 9);
  EXPECT_TRUE(host.wanted);
  host.arrived = "hello";
  streams->input_arrived();
  EXPECT_EQ(std::string(one->output.begin(), one->output.end()), "hel");
  EXPECT_EQ(std::string(two->output.begin(), two->output.end()), "lo");
  EXPECT_FALSE(host.wanted);
  auto three = pending_read(*in, 9);
  EXPECT_EQ(io.cancel(*in, nullptr, 0), 1u);
  EXPECT_FALSE(host.wanted);
}

TEST_F(StreamTest, TheEndOfAPipeIsABrokenPipe) {
  connect({StreamKind::pipe, StreamKind::pipe, StreamKind::pipe});
  auto waiting = pending_read(*in, 9);
  host.ended = true;
  streams->input_arrived();
  EXPECT_EQ(waiting->status, Status::pipe_broken);
}

TEST_F(StreamTest, TheEndOfAFileIsTheEndOfFile) {
  connect({StreamKind::file, StreamKind::file, StreamKind::file});
  host.ended = true;
  EXPECT_EQ(read(*in, 9).first, Status::end_of_file);
}

TEST_F(StreamTest, AReaderThatIsGoneIsAStatusAndNoSignal) {
  connect({StreamKind::pipe, StreamKind::pipe, StreamKind::pipe});
  host.write_status = Status::pipe_broken;
  EXPECT_EQ(write(*out, "x"), Status::pipe_broken);
  EXPECT_EQ(write(*out, ""), Status::success);
}

TEST_F(StreamTest, NullSwallowsAndEndsAtOnce) {
  connect({StreamKind::null, StreamKind::null, StreamKind::null});
  auto file = open(u"\\Device\\Null", {});
  EXPECT_EQ(write(*file, "x"), Status::success);
  EXPECT_EQ(read(*file, 1).first, Status::end_of_file);
}

TEST_F(StreamTest, ConsoleOutputBecomesUtf8) {
  connect({StreamKind::terminal, StreamKind::terminal, StreamKind::terminal});
  auto con = open(u"\\Device\\ConDrv\\Output", {.disposition = abi::CreateDisposition::create});
  EXPECT_EQ(console_control(*con, ConsoleControl::write_console, 0, utf16(u"gr\u00fc\u00df \U0001F600\n")).first,
            Status::success);
  EXPECT_EQ(host.output, "gr\u00fc\u00df \U0001F600\n");
  host.output.clear();
  // Halves of a pair in two writes; a lone one is replaced.
  EXPECT_EQ(console_control(*con, ConsoleControl::write_console, 0, std::string("\x3d\xd8", 2)).first, Status::success);
  EXPECT_EQ(console_control(*con, ConsoleControl::write_console, 0, std::string("\x00\xde", 2)).first, Status::success);
  EXPECT_EQ(console_control(*con, ConsoleControl::write_console, 0, std::string("\x00\xde", 2)).first, Status::success);
  EXPECT_EQ(host.output, "\U0001F600\uFFFD");
  EXPECT_EQ(console_control(*con, ConsoleControl::write_console, 0, "odd").first, Status::invalid_parameter);
}

TEST_F(StreamTest, ConsoleBytesAreInTheOutputCodePage) {
  connect({StreamKind::terminal, StreamKind::terminal, StreamKind::terminal});
  auto con = open(u"\\Device\\ConDrv\\CurrentOut", {});
  auto input = open(u"\\Device\\ConDrv\\Input", {});
  EXPECT_EQ(write(*con, "\x81\xc9"), Status::success);  // code page 437
  EXPECT_EQ(host.output, "\u00fc\u2554");
  const abi::ConsoleInputInfoParameters utf8{abi::kSetConsoleOutputCodePage, {0, 65001, 0}};
  EXPECT_EQ(
      console_control(*input, ConsoleControl::set_input_info, 0, {reinterpret_cast<const char*>(&utf8), sizeof(utf8)})
          .first,
      Status::success);
  host.output.clear();
  EXPECT_EQ(write(*con, "\xc3"), Status::success);
  EXPECT_EQ(write(*con, "\xbc"), Status::success);
  EXPECT_EQ(host.output, "\u00fc");
  const abi::ConsoleInputInfoParameters bad{abi::kSetConsoleInputCodePage, {12345, 0, 0}};
  EXPECT_EQ(
      console_control(*input, ConsoleControl::set_input_info, 0, {reinterpret_cast<const char*>(&bad), sizeof(bad)})
          .first,
      Status::invalid_parameter);
}

TEST_F(StreamTest, ConsoleInputComesInLines) {
  connect({StreamKind::terminal, StreamKind::terminal, StreamKind::terminal});
  auto con = open(u"\\Device\\ConDrv\\Input", {});
  host.arrived = "one\ntw";
  EXPECT_THAT(read(*con, 2), Pair(Status::success, "on"));
  EXPECT_THAT(read(*con, 99), Pair(Status::success, "e\r\n"));
  auto waiting = pending_read(*con, 99);
  console.input_arrived();
  EXPECT_EQ(waiting->state, IrpState::pending);
  host.arrived = "\xc3\xb6\n";
  console.input_arrived();
  EXPECT_EQ(std::string(waiting->output.begin(), waiting->output.end()), "tw\x94\r\n");
  host.arrived = "w\n";
  EXPECT_THAT(console_control(*con, ConsoleControl::read_console, 100), Pair(Status::success, utf16(u"w\r\n")));
  host.arrived = "\x1arest\n";
  EXPECT_THAT(read(*con, 9), Pair(Status::success, ""));
}

TEST_F(StreamTest, KeyRecordsAreMadeOfInput) {
  connect({StreamKind::terminal, StreamKind::terminal, StreamKind::terminal});
  auto con = open(u"\\Device\\ConDrv\\Input", {});
  host.arrived = "a\n";
  const auto peeked = console_control(*con, ConsoleControl::peek, 1000).second;
  EXPECT_EQ(peeked.size(), 4 * sizeof(abi::ConsoleKeyRecord));  // a and Enter, down and up
  abi::ConsoleKeyRecord record{};
  std::memcpy(&record, console_control(*con, ConsoleControl::read_input, 20).second.data(), sizeof(record));
  EXPECT_EQ(record.character, u'a');
  EXPECT_EQ(record.virtual_key, 'A');
  EXPECT_EQ(record.key_down, 1u);
  EXPECT_EQ(console_control(*con, ConsoleControl::flush, 0).first, Status::success);
  EXPECT_EQ(console_control(*con, ConsoleControl::peek, 1000).second.size(), 0u);
}

TEST_F(StreamTest, ModesCursorAndCellsAreKept) {
  connect({StreamKind::terminal, StreamKind::terminal, StreamKind::terminal});
  auto con = open(u"\\Device\\ConDrv\\Output", {});
  u32 mode = 0;
  std::memcpy(&mode, console_control(*con, ConsoleControl::get_mode, 4).second.data(), 4);
  EXPECT_EQ(mode, abi::kConsoleDefaultOutputMode);
  EXPECT_EQ(console_control(*con, ConsoleControl::get_mode, 3).first, Status::info_length_mismatch);
  EXPECT_EQ(console_control(*con, ConsoleControl::write_console, 0, utf16(u"ab\r\nc")).first, Status::success);
  abi::ConsoleOutputInfo info{};
  std::memcpy(&info, console_control(*con, ConsoleControl::get_output_info, 100).second.data(), sizeof(info));
  EXPECT_EQ(info.cursor_x, 1);
  EXPECT_EQ(info.cursor_y, 1);
  EXPECT_EQ(info.width, 80);
  const abi::ConsoleRegion where{0, 0, 0, 0};
  EXPECT_EQ(
      console_control(*con, ConsoleControl::read_output, 4, {reinterpret_cast<const char*>(&where), sizeof(where)})
          .second,
      utf16(u"ab"));
  abi::ConsoleOutputInfoParameters move{abi::kSetConsoleCursorPosition, {}};
  move.info.cursor_x = 80;
  EXPECT_EQ(
      console_control(*con, ConsoleControl::set_output_info, 0, {reinterpret_cast<const char*>(&move), sizeof(move)})
          .first,
      Status::invalid_parameter);
  move.info.cursor_x = 9;
  host.output.clear();
  EXPECT_EQ(
      console_control(*con, ConsoleControl::set_output_info, 0, {reinterpret_cast<const char*>(&move), sizeof(move)})
          .first,
      Status::success);
  EXPECT_EQ(host.output, "\x1b[1;10H");
  const abi::ConsoleFill fill{0, 0, 0, 0x7FFFFFFF, 1, u'.', 0};
  const auto filled =
      console_control(*con, ConsoleControl::fill_output, 4, {reinterpret_cast<const char*>(&fill), sizeof(fill)});
  u32 count = 0;
  std::memcpy(&count, filled.second.data(), 4);
  EXPECT_EQ(count, 2000u);
}

TEST_F(StreamTest, HostileConsoleArgumentsAreRefused) {
  connect({StreamKind::terminal, StreamKind::terminal, StreamKind::terminal});
  auto con = open(u"\\Device\\ConDrv\\Output", {});
  const auto send = [&](ConsoleControl code, const auto& value, u64 length = 1000) {
    return console_control(*con, code, length, {reinterpret_cast<const char*>(&value), sizeof(value)}).first;
  };
  EXPECT_EQ(send(ConsoleControl::read_output, abi::ConsoleRegion{~0u, ~0u, 2, ~0u}), Status::invalid_parameter);
  EXPECT_EQ(send(ConsoleControl::write_output, abi::ConsoleRegion{~0u, ~0u, 0, 0}, 4), Status::success);
  EXPECT_EQ(send(ConsoleControl::fill_output, abi::ConsoleFill{-1, -1, 0, 5, 0, u'x', 0}), Status::invalid_parameter);
  EXPECT_EQ(
      send(ConsoleControl::scroll, abi::ConsoleScroll{{-9, -9, 32767, 32767}, -32768, 32767, {-1, -1, 99, 99}, {}}),
      Status::success);
  EXPECT_EQ(send(ConsoleControl::write_console, u8{1}), Status::invalid_parameter);
}

}  // namespace
}  // namespace vitrine::io
