// Socket: one end point of the loopback network (NT: what AFD and TCP/IP keep of it). Plain state; the rules are SocketDevice::State's.
//
// A connection is two sockets that point at each other. What one sends lies in the other's `incoming` at once: the network has no delay and
// loses nothing. A socket that nobody accepted yet belongs to its listener, every other one to its file.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "io/byte_queue.h"
#include "io/file_object.h"
#include "io/socket_address.h"
#include "ke/dpc.h"

namespace vitrine::io {

enum class SocketState : u8 {
  created,         // a file without a socket: nothing but the control code that makes one
  unconnected,
  connecting,      // to a port where nobody listens; fails when the timer says so
  connected,
  listening,
  connectionless,  // datagrams
};

struct Datagram {
  SocketAddress from;
  std::vector<u8> data;
};

// SO_RCVBUF and SO_SNDBUF of a new socket [seen: Windows 10].
inline constexpr u32 kDefaultSocketBuffer = 64 << 10;

// Options that are a number; index into Socket::options (io/socket_options.cpp says which code sets which).
enum class SocketOption : u8 {
  broadcast, keep_alive, out_of_band_inline, receive_buffer, receive_timeout, reuse_address, send_buffer, send_timeout,
  exclusive_address, no_delay, ip_dont_fragment, ip_header_included, ip_multicast_interface, ip_multicast_loop, ip_multicast_ttl,
  ip_packet_info, ip_type_of_service, ip_ttl, ip_unicast_interface, ip_receive_ttl, ip_receive_tos, ipv6_dont_fragment,
  ipv6_multicast_hops, ipv6_multicast_interface, ipv6_multicast_loop, ipv6_unicast_hops, ipv6_unicast_interface, ipv6_only,
  ipv6_receive_hop_limit, ipv6_packet_info, ipv6_receive_class,
  count,
};
using SocketOptions = std::array<u32, static_cast<std::size_t>(SocketOption::count)>;
[[nodiscard]] SocketOptions default_socket_options();

struct SocketTimer;

struct Socket final : FileContext {
  Socket();
  ~Socket() override;

  FileObject* file = nullptr;  // null while in a backlog
  SocketState state = SocketState::created;
  u16 family = 0, type = 0;
  i32 protocol = 0;
  bool nonblocking = false;
  SocketOptions options = default_socket_options();
  abi::SocketLinger linger{};

  std::optional<SocketAddress> local;   // set: bound
  std::optional<SocketAddress> remote;  // set: connected (also datagram sockets)
  bool in_port_table = false;

  // Streams.
  Socket* peer = nullptr;      // null: none yet, or it is closed
  ByteQueue incoming;
  bool peer_finished = false;  // no more will come
  bool reset = false;          // the connection was broken
  bool receive_shut = false, send_shut = false;
  i64 connect_time = 0;        // interrupt time, 100 ns
  Status connect_status = Status::success;
  std::unique_ptr<SocketTimer> refusal;  // state connecting

  // Datagrams.
  std::deque<Datagram> datagrams;
  u64 datagram_bytes = 0;

  // Listening.
  u32 backlog_limit = 0;
  std::deque<std::unique_ptr<Socket>> backlog;

  // Requests that wait, each in order of arrival.
  IrpQueue receivers;    // receive, and accept_into that waits for its first data
  IrpQueue senders;
  IrpQueue acceptors;
  IrpQueue bystanders;   // wait for what never happens: a change of the machine's addresses
  Irp* connector = nullptr;

  // Event selection. A bit that was reported is not reported again before the call that re-enables it [Microsoft: WSAEventSelect].
  ob::Ref<ob::Object> event;  // an ob::EventObject, or null
  u32 event_mask = 0, pending_events = 0, reported_events = 0;
  u32 polls = 0;              // pending polls that name this socket

  [[nodiscard]] u32 option(SocketOption which) const { return options[static_cast<std::size_t>(which)]; }
  [[nodiscard]] bool is_stream() const { return type == abi::kSocketStream; }
};

}  // namespace vitrine::io
