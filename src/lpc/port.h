// Ports: named meeting points between a server and its clients, and the messages that wait at them. NT: LPC in 5.2,
// ALPC since 6.0; what both have in common and CSRSS needs: connect, request with reply, datagram, receive.
//
// Owns queued messages and their pool. Refuses: message contents beyond what `Message` and a request's arguments hold,
// sections shared through a port, servers that are guest code (see README.md).
#pragma once

#include <deque>
#include <optional>

#include "hal/machine.h"
#include "ke/kernel.h"
#include "lpc/message.h"
#include "ob/object_manager.h"

namespace vitrine::lpc {

class Ports;
struct PortObject;

struct Request {
  u32 api = 0;
  ClientId sender;
  void* arguments = nullptr;  // of the api, both ways; lives for the call
};

// Who answers at a connection port.
class Server {
 public:
  virtual ~Server() = default;
  // A client asks to be connected; any failure refuses it. `port` is the server's end.
  virtual Status connect(PortObject& port, ClientId client) = 0;
  // The reply's status. The processor goes from the client to the server and back, so this runs on the client's time.
  virtual Status request(PortObject& port, const Request& request) = 0;
};

enum class PortKind : u8 { connection, client, server };

// Port, ALPC Port. Messages queue at connection ports only [NT: LPCP_PORT_OBJECT.MsgQueue].
struct PortObject : ob::Object {
  PortObject(PortKind kind_, Ports& ports_) : kind(kind_), ports(ports_) {}
  const PortKind kind;
  Ports& ports;
  Server* server = nullptr;         // connection port; null once it is disconnected
  ob::Ref<PortObject> connection;   // of a client or server port
  PortObject* other_end = nullptr;  // of a client or server port; null when that one is gone
  u64 connection_id = 0;            // counts this port's connections
  std::deque<Message> queue;
  ke::Semaphore arrivals{0, 0x7FFF'FFFF};  // counts `queue`
};

struct PortStatistics {
  u64 requests = 0, datagrams = 0, received = 0;
  u64 queued = 0, peak_queued = 0;
  u64 lag_ns = 0, peak_lag_ns = 0;  // of received datagrams: from sending to receiving
  u64 unbooked = 0;                 // datagrams for which there was no pool
};

struct Connection {
  ob::Ref<PortObject> client, server;
};

class Ports {
 public:
  // All outlive it. Registers the type.
  Ports(ob::ObjectManager& objects, ke::Kernel& kernel, hal::Machine& machine);
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;
  ~Ports();

  // NtCreatePort with an absolute name; permanent until disconnected. Errors: those of ObjectManager::create and
  // insert.
  [[nodiscard]] Result<ob::Ref<PortObject>> create(std::u16string_view name, Server& server);
  // NtConnectPort and NtAcceptConnectPort in one: the server decides at once. Errors: object_name_not_found,
  // object_type_mismatch, invalid_port_handle (not a connection port), port_disconnected, the server's refusal.
  [[nodiscard]] Result<Connection> connect(std::u16string_view name, ClientId client);
  // The server is gone: later requests and datagrams fail, queued messages are dropped, the name goes.
  void disconnect(PortObject& connection_port);

  // NtRequestWaitReplyPort at a client port. Errors: port_disconnected, the server's.
  [[nodiscard]] Status request(PortObject& client_port, const Request& request);
  // NtRequestPort, and the kernel's own datagrams (LPC_CLIENT_DIED): queued, never waits. `port` is a connection or a
  // client port. Error: port_disconnected.
  Status send(PortObject& port, Message message);
  // NtReplyWaitReceivePort after its wait on `arrivals`: the oldest message; none when the queue is empty.
  [[nodiscard]] std::optional<Message> receive(PortObject& connection_port);

  [[nodiscard]] ob::ObjectType& type() const { return *type_; }
  [[nodiscard]] const PortStatistics& statistics() const { return statistics_; }

 private:
  [[nodiscard]] Result<ob::Ref<PortObject>> make(PortKind kind, std::u16string_view name);
  [[nodiscard]] u64 now() const { return machine_.clock(kernel_.executing_processor()).value; }
  void drop_queue(PortObject& port);
  static void delete_port(ob::Object& object);

  ob::ObjectManager& objects_;
  ke::Kernel& kernel_;
  hal::Machine& machine_;
  ob::ObjectType* type_ = nullptr;
  ex::PoolSite message_site_;
  PortStatistics statistics_;
};

}  // namespace vitrine::lpc
