// SocketDevice: options and other questions about a socket.
#include <algorithm>

#include "io/socket_state.h"

namespace vitrine::io {
namespace {

// The codes of Wine's ws2_32 for an option that is a number: one to get, one to set.
struct OptionCode {
  SocketOption option;
  u16 get, set;
  u32 initial;
};
constexpr OptionCode kOptions[] = {
    {SocketOption::broadcast, 220, 221, 0},
    {SocketOption::keep_alive, 223, 224, 0},
    {SocketOption::out_of_band_inline, 227, 228, 0},
    {SocketOption::receive_buffer, 230, 229, kDefaultSocketBuffer},
    {SocketOption::receive_timeout, 232, 231, 0},  // ms; 0: for ever
    {SocketOption::reuse_address, 233, 234, 0},
    {SocketOption::send_buffer, 236, 235, kDefaultSocketBuffer},
    {SocketOption::send_timeout, 237, 238, 0},
    {SocketOption::exclusive_address, 297, 298, 0},
    {SocketOption::no_delay, 284, 285, 0},
    {SocketOption::ip_dont_fragment, 242, 243, 0},
    {SocketOption::ip_header_included, 246, 247, 0},
    {SocketOption::ip_multicast_interface, 248, 249, 0},
    {SocketOption::ip_multicast_loop, 250, 251, 1},
    {SocketOption::ip_multicast_ttl, 252, 253, 1},
    {SocketOption::ip_packet_info, 256, 257, 0},
    {SocketOption::ip_type_of_service, 258, 259, 0},
    {SocketOption::ip_ttl, 260, 261, 128},
    {SocketOption::ip_unicast_interface, 263, 264, 0},
    {SocketOption::ip_receive_ttl, 293, 294, 0},
    {SocketOption::ip_receive_tos, 295, 296, 0},
    {SocketOption::ipv6_dont_fragment, 266, 267, 0},
    {SocketOption::ipv6_multicast_hops, 269, 270, 1},
    {SocketOption::ipv6_multicast_interface, 271, 272, 0},
    {SocketOption::ipv6_multicast_loop, 273, 274, 1},
    {SocketOption::ipv6_unicast_hops, 275, 276, 128},
    {SocketOption::ipv6_unicast_interface, 277, 278, 0},
    {SocketOption::ipv6_only, 279, 280, 1},  // NT: a socket is IPv6 only unless it is told [Microsoft: IPPROTO_IPV6 options]
    {SocketOption::ipv6_receive_hop_limit, 286, 287, 0},
    {SocketOption::ipv6_packet_info, 288, 289, 0},
    {SocketOption::ipv6_receive_class, 290, 291, 0},
};
static_assert(std::size(kOptions) == static_cast<std::size_t>(SocketOption::count));

constexpr u32 kMaximumSocketBuffer = 16 << 20;

Status get_option(Irp& irp, u32 value) {
  if (irp.length == 0) return Status::buffer_too_small;
  irp.output.resize(std::min<u64>(irp.length, sizeof(value)));  // ws2_32 asks for one byte of a BOOL
  std::memcpy(irp.output.data(), &value, irp.output.size());
  irp.information = irp.output.size();
  return Status::success;
}

Status set_option(const Irp& irp, Socket& socket, SocketOption option) {
  const auto value = input_of<u32>(irp);
  if (!value) return Status::buffer_too_small;
  const bool reuse = option == SocketOption::reuse_address, exclusive = option == SocketOption::exclusive_address;
  if ((reuse && *value != 0 && socket.option(SocketOption::exclusive_address) != 0) ||
      (exclusive && *value != 0 && socket.option(SocketOption::reuse_address) != 0)) {
    return Status::invalid_parameter;  // NT: one excludes the other
  }
  if (exclusive && socket.local) return Status::invalid_parameter;  // NT: before bind only
  if (option == SocketOption::ipv6_only && (socket.family != abi::kAddressFamilyIpv6 || socket.local)) return Status::invalid_parameter;
  const bool buffer = option == SocketOption::receive_buffer || option == SocketOption::send_buffer;
  socket.options[static_cast<std::size_t>(option)] = buffer ? std::min(*value, kMaximumSocketBuffer) : *value;
  return Status::success;
}

// SO_ERROR is an error of Windows Sockets, not a status.
u32 winsock_error(Status status) {
  switch (status) {
    case Status::success: return 0;
    case Status::connection_refused: return 10061;
    case Status::connection_reset: return 10054;
    default: return 10022;
  }
}

Status name_answer(Irp& irp, const std::optional<SocketAddress>& address, Status without) {
  if (!address) return without;
  if (irp.length < address->sockaddr_bytes()) return Status::buffer_too_small;
  irp.output.resize(address->sockaddr_bytes());
  address->write(irp.output);
  irp.information = irp.output.size();
  return Status::success;
}

Status interfaces(Irp& irp) {
  abi::SocketInterface loopback{.flags = abi::kInterfaceUp | abi::kInterfaceLoopback, .address = {}, .broadcast = {}, .mask = {}};
  SocketAddress::loopback(abi::kAddressFamilyIpv4, 0).write(loopback.address);
  SocketAddress mask = SocketAddress::any(abi::kAddressFamilyIpv4, 0);
  mask.bytes[0] = 255;
  mask.write(loopback.mask);
  SocketAddress broadcast = mask;
  broadcast.bytes.fill(0);
  std::fill_n(broadcast.bytes.begin(), 4, u8{255});
  broadcast.write(loopback.broadcast);
  return answer(irp, loopback);
}

}  // namespace

SocketOptions default_socket_options() {
  SocketOptions options{};
  for (const OptionCode& code : kOptions) options[static_cast<std::size_t>(code.option)] = code.initial;
  return options;
}

Status SocketDevice::State::option(Irp& irp, Socket& socket) {
  for (const OptionCode& code : kOptions) {
    if (irp.control_code == abi::detail::wine_socket_code(code.get)) return get_option(irp, socket.option(code.option));
    if (irp.control_code == abi::detail::wine_socket_code(code.set)) return set_option(irp, socket, code.option);
  }
  using Control = abi::SocketControl;
  switch (static_cast<Control>(irp.control_code)) {
    case Control::get_name: return name_answer(irp, socket.local, Status::invalid_parameter);
    case Control::get_peer_name: return name_answer(irp, socket.remote, Status::invalid_connection);
    case Control::get_info: return answer(irp, abi::SocketInfo{socket.family, socket.type, socket.protocol});
    case Control::get_accepts: return answer(irp, u32{socket.state == SocketState::listening});
    case Control::get_error: return answer(irp, winsock_error(socket.reset ? Status::connection_reset : socket.connect_status));
    case Control::get_linger: return answer(irp, socket.linger);
    case Control::set_linger: {
      const auto linger = input_of<abi::SocketLinger>(irp);
      if (!linger) return Status::buffer_too_small;
      socket.linger = *linger;
      return Status::success;
    }
    case Control::get_connect_time: {
      constexpr i64 kSecond = 10'000'000;
      const i64 now = manager.kernel().system_time().value;
      return answer(irp, socket.state == SocketState::connected ? static_cast<u32>((now - socket.connect_time) / kSecond) : ~0u);
    }
    case Control::set_nonblocking: {
      const auto value = input_of<u32>(irp);
      if (!value) return Status::buffer_too_small;
      if (*value == 0 && socket.event_mask != 0) return Status::invalid_parameter;  // [Microsoft: WSAEventSelect]
      socket.nonblocking = *value != 0;
      return Status::success;
    }
    case Control::bytes_to_read: {
      const u64 first = socket.datagrams.empty() ? 0 : socket.datagrams.front().data.size();
      return answer(irp, static_cast<u32>(std::min<u64>(socket.is_stream() ? socket.incoming.size() : first, ~0u)));
    }
    case Control::at_mark: return answer(irp, u32{1});  // no urgent data is ever ahead
    case Control::interface_list: return interfaces(irp);
    case Control::keepalive_values: return irp.input.size() < 12 ? Status::buffer_too_small : Status::success;
    case Control::complete: {  // an answer that ws2_32 found by itself and wants told like any other
      const auto status = input_of<u32>(irp);
      if (!status || static_cast<Status>(*status) == Status::pending) return Status::invalid_parameter;
      return static_cast<Status>(*status);
    }
    case Control::address_list_change: {
      const auto overlapped = input_of<u32>(irp);
      if (!overlapped) return Status::buffer_too_small;
      if (socket.nonblocking && *overlapped == 0) return Status::device_not_ready;
      socket.bystanders.push_back(irp);  // the addresses never change
      return Status::pending;
    }
    default: return Status::not_supported;
  }
}

}  // namespace vitrine::io
