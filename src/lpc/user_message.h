// UserMessage: a PORT_MESSAGE with what follows it, as a program sent it. A request from user mode has the api kUserApi
// and points here; what lies behind the header is between the program and the server.
#pragma once

#include <span>

#include "base/types.h"

namespace vitrine::lpc {

inline constexpr u32 kUserApi = ~0u;

// PORT_MESSAGE, x64.
struct PortMessage {
  u16 data_length = 0;   // behind the header
  u16 total_length = 0;  // with it
  u16 type = 0;          // MessageType
  u16 data_info_offset = 0;
  u64 process_id = 0, thread_id = 0;  // the kernel fills them in: who sends
  u32 message_id = 0;
  u32 padding = 0;
  u64 client_view_size = 0;
};
static_assert(sizeof(PortMessage) == 0x28);

// NT: LPCP_MAX_MESSAGE_SIZE of x64: header and data [ROS lpc.h: PORT_MAXIMUM_MESSAGE_LENGTH].
inline constexpr u32 kMaximumMessageBytes = 512;

struct UserMessage {
  std::span<std::byte> bytes;  // header included; the reply is written over it
};

}  // namespace vitrine::lpc
