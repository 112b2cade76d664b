// SocketDevice: sockets are made, bound, connected, accepted, shut down and closed.
#include <algorithm>

#include "io/socket_state.h"

namespace vitrine::io {
namespace {

// NT: an error of Win32 as a status; RtlNtStatusToDosError gives it back [seen in Wine's user mode: facility 0xC001].
constexpr Status win32_error(u32 code) { return static_cast<Status>(0xC0010000u | code); }
constexpr u32 kWsaProtocolNotSupported = 10043, kWsaTypeNotSupported = 10044, kWsaFamilyNotSupported = 10047;

// NT: the dynamic ports [Microsoft: KB 929851, RFC 6335].
constexpr u16 kFirstDynamicPort = 49152, kDynamicPorts = 16384;
constexpr u64 kMaximumSockets = 1 << 16;  // bound ones of a kind; a port each
constexpr u32 kMaximumBacklog = 200;      // NT: of a server edition, SOMAXCONN included [Microsoft: listen]
// NT: a SYN that is refused is sent twice again, half a second later each [assumed: Windows 7 takes a second].
constexpr i64 kRefusalDelay = -10'000'000;

// One of two sockets on a port takes what the other would.
bool overlaps(const Socket& bound, const Socket& socket, const SocketAddress& address) {
  const SocketAddress& other = *bound.local;
  if (other.family == address.family) return other.same_host(address);
  const Socket& ipv6 = other.family == abi::kAddressFamilyIpv6 ? bound : socket;
  const bool dual = ipv6.option(SocketOption::ipv6_only) == 0;
  return dual && other.is_any() && address.is_any();
}

// [Microsoft: Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE, the table]
Status check_sharing(const Socket& bound, const Socket& socket, const SocketAddress& address) {
  const bool wild = bound.local->is_any() || address.is_any();
  const bool same = overlaps(bound, socket, address);
  if (!same && (bound.local->family != address.family || !wild)) return Status::success;
  const bool exclusive = bound.option(SocketOption::exclusive_address) != 0;
  if (socket.option(SocketOption::reuse_address) != 0) return exclusive ? Status::access_denied : Status::success;
  const bool wants_all = socket.option(SocketOption::exclusive_address) != 0;
  if (same || wants_all || (exclusive && bound.local->is_any())) return Status::sharing_violation;
  return Status::success;
}

}  // namespace

bool has_room(const Socket& socket) {
  if (socket.peer == nullptr) return true;
  const u64 limit = u64{socket.option(SocketOption::send_buffer)} + socket.peer->option(SocketOption::receive_buffer);
  return socket.peer->incoming.size() < std::max<u64>(limit, 1);
}

Status SocketDevice::State::make(Irp& irp, Socket& socket) {
  const auto wanted = input_of<abi::SocketCreate>(irp);
  if (!wanted || socket.state != SocketState::created) return Status::invalid_parameter;
  if (wanted->family != abi::kAddressFamilyIpv4 && wanted->family != abi::kAddressFamilyIpv6) {
    return win32_error(kWsaFamilyNotSupported);
  }
  const bool stream = wanted->type == abi::kSocketStream;
  if (!stream && wanted->type != abi::kSocketDatagram) return win32_error(kWsaTypeNotSupported);
  const i32 protocol = stream ? abi::kProtocolTcp : abi::kProtocolUdp;
  if (wanted->protocol != protocol) return win32_error(kWsaProtocolNotSupported);
  socket.family = static_cast<u16>(wanted->family);
  socket.type = static_cast<u16>(wanted->type);
  socket.protocol = protocol;
  socket.state = stream ? SocketState::unconnected : SocketState::connectionless;
  return Status::success;
}

Status SocketDevice::State::bind_to(Socket& socket, SocketAddress address) {
  auto& table = ports[socket.is_stream() ? 0 : 1];
  if (table.size() >= kMaximumSockets) return Status::too_many_addresses;
  if (address.port == 0) {
    for (u32 tries = 0; tries < kDynamicPorts && address.port == 0; ++tries) {
      const auto port = static_cast<u16>(kFirstDynamicPort + next_port);
      next_port = static_cast<u16>((next_port + 1) % kDynamicPorts);
      if (!table.contains(port)) address.port = port;
    }
    if (address.port == 0) return Status::too_many_addresses;
  } else {
    const auto [first, last] = table.equal_range(address.port);
    for (auto it = first; it != last; ++it) VITRINE_TRY(check_sharing(*it->second, socket, address));
  }
  socket.local = address;
  socket.in_port_table = true;
  table.emplace(address.port, &socket);
  return Status::success;
}

Status SocketDevice::State::bind(Irp& irp, Socket& socket) {
  if (irp.input.size() < abi::kSocketBindHeader) return Status::invalid_parameter;
  if (socket.local) return Status::address_already_associated;
  const auto address = SocketAddress::parse(std::span(irp.input).subspan(abi::kSocketBindHeader));
  if (!address || address->family != socket.family) return Status::invalid_address;
  if (!address->is_any() && !address->is_loopback()) return Status::invalid_address_component;  // no such interface
  VITRINE_TRY(bind_to(socket, *address));
  if (irp.length >= socket.local->sockaddr_bytes()) {
    irp.output.resize(socket.local->sockaddr_bytes());
    socket.local->write(irp.output);
    irp.information = irp.output.size();
  }
  return Status::success;
}

Status SocketDevice::State::listen(Irp& irp, Socket& socket) {
  const auto wanted = input_of<abi::SocketListen>(irp);
  if (!wanted || !socket.local) return Status::invalid_parameter;
  if (!socket.is_stream()) return Status::not_supported;
  if (socket.state == SocketState::connected || socket.state == SocketState::connecting) return Status::connection_active;
  socket.backlog_limit = std::clamp<u32>(static_cast<u32>(std::max(wanted->backlog, 1)), 1, kMaximumBacklog);
  socket.state = SocketState::listening;
  return Status::success;
}

Status SocketDevice::State::check_destination(const Socket& socket, const SocketAddress& to) const {
  const SocketAddress host = to.unmapped();
  if (to.family != socket.family) return Status::invalid_address;
  if (to.is_mapped() && socket.option(SocketOption::ipv6_only) != 0) return Status::network_unreachable;
  if (host.is_any() || to.port == 0) return Status::invalid_address_component;  // NT: nobody has the address 0
  return host.is_loopback() ? Status::success : Status::network_unreachable;
}

namespace {

// Of the sockets on a port that `accepts`, the first bound to exactly that address, else the first bound to all.
template <typename Accepts>
Socket* find_bound(const std::multimap<u16, Socket*>& table, const SocketAddress& to, Accepts accepts) {
  const SocketAddress host = to.unmapped();
  Socket* wild = nullptr;
  const auto [first, last] = table.equal_range(to.port);
  for (auto it = first; it != last; ++it) {
    Socket& candidate = *it->second;
    if (!accepts(candidate)) continue;
    const SocketAddress& local = *candidate.local;
    if (local.unmapped().same_host(host)) return &candidate;
    const bool family = local.family == host.family ||
                        (local.family == abi::kAddressFamilyIpv6 && candidate.option(SocketOption::ipv6_only) == 0);
    if (local.is_any() && family && wild == nullptr) wild = &candidate;
  }
  return wild;
}

// The address by which the other end knows a socket that is bound to all of them.
SocketAddress loopback_towards(const SocketAddress& to, u16 port) {
  const SocketAddress address = SocketAddress::loopback(to.unmapped().family, port);
  return to.is_mapped() ? address.mapped() : address;
}

}  // namespace

Socket* SocketDevice::State::find_listener(const SocketAddress& to) {
  return find_bound(ports[0], to, [](const Socket& socket) { return socket.state == SocketState::listening; });
}

Socket* SocketDevice::State::find_receiver(const SocketAddress& from, const SocketAddress& to) {
  // A connected datagram socket hears its partner only.
  return find_bound(ports[1], to, [&](const Socket& socket) {
    return !socket.remote || (socket.remote->unmapped() == from.unmapped());
  });
}

Status SocketDevice::State::connect(Irp& irp, Socket& socket) {
  const auto wanted = input_of<abi::SocketConnect>(irp);
  if (!wanted || wanted->address_bytes < 0 ||
      irp.input.size() - sizeof(*wanted) < static_cast<u64>(wanted->address_bytes)) {
    return Status::buffer_too_small;
  }
  const bool synchronous = wanted->synchronous != 0;
  if (!synchronous && !socket.local) return Status::invalid_parameter;  // NT: ConnectEx wants a bound socket
  if (socket.connector != nullptr || socket.state == SocketState::listening) return Status::invalid_parameter;
  if (socket.state == SocketState::connecting) {
    return synchronous ? Status::address_already_associated : Status::invalid_parameter;  // ws2_32 makes it WSAEALREADY
  }
  if (socket.state == SocketState::connected) return Status::connection_active;
  const std::span<const u8> rest = std::span<const u8>(irp.input).subspan(sizeof(*wanted));
  const auto to = SocketAddress::parse(rest.first(static_cast<u64>(wanted->address_bytes)));
  if (!to) return Status::invalid_address;
  VITRINE_TRY(check_destination(socket, *to));
  if (!socket.local) {
    VITRINE_TRY(bind_to(socket, loopback_towards(*to, 0)));
  } else if (socket.local->is_any()) {
    socket.local = loopback_towards(*to, socket.local->port);  // NT: a connection has one interface, the one that leads there
  }
  socket.remote = *to;
  if (!socket.is_stream()) return Status::success;  // a datagram socket only remembers
  const bool waits = !(synchronous && socket.nonblocking);
  Socket* listener = find_listener(*to);
  if (listener == nullptr || listener->backlog.size() >= listener->backlog_limit) return start_refusal(irp, socket, waits);
  const auto data = rest.subspan(static_cast<u64>(wanted->address_bytes));
  irp.information = data.size();
  link(socket, *listener, *to, data);
  // NT: a connection takes time, so that a socket that does not block always says so [Microsoft: connect].
  return waits ? Status::success : Status::device_not_ready;
}

Status SocketDevice::State::start_refusal(Irp& irp, Socket& socket, bool waits) {
  socket.state = SocketState::connecting;
  socket.connect_status = Status::success;
  socket.refusal = std::make_unique<SocketTimer>(*this, nullptr, &socket, Status::connection_refused);
  manager.kernel().set_timer(socket.refusal->timer, Ticks{kRefusalDelay}, 0, &socket.refusal->dpc);
  if (!waits) return Status::device_not_ready;
  socket.connector = &irp;
  return Status::pending;
}

// Both ends of a connection exist at once; the listener's waits in its backlog for somebody to accept it.
void SocketDevice::State::link(Socket& socket, Socket& listener, const SocketAddress& to, std::span<const u8> data) {
  auto accepted = std::make_unique<Socket>();
  Socket& other = *accepted;
  other.family = listener.family;
  other.type = listener.type;
  other.protocol = listener.protocol;
  other.options = listener.options;
  const bool maps = listener.family != to.unmapped().family;  // an IPv6 socket that takes IPv4, too
  other.local = maps ? to.unmapped().mapped() : to.unmapped();
  other.remote = maps ? socket.local->unmapped().mapped() : socket.local->unmapped();
  other.state = socket.state = SocketState::connected;
  other.connect_time = socket.connect_time = manager.kernel().system_time().value;
  other.peer = &socket;
  socket.peer = &other;
  other.incoming.append(data);
  listener.backlog.push_back(std::move(accepted));
  while (!listener.acceptors.empty() && !listener.backlog.empty()) {
    Irp& waiting = *listener.acceptors.pop_front();
    const Status status = take_connection(waiting, listener);
    if (status != Status::pending) finish(waiting, status, waiting.information);
  }
  changed(listener);
  post(socket, abi::kPollConnect);
  changed(socket);
}

void SocketDevice::State::connection_refused(Socket& socket) {
  socket.refusal.reset();
  socket.state = SocketState::unconnected;
  socket.remote.reset();
  socket.connect_status = Status::connection_refused;
  post(socket, abi::kPollConnectFailed);
  if (Irp* irp = std::exchange(socket.connector, nullptr)) finish(*irp, Status::connection_refused, 0);
  changed(socket);
}

Status SocketDevice::State::check_accept(const Irp& irp, const Socket& listener) const {
  if (listener.state != SocketState::listening) return Status::invalid_parameter;
  if (static_cast<abi::SocketControl>(irp.control_code) == abi::SocketControl::accept) {
    return irp.length == sizeof(u32) ? Status::success : Status::buffer_too_small;
  }
  const auto wanted = input_of<abi::SocketAcceptInto>(irp);
  if (!wanted || irp.length < wanted->receive_bytes || irp.length - wanted->receive_bytes < wanted->local_bytes) {
    return Status::buffer_too_small;
  }
  const u64 remote = irp.length - wanted->receive_bytes - wanted->local_bytes;
  const u64 needed = sizeof(u32) + listener.local->sockaddr_bytes();
  if (remote < needed || (wanted->local_bytes != 0 && wanted->local_bytes < needed)) return Status::invalid_parameter;
  if (irp.objects.size() != 1) return Status::invalid_handle;
  const auto& file = static_cast<const FileObject&>(*irp.objects[0]);
  if (file.device != &device || file.context == nullptr) return Status::object_type_mismatch;
  const auto& target = static_cast<const Socket&>(*file.context);
  const bool fits = target.state == SocketState::unconnected && target.family == listener.family && target.is_stream();
  return fits ? Status::success : Status::invalid_parameter;
}

Status SocketDevice::State::accept(Irp& irp, Socket& socket) {
  VITRINE_TRY(check_accept(irp, socket));
  const bool into = static_cast<abi::SocketControl>(irp.control_code) == abi::SocketControl::accept_into;
  reenable(socket, abi::kPollAccept);
  if (!socket.backlog.empty()) {
    const Status status = take_connection(irp, socket);
    changed(socket);
    return status;
  }
  if (socket.nonblocking && !into) return Status::device_not_ready;
  socket.acceptors.push_back(irp);
  return Status::pending;
}

namespace {

void adopt(Socket& target, Socket& taken) {
  target.state = SocketState::connected;
  target.local = taken.local;
  target.remote = taken.remote;
  target.incoming = std::move(taken.incoming);
  target.peer_finished = taken.peer_finished;
  target.reset = taken.reset;
  target.connect_time = taken.connect_time;
  target.peer = std::exchange(taken.peer, nullptr);
  if (target.peer != nullptr) target.peer->peer = &target;
}

}  // namespace

// Gives the oldest connection of the backlog to a request.
Status SocketDevice::State::take_connection(Irp& irp, Socket& listener) {
  const bool into = static_cast<abi::SocketControl>(irp.control_code) == abi::SocketControl::accept_into;
  if (!into) {
    CreateParameters parameters;
    parameters.access = listener.file->access;
    parameters.options = listener.file->options;
    auto opened = manager.open(device, parameters);
    if (!opened) return opened.error();
    // NT: the new socket has the listener's properties [Microsoft: accept].
    Socket& fresh = socket_of(*opened->file);
    fresh.family = listener.family;
    fresh.type = listener.type;
    fresh.protocol = listener.protocol;
    fresh.options = listener.options;
    fresh.nonblocking = listener.nonblocking;
    fresh.event = listener.event;
    fresh.event_mask = listener.event_mask;
    irp.objects.assign(1, ob::Ref<ob::Object>(*opened->file));
  }
  auto& file = static_cast<FileObject&>(*irp.objects[0]);
  if (file.context == nullptr || (into && socket_of(file).state != SocketState::unconnected)) return Status::invalid_parameter;
  Socket& target = socket_of(file);
  const std::unique_ptr<Socket> taken = std::move(listener.backlog.front());
  listener.backlog.pop_front();
  adopt(target, *taken);
  changed(target);
  if (!into) {
    irp.opens_object = true;
    irp.information = sizeof(u32);
    return Status::success;
  }
  if (input_of<abi::SocketAcceptInto>(irp)->receive_bytes != 0 && target.incoming.empty() && !target.peer_finished &&
      !target.reset) {
    target.receivers.push_back(irp);
    return Status::pending;
  }
  fill_accept_output(irp, target);
  return Status::success;
}

Status SocketDevice::State::shut_down(Irp& irp, Socket& socket) {
  const auto how = input_of<u32>(irp);
  if (!how) return Status::buffer_too_small;
  if (*how > abi::kShutdownBoth) return Status::invalid_parameter;
  if (socket.state != SocketState::connected && socket.state != SocketState::connectionless) return Status::invalid_connection;
  if (*how != abi::kShutdownSend) socket.receive_shut = true;
  if (*how != abi::kShutdownReceive && !socket.send_shut) {
    socket.send_shut = true;
    if (socket.senders.empty() && socket.peer != nullptr) {
      socket.peer->peer_finished = true;
      data_arrived(*socket.peer);
    }
  }
  changed(socket);
  return Status::success;
}

// The other end is gone without a proper end: what was in flight is lost.
void SocketDevice::State::break_connection(Socket& socket) {
  socket.reset = true;
  socket.incoming.clear();
  fail_transfers(socket, Status::connection_reset);
  changed(socket);
}

void SocketDevice::State::close(Socket& socket) {
  end_polls(socket, abi::kPollClosed);
  if (socket.in_port_table) {
    auto& table = ports[socket.is_stream() ? 0 : 1];
    std::erase_if(table, [&](const auto& entry) { return entry.second == &socket; });
    socket.in_port_table = false;
  }
  socket.refusal.reset();
  while (Irp* irp = socket.receivers.front()) finish(*irp, Status::cancelled, 0);  // an accept_into of the listener's
  for (const auto& waiting : socket.backlog) {
    if (Socket* other = std::exchange(waiting->peer, nullptr)) {
      other->peer = nullptr;
      break_connection(*other);
    }
  }
  socket.backlog.clear();
  socket.event.reset();
  socket.event_mask = 0;
  socket.state = SocketState::created;
  Socket* other = std::exchange(socket.peer, nullptr);
  if (other == nullptr) return;
  other->peer = nullptr;
  // NT: data that nobody read, or a linger time of 0, make it a reset [Microsoft: closesocket; RFC 1122 4.2.2.13].
  if (!socket.incoming.empty() || (socket.linger.on != 0 && socket.linger.seconds == 0)) {
    break_connection(*other);
    return;
  }
  other->peer_finished = true;
  data_arrived(*other);
}

}  // namespace vitrine::io
