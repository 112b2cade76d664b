// SocketAddress: an IPv4 or IPv6 address and port, a plain value. The machine's network is its loopback interface; nothing else has an
// address here.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "abi/socket_device.h"
#include "base/types.h"

namespace vitrine::io {

inline constexpr u64 kMaximumAddressBytes = 28;  // of a sockaddr as the guest sees it

struct SocketAddress {
  u16 family = abi::kAddressFamilyIpv4;
  u16 port = 0;                    // host order
  std::array<u8, 16> bytes{};      // IPv4: the first four

  auto operator<=>(const SocketAddress&) const = default;

  // From a sockaddr_in or sockaddr_in6. nullopt: another family, or too short.
  [[nodiscard]] static std::optional<SocketAddress> parse(std::span<const u8> sockaddr);
  [[nodiscard]] static SocketAddress any(u16 family, u16 port);
  [[nodiscard]] static SocketAddress loopback(u16 family, u16 port);

  [[nodiscard]] bool is_any() const;
  [[nodiscard]] bool is_loopback() const;  // 127.0.0.0/8, ::1, and ::ffff:127.0.0.0/104
  [[nodiscard]] bool is_mapped() const;    // ::ffff:a.b.c.d
  [[nodiscard]] SocketAddress mapped() const;    // IPv4 as an IPv6 socket sees it
  [[nodiscard]] SocketAddress unmapped() const;  // and back; others unchanged
  [[nodiscard]] bool same_host(const SocketAddress& other) const { return family == other.family && bytes == other.bytes; }

  [[nodiscard]] u64 sockaddr_bytes() const { return family == abi::kAddressFamilyIpv6 ? 28 : 16; }
  // Writes the sockaddr; `out` is at least sockaddr_bytes() long.
  void write(std::span<u8> out) const;
};

}  // namespace vitrine::io
