// Message: what passes through a port. Plain data, because millions may be queued at a port whose server lags.
#pragma once

#include "base/types.h"
#include "ex/pool.h"

namespace vitrine::lpc {

// NT: LPC_TYPE, the numbers of PORT_MESSAGE.u2.s2.Type.
enum class MessageType : u8 {
  request = 1,
  reply = 2,
  datagram = 3,
  lost_reply = 4,
  port_closed = 5,
  client_died = 6,
  exception = 7,
  debug_event = 8,
  error_event = 9,
  connection_request = 10,
};

struct ClientId {
  u32 process = 0, thread = 0;
  bool operator==(const ClientId&) const = default;
};

struct Message {
  MessageType type = MessageType::datagram;
  u32 api = 0;          // datagram: the receiver's number for what is meant
  ClientId sender;      // client_died: the thread that ended
  i64 create_time = 0;  // client_died: of that thread, 100 ns
  u64 sent_ns = 0;      // the sending processor's clock
  ex::PoolBlock block;  // NT's message; null when there was no pool for it
};
static_assert(sizeof(Message) == 40);

}  // namespace vitrine::lpc
