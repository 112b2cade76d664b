// What Wine 8.0's ws2_32 sends to \Device\Afd: control codes and the structures behind them. Bind, listen, poll, event selection and
// the name of a socket use Microsoft's numbers; the others are Wine's own. [seen in Wine 8.0's user mode; ws2def.h, winsock2.h]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

namespace detail {
// CTL_CODE(FILE_DEVICE_NETWORK, function, METHOD_BUFFERED, FILE_ANY_ACCESS)
constexpr u32 wine_socket_code(u32 function) { return 0x12u << 16 | function << 2; }
}  // namespace detail

enum class SocketControl : u32 {
  bind = 0x00012003,
  listen = 0x0001200B,
  poll = 0x00012024,
  get_name = 0x0001202F,
  event_select = 0x00012087,
  get_events = 0x0001208B,
  create = detail::wine_socket_code(200),
  accept = detail::wine_socket_code(201),
  accept_into = detail::wine_socket_code(202),
  connect = detail::wine_socket_code(203),
  shutdown = detail::wine_socket_code(204),
  receive = detail::wine_socket_code(205),
  send = detail::wine_socket_code(206),
  transmit = detail::wine_socket_code(207),
  address_list_change = detail::wine_socket_code(208),
  set_nonblocking = detail::wine_socket_code(209),
  complete = detail::wine_socket_code(210),
  bytes_to_read = detail::wine_socket_code(211),
  at_mark = detail::wine_socket_code(212),
  interface_list = detail::wine_socket_code(213),
  keepalive_values = detail::wine_socket_code(214),
  get_peer_name = detail::wine_socket_code(216),
  get_info = detail::wine_socket_code(218),
  // Options: io/socket_options.cpp has the whole list.
  get_accepts = detail::wine_socket_code(219),
  get_error = detail::wine_socket_code(222),
  get_linger = detail::wine_socket_code(225),
  set_linger = detail::wine_socket_code(226),
  get_connect_time = detail::wine_socket_code(292),
};

inline constexpr u16 kAddressFamilyIpv4 = 2, kAddressFamilyIpv6 = 23;
inline constexpr u16 kSocketStream = 1, kSocketDatagram = 2;
inline constexpr i32 kProtocolTcp = 6, kProtocolUdp = 17;
inline constexpr u32 kShutdownReceive = 0, kShutdownSend = 1, kShutdownBoth = 2;

// AFD_POLL_xxx: what a poll or an event selection asks for and is told.
inline constexpr u32 kPollRead = 0x001, kPollWrite = 0x004, kPollHangUp = 0x008, kPollReset = 0x010, kPollClosed = 0x020,
                     kPollConnect = 0x040, kPollAccept = 0x080, kPollConnectFailed = 0x100;
inline constexpr u32 kPollBits = 13;  // of SocketEvents
inline constexpr u32 kPollConnectFailedBit = 8;

// MSG_xxx of send and recv.
inline constexpr u32 kMessageOutOfBand = 0x1, kMessagePeek = 0x2, kMessageWaitAll = 0x8, kMessagePartial = 0x8000;

struct SocketCreate {
  i32 family, type, protocol;
  u32 flags;
};
struct SocketInfo {
  i32 family, type, protocol;
};
struct SocketListen {
  i32 reserved, backlog, reserved2;
};
inline constexpr u32 kSocketBindHeader = 4;  // then the address
struct SocketAcceptInto {
  u32 handle;
  u32 receive_bytes, local_bytes;  // of the output; the rest is for the remote address
};
struct SocketConnect {
  i32 address_bytes;
  i32 synchronous;
  // the address, then data to send
};
struct SocketReceive {
  u64 control, address, address_bytes, flags;  // pointers
  i32 overlapped;
  u32 count;
  u64 buffers;
};
struct SocketSend {
  u64 address;
  u32 address_bytes, flags;
  i32 overlapped;
  u32 count;
  u64 buffers;
};
struct SocketBuffer {  // WSABUF
  u32 bytes, padding;
  u64 address;
};
struct SocketPollHeader {
  i64 timeout;
  u32 count;
  u8 exclusive, padding[3];
};
struct SocketPollEntry {
  u64 socket;
  u32 flags;
  u32 status;
};
inline constexpr i64 kPollForEver = INT64_MAX;
struct SocketEventSelect {
  u64 event;
  u32 mask, padding;
};
struct SocketEvents {
  u32 flags;
  u32 status[kPollBits];
};
struct SocketLinger {
  u16 on, seconds;
};
// INTERFACE_INFO: each address is a 24-byte union.
struct SocketInterface {
  u32 flags;
  u8 address[24], broadcast[24], mask[24];
};
inline constexpr u32 kInterfaceUp = 1, kInterfaceLoopback = 4;
static_assert(sizeof(SocketReceive) == 48 && sizeof(SocketSend) == 32 && sizeof(SocketBuffer) == 16);
static_assert(sizeof(SocketPollHeader) == 16 && sizeof(SocketPollEntry) == 16 && sizeof(SocketEvents) == 56);
static_assert(sizeof(SocketInterface) == 76);

// The largest datagram over IPv4 [RFC 768: 65,535 less both headers].
inline constexpr u32 kMaximumDatagram = 65507;

}  // namespace vitrine::abi
