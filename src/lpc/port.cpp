#include "lpc/port.h"

#include <algorithm>

#include "base/check.h"

namespace vitrine::lpc {
namespace {

constexpr u32 kPortAllAccess = 0x1F'0001;  // PORT_ALL_ACCESS: CONNECT and the standard rights
constexpr i8 kReleaseWaitIncrement = 1;    // NT: LPC_RELEASE_WAIT_INCREMENT

}  // namespace

Ports::Ports(ob::ObjectManager& objects, ke::Kernel& kernel, hal::Machine& machine)
    : objects_(objects), kernel_(kernel), machine_(machine) {
  const sim::Profile& profile = objects.profile();
  // NT: 6.0 replaced LPC by ALPC, with another type and message.
  const bool advanced = profile.version >= sim::kVista;
  type_ = &objects.register_type({.name = advanced ? u"ALPC Port" : u"Port",
                                  .pool = advanced ? ex::PoolType::nonpaged : ex::PoolType::paged,
                                  .tag = ex::pool_tag(advanced ? "AlPo" : "Port"),
                                  .body_bytes = profile.sizes.lpc_port,
                                  .valid_access = kPortAllAccess,
                                  .mapping = {0x2'0001, 0x1'0001, 0, kPortAllAccess},
                                  .delete_object = &delete_port});
  message_site_ =
      objects.pool().site("LpcRequestPort: message", ex::PoolType::paged, ex::pool_tag(advanced ? "AlMs" : "LpcM"));
}

Ports::~Ports() = default;

Result<ob::Ref<PortObject>> Ports::make(PortKind kind, std::u16string_view name) {
  return objects_.create<PortObject>(*type_, {.attributes = {.name = std::u16string(name)}, .kernel_object = true},
                                     kind, *this);
}

Result<ob::Ref<PortObject>> Ports::create(std::u16string_view name, Server& server) {
  auto port = make(PortKind::connection, name);
  if (!port) return port;
  (*port)->server = &server;
  objects_.make_permanent(**port);
  const auto inserted = objects_.insert(*port, {.name = std::u16string(name)}, {});
  if (inserted) return port;
  objects_.make_temporary(**port);
  return Failure(inserted.error());
}

Result<Connection> Ports::connect(std::u16string_view name, ClientId client) {
  auto found = objects_.lookup({.name = name, .type = type_});
  if (!found) return Failure(found.error());
  auto port = ob::ref_cast<PortObject>(std::move(*found));
  if (port->kind != PortKind::connection) return Failure(Status::invalid_port_handle);
  if (port->server == nullptr) return Failure(Status::port_disconnected);
  auto client_port = make(PortKind::client, {});
  if (!client_port) return Failure(client_port.error());
  auto server_port = make(PortKind::server, {});
  if (!server_port) return Failure(server_port.error());
  for (PortObject* end : {client_port->get(), server_port->get()}) {
    end->connection = port;
    end->connection_id = port->connection_id + 1;
  }
  (*client_port)->other_end = server_port->get();
  (*server_port)->other_end = client_port->get();
  if (const Status status = port->server->connect(**server_port, client); !is_success(status)) return Failure(status);
  ++port->connection_id;
  return Connection{std::move(*client_port), std::move(*server_port)};
}

void Ports::disconnect(PortObject& port) {
  VITRINE_CHECK(port.kind == PortKind::connection);
  port.server = nullptr;
  drop_queue(port);
  objects_.make_temporary(port);
}

void Ports::drop_queue(PortObject& port) {
  for (Message& message : port.queue) {
    if (message.block) objects_.pool().free(message.block);
  }
  statistics_.queued -= port.queue.size();
  port.queue.clear();
  port.arrivals.header.signal_state = 0;
}

void Ports::delete_port(ob::Object& object) {
  auto& port = static_cast<PortObject&>(object);
  if (port.other_end != nullptr) port.other_end->other_end = nullptr;
  port.ports.drop_queue(port);
  port.connection.reset();
}

Status Ports::request(PortObject& client_port, const Request& request) {
  VITRINE_CHECK(client_port.kind == PortKind::client);
  PortObject& port = *client_port.connection;
  if (port.server == nullptr || client_port.other_end == nullptr) return Status::port_disconnected;
  ++statistics_.requests;
  return port.server->request(*client_port.other_end, request);
}

Status Ports::send(PortObject& to, Message message) {
  PortObject& port = to.kind == PortKind::connection ? to : *to.connection;
  if (port.server == nullptr) return Status::port_disconnected;
  message.sent_ns = now();
  // NT tries again every 100 ms until there is pool for the message, so it comes, but late [ROS ps/kill.c]; here it
  // comes at once and without pool.
  if (const auto block = objects_.pool().allocate(message_site_, objects_.profile().sizes.lpc_message)) {
    message.block = *block;
  } else {
    ++statistics_.unbooked;
  }
  port.queue.push_back(message);
  ++statistics_.datagrams;
  statistics_.peak_queued = std::max(statistics_.peak_queued, ++statistics_.queued);
  const auto released = kernel_.release_semaphore(port.arrivals, 1, kReleaseWaitIncrement);
  VITRINE_CHECK(released.has_value());  // as many messages do not fit into memory
  return Status::success;
}

std::optional<Message> Ports::receive(PortObject& port) {
  if (port.queue.empty()) return std::nullopt;
  Message message = port.queue.front();
  port.queue.pop_front();
  if (message.block) objects_.pool().free(message.block);
  const u64 time = now();
  // Clocks of two processors may differ by a window: what was sent "later" has no lag.
  const u64 lag = time > message.sent_ns ? time - message.sent_ns : 0;
  statistics_.lag_ns += lag;
  statistics_.peak_lag_ns = std::max(statistics_.peak_lag_ns, lag);
  --statistics_.queued;
  ++statistics_.received;
  return message;
}

}  // namespace vitrine::lpc
