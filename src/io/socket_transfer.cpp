// SocketDevice: data goes from one end to the other.
#include <algorithm>

#include "io/socket_state.h"

namespace vitrine::io {
namespace {

constexpr u64 kDatagramOverhead = 64;  // booked for each, so that empty ones are bounded, too

bool is_control(const Irp& irp) { return irp.function == MajorFunction::device_control; }
bool is_accept(const Irp& irp) {
  return is_control(irp) && static_cast<abi::SocketControl>(irp.control_code) == abi::SocketControl::accept_into;
}

// What comes in front of the data of a request: nothing for NtReadFile and NtWriteFile.
SocketTransfer transfer_of(const Irp& irp) {
  SocketTransfer transfer;
  transfer.overlapped = 1;
  if (!is_control(irp)) return transfer;
  return input_of<SocketTransfer>(irp).value_or(transfer);
}

std::span<const u8> data_of(const Irp& irp) {
  const std::span<const u8> input(irp.input);
  return is_control(irp) ? input.subspan(std::min(sizeof(SocketTransfer), input.size())) : input;
}

u64 capacity_of(const Irp& irp) {
  const u64 header = is_control(irp) ? sizeof(SocketReceived) : 0;
  return irp.length > header ? irp.length - header : 0;
}

// Where the data of an answer goes; the header is written.
std::span<u8> make_output(Irp& irp, u64 bytes, u32 flags, const std::optional<SocketAddress>& from) {
  const u64 header = is_control(irp) ? sizeof(SocketReceived) : 0;
  irp.output.resize(header + bytes);
  irp.information = bytes;
  if (header != 0) {
    SocketReceived received;
    received.flags = flags;
    if (from) {
      received.address_bytes = static_cast<u32>(from->sockaddr_bytes());
      from->write(received.address);
    }
    std::memcpy(irp.output.data(), &received, sizeof(received));
  }
  return std::span(irp.output).subspan(header);
}

}  // namespace

// --- streams

Status SocketDevice::State::send(Irp& irp, Socket& socket) {
  if (is_control(irp) && irp.input.size() < sizeof(SocketTransfer)) return Status::invalid_parameter;
  const SocketTransfer transfer = transfer_of(irp);
  if ((transfer.flags & abi::kMessageOutOfBand) != 0) return Status::not_supported;
  if (!socket.is_stream()) return send_datagram(irp, socket, transfer, data_of(irp));
  if (socket.state != SocketState::connected) return Status::invalid_connection;
  if (socket.reset) return Status::connection_reset;
  if (socket.send_shut) return Status::pipe_disconnected;
  const auto data = data_of(irp);
  if (socket.peer == nullptr) {
    // The other end is closed: this is sent, and answered with a reset.
    irp.information = data.size();
    break_connection(socket);
    return Status::success;
  }
  // NT: a send is taken whole as long as less than the buffer's size lies in it [Microsoft: KB 214397].
  if (socket.senders.empty() && has_room(socket)) {
    socket.peer->incoming.append(data);
    irp.information = data.size();
    data_arrived(*socket.peer);
    return Status::success;
  }
  if (socket.nonblocking && transfer.overlapped == 0) {
    reenable(socket, abi::kPollWrite);
    return Status::device_not_ready;
  }
  const u32 timeout = socket.option(SocketOption::send_timeout);
  if (transfer.overlapped == 0 && timeout != 0) set_timer(irp, -10'000ll * timeout, Status::io_timeout);
  socket.senders.push_back(irp);
  return Status::pending;
}

// The reader has taken something: whoever waits to send to it goes on.
void SocketDevice::State::room_made(Socket& reader) {
  Socket* sender = reader.peer;
  if (sender == nullptr) return;
  bool sent = false;
  while (!sender->senders.empty() && has_room(*sender)) {
    Irp& irp = *sender->senders.front();
    const auto data = data_of(irp);
    reader.incoming.append(data);
    finish(irp, Status::success, data.size());
    sent = true;
  }
  if (sent && sender->senders.empty() && sender->send_shut) reader.peer_finished = true;
  changed(*sender);
  if (sent) data_arrived(reader);
}

Status SocketDevice::State::receive(Irp& irp, Socket& socket) {
  if (is_control(irp) && (irp.input.size() < sizeof(SocketTransfer) || irp.length < sizeof(SocketReceived))) {
    return Status::invalid_parameter;
  }
  const SocketTransfer transfer = transfer_of(irp);
  if ((transfer.flags & abi::kMessageOutOfBand) != 0) return Status::not_supported;
  if (socket.is_stream() && socket.state != SocketState::connected) return Status::invalid_connection;
  if (!socket.is_stream() && !socket.local) return Status::invalid_parameter;  // NT: WSAEINVAL, nothing can arrive
  if (socket.receive_shut) return Status::pipe_disconnected;
  reenable(socket, abi::kPollRead);
  if (socket.receivers.empty()) {
    if (const auto status = take(irp, socket)) {
      changed(socket);
      if (socket.is_stream()) room_made(socket);
      return *status;
    }
  }
  if (socket.nonblocking && transfer.overlapped == 0) return Status::device_not_ready;
  const u32 timeout = socket.option(SocketOption::receive_timeout);
  if (transfer.overlapped == 0 && timeout != 0) set_timer(irp, -10'000ll * timeout, Status::io_timeout);
  socket.receivers.push_back(irp);
  return Status::pending;
}

// What a request can have now; nullopt: it has to wait.
std::optional<Status> SocketDevice::State::take(Irp& irp, Socket& socket) {
  const u32 flags = transfer_of(irp).flags;
  const u64 capacity = capacity_of(irp);
  const bool peek = (flags & abi::kMessagePeek) != 0;
  if (!socket.is_stream()) {
    if (socket.datagrams.empty()) return std::nullopt;
    const Datagram& first = socket.datagrams.front();
    const bool cut = first.data.size() > capacity;
    const auto out = make_output(irp, std::min<u64>(first.data.size(), capacity), cut ? abi::kMessagePartial : 0, first.from);
    std::copy_n(first.data.begin(), out.size(), out.begin());
    if (!peek) {
      socket.datagram_bytes -= first.data.size() + kDatagramOverhead;
      socket.datagrams.pop_front();
    }
    return cut ? Status::buffer_overflow : Status::success;  // NT: the rest of a datagram is lost
  }
  if (socket.reset) return Status::connection_reset;
  if (socket.incoming.empty() && !socket.peer_finished) return std::nullopt;
  const bool whole = (flags & abi::kMessageWaitAll) != 0 && !peek;
  if (whole && socket.incoming.size() < capacity && !socket.peer_finished) return std::nullopt;
  const auto out = make_output(irp, std::min(capacity, socket.incoming.size()), 0, std::nullopt);
  (void)socket.incoming.peek(out);
  if (!peek) socket.incoming.drop(out.size());
  return Status::success;
}

void SocketDevice::State::data_arrived(Socket& socket) {
  bool taken = false;
  while (Irp* irp = socket.receivers.front()) {
    if (is_accept(*irp)) {
      if (socket.incoming.empty() && !socket.peer_finished) break;
      fill_accept_output(*irp, socket);
      finish(*irp, Status::success, irp->information);
    } else {
      const auto status = take(*irp, socket);
      if (!status) break;
      finish(*irp, *status, irp->information);
    }
    taken = true;
  }
  changed(socket);
  if (taken && socket.is_stream()) room_made(socket);
}

void SocketDevice::State::fail_transfers(Socket& socket, Status status) {
  while (Irp* irp = socket.receivers.front()) finish(*irp, status, 0);
  while (Irp* irp = socket.senders.front()) finish(*irp, status, 0);
}

// The first data, then both addresses, each behind its length [Microsoft: AcceptEx; seen: Wine's GetAcceptExSockaddrs].
void SocketDevice::State::fill_accept_output(Irp& irp, Socket& accepted) {
  const auto wanted = *input_of<abi::SocketAcceptInto>(irp);
  irp.output.assign(irp.length, 0);
  const std::span<u8> out(irp.output);
  irp.information = accepted.incoming.peek(out.first(wanted.receive_bytes));
  accepted.incoming.drop(irp.information);
  const auto put = [&](std::span<u8> place, const SocketAddress& address) {
    const auto bytes = static_cast<u32>(address.sockaddr_bytes());
    std::memcpy(place.data(), &bytes, sizeof(bytes));
    address.write(place.subspan(sizeof(bytes)));
  };
  if (wanted.local_bytes != 0) put(out.subspan(wanted.receive_bytes, wanted.local_bytes), *accepted.local);
  put(out.subspan(wanted.receive_bytes + wanted.local_bytes), *accepted.remote);
}

// --- datagrams

Status SocketDevice::State::send_datagram(Irp& irp, Socket& socket, const SocketTransfer& transfer,
                                          std::span<const u8> data) {
  if (data.size() > abi::kMaximumDatagram) return Status::invalid_buffer_size;  // WSAEMSGSIZE
  if (socket.send_shut) return Status::pipe_disconnected;
  std::optional<SocketAddress> to = socket.remote;
  if (transfer.address_bytes != 0) {
    to = SocketAddress::parse(std::span(transfer.address).first(std::min<u64>(transfer.address_bytes, kMaximumAddressBytes)));
    if (!to) return Status::invalid_address;
  }
  if (!to) return Status::invalid_connection;
  VITRINE_TRY(check_destination(socket, *to));
  if (!socket.local) VITRINE_TRY(bind_to(socket, SocketAddress::any(socket.family, 0)));
  SocketAddress from = socket.local->unmapped();
  if (from.is_any()) from = SocketAddress::loopback(to->unmapped().family, from.port);
  irp.information = data.size();
  Socket* target = find_receiver(from, *to);
  // NT: what nobody takes, or finds the buffer full, is lost without a word.
  if (target == nullptr) return Status::success;
  const u64 booked = data.size() + kDatagramOverhead;
  const bool fits = target->datagrams.empty() || target->datagram_bytes + booked <= target->option(SocketOption::receive_buffer);
  if (!fits) return Status::success;
  const bool maps = target->family == abi::kAddressFamilyIpv6 && from.family == abi::kAddressFamilyIpv4;
  target->datagrams.push_back({maps ? from.mapped() : from, {data.begin(), data.end()}});
  target->datagram_bytes += booked;
  data_arrived(*target);
  return Status::success;
}

}  // namespace vitrine::io
