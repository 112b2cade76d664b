// Ports from user mode, as far as a client of a server inside the kernel needs them: connecting, and a request with its
// reply. [facts 4.3; public prototypes: ntlpcapi.h of PHNT]
#include <array>
#include <cstring>

#include "csr/subsystem.h"
#include "lpc/user_message.h"
#include "nt/capture.h"
#include "nt/families.h"

namespace vitrine::nt {
namespace {

constexpr u32 kPortAccess = 0x1F'0001;  // PORT_ALL_ACCESS
// STATUS_PORT_MESSAGE_TOO_LONG.
constexpr Status kMessageTooLong{0xC000'002F};

// NT's order of arguments: views and the data of a connection are refused, for no server here takes any.
Status nt_connect_port(Call call, UserPtr<Handle> handle, UserPtr<UnicodeString> name, Buffer, Buffer client_view,
                       Buffer server_view, UserPtr<u32> maximum_length, Buffer data, UserPtr<u32>) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto path = capture_string(call, name);
  if (!path) return path.error();
  if (client_view || server_view || data) return Status::invalid_parameter;
  if (call->csrss == nullptr) return Status::object_name_not_found;
  auto connection = call->csrss->ports().connect(*path, {call.process().id, call.thread->id});
  if (!connection) return connection.error();
  if (maximum_length) VITRINE_TRY(maximum_length.write(call.space(), lpc::kMaximumMessageBytes));
  const auto made = call.process().handles->insert(*connection->client, kPortAccess, 0);
  if (!made) return made.error();
  return return_handle(call, handle, *made);
}

// NtSecureConnectPort: the same with the SID that the server must have.
Status nt_secure_connect_port(Call call, UserPtr<Handle> handle, UserPtr<UnicodeString> name, Buffer security,
                              Buffer client_view, Buffer server_sid, Buffer server_view, UserPtr<u32> maximum_length,
                              Buffer data, UserPtr<u32> data_length) {
  if (server_sid) return Status::not_supported;
  return nt_connect_port(call, handle, name, security, client_view, server_view, maximum_length, data, data_length);
}

// The message that the guest sends, header checked. Errors: access_violation, invalid_parameter, message too long.
Result<std::vector<u8>> capture_message(Call call, Buffer request) {
  const auto header = request.as<lpc::PortMessage>().read(call.space());
  if (!header) return Failure(header.error());
  if (header->total_length > lpc::kMaximumMessageBytes) return Failure(kMessageTooLong);
  if (header->total_length < sizeof(lpc::PortMessage) ||
      header->data_length > header->total_length - sizeof(lpc::PortMessage)) {
    return Failure(Status::invalid_parameter);
  }
  return capture_bytes(call, request, header->total_length, lpc::kMaximumMessageBytes);
}

// The server answers on the caller's time; the reply lies over a copy of the request.
Status nt_request_wait_reply_port(Call call, Handle handle, Buffer request, Buffer reply) {
  auto message = capture_message(call, request);
  if (!message) return message.error();
  VITRINE_TRY(call.space().probe(reply.address, message->size(), 1, true));
  if (call->csrss == nullptr) return Status::invalid_handle;
  const auto port = reference<lpc::PortObject>(call, handle, call->csrss->ports().type(), kPortAccess & 0xFFFF);
  if (!port) return port.error();
  if ((*port)->kind != lpc::PortKind::client) return Status::invalid_port_handle;
  lpc::UserMessage user{std::as_writable_bytes(std::span(*message))};
  const Status status =
      call->csrss->ports().request(**port, {lpc::kUserApi, {call.process().id, call.thread->id}, &user});
  if (!is_success(status)) return status;
  lpc::PortMessage header;
  std::memcpy(&header, message->data(), sizeof header);
  header.type = static_cast<u16>(lpc::MessageType::reply);
  header.process_id = call.process().id;
  header.thread_id = call.thread->id;
  std::memcpy(message->data(), &header, sizeof header);
  return call.space().write(reply.address, std::as_bytes(std::span(*message)));
}

}  // namespace

std::span<const Service> port_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_connect_port>("NtConnectPort", partial,
                                "handle, name, security, client view, server view, maximum, data, data length",
                                "no sections and no connection data; the only server is the Windows subsystem"),
      service<&nt_secure_connect_port>(
          "NtSecureConnectPort", partial,
          "handle, name, security, client view, server SID, server view, maximum, data, data length",
          "as NtConnectPort, without a required SID"),
      service<&nt_request_wait_reply_port>("NtRequestWaitReplyPort", partial, "port, request, reply",
                                           "at a port of the Windows subsystem"),
  };
  return table;
}

}  // namespace vitrine::nt
