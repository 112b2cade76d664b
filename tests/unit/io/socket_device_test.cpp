#include "io/socket_device.h"

#include "io/socket_state.h"
#include "io_test.h"

namespace vitrine::io {
namespace {

using abi::SocketControl;

struct SocketDeviceTest : IoTest {
  SocketDeviceTest() { EXPECT_EQ(io.add_device(u"\\Device\\Afd", sockets), Status::success); }

  template <typename T>
  static std::vector<u8> bytes(const T& value) {
    const auto* data = reinterpret_cast<const u8*>(&value);
    return {data, data + sizeof(value)};
  }
  static std::vector<u8> joined(std::vector<u8> a, const std::vector<u8>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  static std::vector<u8> sockaddr(const SocketAddress& address) {
    std::vector<u8> out(address.sockaddr_bytes());
    address.write(out);
    return out;
  }
  static SocketAddress ipv4(u8 first, u16 port) {
    SocketAddress address;
    address.port = port;
    address.bytes = {first, 0, 0, first == 0 ? u8{0} : u8{1}};
    return address;
  }

  IrpPtr request(FileObject& file, SocketControl code, std::vector<u8> input, u64 length = 0) {
    auto irp = make_irp(file, MajorFunction::device_control, length);
    irp->control_code = static_cast<u32>(code);
    irp->input = std::move(input);
    return irp;
  }
  Status call(FileObject& file, SocketControl code, std::vector<u8> input, u64 length = 0) {
    auto irp = request(file, code, std::move(input), length);
    const Status status = io.send(*irp);
    if (status == Status::pending) (void)io.cancel(file, nullptr, 0);
    return status;
  }
  ob::Ref<FileObject> socket(u16 type = abi::kSocketStream) {
    auto file = open(u"\\Device\\Afd", {.options = 0});
    const i32 protocol = type == abi::kSocketStream ? abi::kProtocolTcp : abi::kProtocolUdp;
    EXPECT_EQ(call(*file, SocketControl::create, bytes(abi::SocketCreate{abi::kAddressFamilyIpv4, type, protocol, 0})),
              Status::success);
    return file;
  }
  Status bind(FileObject& file, const SocketAddress& address) {
    return call(file, SocketControl::bind, joined({0, 0, 0, 0}, sockaddr(address)), 28);
  }
  Status connect(FileObject& file, const SocketAddress& address) {
    return call(file, SocketControl::connect, joined(bytes(abi::SocketConnect{16, 1}), sockaddr(address)));
  }
  Status set(FileObject& file, u32 function, u32 value) {
    return call(file, static_cast<SocketControl>(abi::detail::wine_socket_code(function)), bytes(value));
  }
  Status send(FileObject& file, u64 count, bool overlapped = false) {
    SocketTransfer transfer;
    transfer.overlapped = overlapped;
    return call(file, SocketControl::send, joined(bytes(transfer), std::vector<u8>(count, u8{'x'})));
  }
  std::pair<Status, u64> receive(FileObject& file, u64 count) {
    auto irp = request(file, SocketControl::receive, bytes(SocketTransfer{}), sizeof(SocketReceived) + count);
    const Status status = io.send(*irp);
    if (status == Status::pending) (void)io.cancel(file, nullptr, 0);
    return {status, irp->information};
  }
  struct Pair {
    ob::Ref<FileObject> client, server, listener;
  };
  Pair connected() {
    Pair pair{socket(), {}, socket()};
    EXPECT_EQ(bind(*pair.listener, ipv4(127, 80)), Status::success);
    EXPECT_EQ(call(*pair.listener, SocketControl::listen, bytes(abi::SocketListen{0, 5, 0})), Status::success);
    EXPECT_EQ(connect(*pair.client, ipv4(127, 80)), Status::success);
    auto irp = request(*pair.listener, SocketControl::accept, {}, 4);
    EXPECT_EQ(io.send(*irp), Status::success);
    pair.server = ob::ref_cast<FileObject>(ob::Ref<ob::Object>(irp->objects.at(0)));
    return pair;
  }
  u32 levels(const ob::Ref<FileObject>& file) { return SocketDevice::State::levels(socket_of(*file)); }

  SocketDevice sockets{io};
};

constexpr u32 kSetReuse = 234, kSetExclusive = 298, kSetReceiveBuffer = 229, kSetSendBuffer = 235;

TEST_F(SocketDeviceTest, OnlyTheLoopbackInterfaceHasAddresses) {
  EXPECT_EQ(bind(*socket(), ipv4(10, 80)), Status::invalid_address_component);
  EXPECT_EQ(bind(*socket(), ipv4(127, 80)), Status::success);
  EXPECT_EQ(connect(*socket(), ipv4(10, 80)), Status::network_unreachable);
  EXPECT_EQ(connect(*socket(), ipv4(0, 80)), Status::invalid_address_component);
  SocketTransfer to;
  to.address_bytes = 16;
  ipv4(8, 53).write(to.address);
  EXPECT_EQ(call(*socket(abi::kSocketDatagram), SocketControl::send, bytes(to)), Status::network_unreachable);
}

TEST_F(SocketDeviceTest, ASendIsTakenWholeAsLongAsTheBufferIsNotFull) {
  auto pair = connected();
  ASSERT_EQ(set(*pair.client, kSetSendBuffer, 10), Status::success);
  ASSERT_EQ(set(*pair.server, kSetReceiveBuffer, 10), Status::success);
  EXPECT_EQ(send(*pair.client, 19), Status::success);
  EXPECT_EQ(send(*pair.client, 1000), Status::success);
  EXPECT_EQ(levels(pair.client) & abi::kPollWrite, 0u);
  auto waiting = request(*pair.client, SocketControl::send, joined(bytes(SocketTransfer{}), {'y'}));
  EXPECT_EQ(io.send(*waiting), Status::pending);
  EXPECT_EQ(receive(*pair.server, 999), std::pair(Status::success, u64{999}));
  EXPECT_EQ(waiting->status, Status::pending);
  EXPECT_EQ(receive(*pair.server, 1), std::pair(Status::success, u64{1}));
  EXPECT_EQ(waiting->status, Status::success);
  EXPECT_EQ(waiting->information, 1u);
  EXPECT_EQ(receive(*pair.server, 100), std::pair(Status::success, u64{20}));
}

TEST_F(SocketDeviceTest, APortIsSharedAsTheTableSays) {
  auto first = socket();
  ASSERT_EQ(bind(*first, ipv4(127, 90)), Status::success);
  EXPECT_EQ(bind(*socket(), ipv4(127, 90)), Status::sharing_violation);
  EXPECT_EQ(bind(*socket(), ipv4(0, 90)), Status::success);  // all addresses beside one of them
  EXPECT_EQ(bind(*socket(abi::kSocketDatagram), ipv4(127, 90)), Status::success);
  auto reusing = socket();
  ASSERT_EQ(set(*reusing, kSetReuse, 1), Status::success);
  EXPECT_EQ(set(*reusing, kSetExclusive, 1), Status::invalid_parameter);
  EXPECT_EQ(bind(*reusing, ipv4(127, 90)), Status::success);
  auto exclusive = socket();
  ASSERT_EQ(set(*exclusive, kSetExclusive, 1), Status::success);
  ASSERT_EQ(bind(*exclusive, ipv4(0, 91)), Status::success);
  EXPECT_EQ(bind(*socket(), ipv4(127, 91)), Status::sharing_violation);
  auto thief = socket();
  ASSERT_EQ(set(*thief, kSetReuse, 1), Status::success);
  EXPECT_EQ(bind(*thief, ipv4(0, 91)), Status::access_denied);
  close(exclusive);
  EXPECT_EQ(bind(*thief, ipv4(0, 91)), Status::success);
}

TEST_F(SocketDeviceTest, WhatWasNotReadMakesACloseAReset) {
  auto pair = connected();
  EXPECT_EQ(send(*pair.client, 3), Status::success);
  EXPECT_EQ(send(*pair.server, 5), Status::success);
  close(pair.server);
  EXPECT_EQ(receive(*pair.client, 9).first, Status::connection_reset);  // and the five bytes are lost
  EXPECT_EQ(levels(pair.client) & (abi::kPollReset | abi::kPollHangUp | abi::kPollRead), abi::kPollReset);
  EXPECT_EQ(send(*pair.client, 1), Status::connection_reset);
}

TEST_F(SocketDeviceTest, TheEndIsToldAfterTheData) {
  auto pair = connected();
  EXPECT_EQ(send(*pair.server, 5), Status::success);
  close(pair.server);
  EXPECT_EQ(levels(pair.client) & (abi::kPollRead | abi::kPollHangUp), abi::kPollRead);
  EXPECT_EQ(receive(*pair.client, 9), std::pair(Status::success, u64{5}));
  EXPECT_EQ(levels(pair.client) & (abi::kPollRead | abi::kPollHangUp), abi::kPollHangUp);
  EXPECT_EQ(receive(*pair.client, 9), std::pair(Status::success, u64{0}));
  EXPECT_EQ(send(*pair.client, 1), Status::success);  // answered with a reset
  EXPECT_EQ(receive(*pair.client, 9).first, Status::connection_reset);
}

TEST_F(SocketDeviceTest, APollOfASocketThatIsClosedEnds) {
  auto pair = connected();
  abi::SocketPollHeader header{abi::kPollForEver, 1, 0, {}};
  auto poll = request(*pair.listener, SocketControl::poll,
                      joined(bytes(header), bytes(abi::SocketPollEntry{77, abi::kPollRead, 0})), 32);
  poll->objects.emplace_back(pair.client);
  EXPECT_EQ(io.send(*poll), Status::pending);
  close(pair.client);
  EXPECT_EQ(poll->status, Status::success);
  abi::SocketPollEntry found{};
  std::memcpy(&found, poll->output.data() + sizeof(header), sizeof(found));
  EXPECT_EQ(found.socket, 77u);
  EXPECT_EQ(found.flags, abi::kPollClosed);
}

TEST_F(SocketDeviceTest, AListenerThatIsClosedBreaksConnectionsThatNobodyAccepted) {
  auto listener = socket(), client = socket();
  ASSERT_EQ(bind(*listener, ipv4(127, 70)), Status::success);
  ASSERT_EQ(call(*listener, SocketControl::listen, bytes(abi::SocketListen{0, 1, 0})), Status::success);
  EXPECT_EQ(connect(*client, ipv4(127, 70)), Status::success);
  EXPECT_EQ(connect(*socket(), ipv4(127, 70)), Status::pending);  // the backlog is full: it will be refused
  close(listener);
  EXPECT_EQ(receive(*client, 1).first, Status::connection_reset);
}

}  // namespace
}  // namespace vitrine::io
