// Names and addresses: what ws2_32 asks the host's resolver in Wine. Here there is nobody to ask: numbers, "localhost"
// and the machine's own name resolve, to the loopback addresses, and nothing else does. [seen: Wine 8.0's ws2_32;
// ws2def.h, ws2tcpip.h]
#pragma once

#include <optional>

#include "nt/capture.h"

namespace vitrine::nt {

// A call of ws2_32's Unix half by its number. Returns 0 or an error of Windows Sockets, not a status; nullopt: there is
// no such call.
[[nodiscard]] std::optional<Status> socket_names_call(Call call, u32 code, Buffer arguments);

}  // namespace vitrine::nt
