#include "io/socket_address.h"

#include <algorithm>

namespace vitrine::io {
namespace {

constexpr std::size_t kPortOffset = 2, kIpv4Offset = 4, kIpv6Offset = 8, kMappedBytes = 12;  // in a sockaddr; in ::ffff:0:0

u64 address_bytes(u16 family) { return family == abi::kAddressFamilyIpv6 ? 16 : 4; }

}  // namespace

std::optional<SocketAddress> SocketAddress::parse(std::span<const u8> sockaddr) {
  if (sockaddr.size() < kIpv4Offset) return std::nullopt;
  SocketAddress result;
  result.family = static_cast<u16>(sockaddr[0] | sockaddr[1] << 8);
  if (result.family != abi::kAddressFamilyIpv4 && result.family != abi::kAddressFamilyIpv6) return std::nullopt;
  if (sockaddr.size() < result.sockaddr_bytes()) return std::nullopt;
  result.port = static_cast<u16>(sockaddr[kPortOffset] << 8 | sockaddr[kPortOffset + 1]);
  const std::size_t offset = result.family == abi::kAddressFamilyIpv6 ? kIpv6Offset : kIpv4Offset;
  std::ranges::copy(sockaddr.subspan(offset, address_bytes(result.family)), result.bytes.begin());
  return result;
}

SocketAddress SocketAddress::any(u16 family, u16 port) { return {family, port, {}}; }

SocketAddress SocketAddress::loopback(u16 family, u16 port) {
  SocketAddress result{family, port, {}};
  if (family == abi::kAddressFamilyIpv6) {
    result.bytes[15] = 1;
  } else {
    result.bytes[0] = 127;
    result.bytes[3] = 1;
  }
  return result;
}

bool SocketAddress::is_any() const { return bytes == std::array<u8, 16>{}; }

bool SocketAddress::is_loopback() const {
  if (family == abi::kAddressFamilyIpv4) return bytes[0] == 127;
  return is_mapped() ? bytes[kMappedBytes] == 127 : bytes == loopback(family, 0).bytes;
}

bool SocketAddress::is_mapped() const {
  return family == abi::kAddressFamilyIpv6 && std::all_of(bytes.begin(), bytes.begin() + 10, [](u8 b) { return b == 0; }) &&
         bytes[10] == 0xFF && bytes[11] == 0xFF;
}

SocketAddress SocketAddress::mapped() const {
  if (family != abi::kAddressFamilyIpv4) return *this;
  SocketAddress result{abi::kAddressFamilyIpv6, port, {}};
  result.bytes[10] = result.bytes[11] = 0xFF;
  std::copy_n(bytes.begin(), 4, result.bytes.begin() + kMappedBytes);
  return result;
}

SocketAddress SocketAddress::unmapped() const {
  if (!is_mapped()) return *this;
  SocketAddress result{abi::kAddressFamilyIpv4, port, {}};
  std::copy_n(bytes.begin() + kMappedBytes, 4, result.bytes.begin());
  return result;
}

void SocketAddress::write(std::span<u8> out) const {
  std::ranges::fill(out.first(sockaddr_bytes()), u8{0});
  out[0] = static_cast<u8>(family);
  out[kPortOffset] = static_cast<u8>(port >> 8);
  out[kPortOffset + 1] = static_cast<u8>(port);
  const std::size_t offset = family == abi::kAddressFamilyIpv6 ? kIpv6Offset : kIpv4Offset;
  std::copy_n(bytes.begin(), address_bytes(family), out.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace vitrine::io
