// The inside of SocketDevice: ports, connections, transfers, polls.
#pragma once

#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "io/io_manager.h"
#include "io/socket.h"
#include "io/socket_device.h"

namespace vitrine::io {

// A request that ends with `status` when its time is up, or a connection attempt that fails then.
struct SocketTimer {
  SocketTimer(SocketDevice::State& state, Irp* irp, Socket* socket, Status status);
  ~SocketTimer();
  SocketDevice::State* state;
  Irp* irp;        // null: `socket` is connecting
  Socket* socket;  // null: `irp`
  Status status;
  ke::Timer timer{ke::TimerKind::notification};
  ke::Dpc dpc;
};

struct SocketDevice::State {
  State(IoManager& manager_, SocketDevice& device_) : manager(manager_), device(device_) {}
  IoManager& manager;
  SocketDevice& device;
  std::multimap<u16, Socket*> ports[2];  // bound sockets by port: streams, datagrams; same ports in order of binding
  u16 next_port = 0;                     // offset into the range of ephemeral ports
  IrpQueue polls;                        // in order of arrival
  std::map<u64, std::unique_ptr<SocketTimer>> timers;  // of requests, by their sequence

  // socket_connect.cpp
  Status make(Irp& irp, Socket& socket);
  Status bind(Irp& irp, Socket& socket);
  Status bind_to(Socket& socket, SocketAddress address);
  Status listen(Irp& irp, Socket& socket);
  Status connect(Irp& irp, Socket& socket);
  Status check_accept(const Irp& irp, const Socket& listener) const;
  Status accept(Irp& irp, Socket& socket);
  Status shut_down(Irp& irp, Socket& socket);
  void close(Socket& socket);
  void connection_refused(Socket& socket);
  [[nodiscard]] Socket* find_listener(const SocketAddress& to);
  [[nodiscard]] Socket* find_receiver(const SocketAddress& from, const SocketAddress& to);
  void link(Socket& socket, Socket& listener, const SocketAddress& to, std::span<const u8> data);
  Status start_refusal(Irp& irp, Socket& socket, bool waits);
  Status check_destination(const Socket& socket, const SocketAddress& to) const;
  Status take_connection(Irp& irp, Socket& listener);
  void break_connection(Socket& socket);

  // socket_transfer.cpp
  Status send(Irp& irp, Socket& socket);
  Status receive(Irp& irp, Socket& socket);
  Status send_datagram(Irp& irp, Socket& socket, const SocketTransfer& transfer, std::span<const u8> data);
  void data_arrived(Socket& socket);
  void room_made(Socket& reader);
  void fail_transfers(Socket& socket, Status status);
  [[nodiscard]] std::optional<Status> take(Irp& irp, Socket& socket);
  void fill_accept_output(Irp& irp, Socket& accepted);

  // socket_poll.cpp
  Status poll(Irp& irp);
  Status select_events(Irp& irp, Socket& socket);
  Status take_events(Irp& irp, Socket& socket);
  // Something about the socket changed: selected events are recorded, polls that asked for it end.
  void changed(Socket& socket);
  void post(Socket& socket, u32 events);  // an event that happened once, rather than a state
  void reenable(Socket& socket, u32 events) { socket.reported_events &= ~events; }
  [[nodiscard]] static u32 levels(const Socket& socket);
  void end_polls(Socket& socket, u32 flags);
  void end_poll(Irp& irp, Status status);
  void leave_poll(Irp& irp);

  // socket_options.cpp
  Status option(Irp& irp, Socket& socket);

  void set_timer(Irp& irp, i64 due_100ns, Status status);
  void finish(Irp& irp, Status status, u64 information);  // of a request that had pended
};

// Precondition: a file of this device, not closed.
[[nodiscard]] inline Socket& socket_of(FileObject& file) { return static_cast<Socket&>(*file.context); }
// Where two ends meet: how much of the stream `socket` may still send without waiting.
[[nodiscard]] bool has_room(const Socket& socket);

// The first structure of an input; nullopt when it is shorter.
template <typename T>
[[nodiscard]] std::optional<T> input_of(const Irp& irp) {
  if (irp.input.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, irp.input.data(), sizeof(T));
  return value;
}
template <typename T>
Status answer(Irp& irp, const T& value) {
  if (irp.length < sizeof(T)) return Status::buffer_too_small;
  irp.output.resize(sizeof(T));
  std::memcpy(irp.output.data(), &value, sizeof(T));
  irp.information = sizeof(T);
  return Status::success;
}

}  // namespace vitrine::io
