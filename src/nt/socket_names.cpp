#include "nt/socket_names.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "io/socket_address.h"

namespace vitrine::nt {
namespace {

using io::SocketAddress;
using namespace std::string_view_literals;

// Windows Sockets errors, which these calls return instead of statuses [winsock2.h].
constexpr Status winsock_error(u32 code) { return static_cast<Status>(code); }
constexpr u32 kInsufficientBuffer = 122, kFault = 10014, kTypeNotSupported = 10044, kFamilyNotSupported = 10047,
              kHostNotFound = 11001, kTypeNotFound = 10109;
constexpr std::string_view kMachineName = "VITRINE";  // as the registry's ComputerName says
constexpr u64 kMaximumNameBytes = 1025;               // NI_MAXHOST

constexpr u32 kPassive = 1, kCanonicalName = 2, kNumericHost = 4;  // AI_xxx
constexpr u32 kNameNumericHost = 2, kNameRequired = 4;             // NI_xxx

struct AddressInfo {  // ADDRINFOA
  u32 flags, family, type, protocol;
  u64 address_bytes, canonical_name, address, next;
};
struct GetAddressParameters {
  Va node, service, hints, info, size;
};
struct HostByAddressParameters {
  Va address;
  i32 bytes, family;
  Va host, size;
};
struct HostByNameParameters {
  Va name, host, size;
};
struct HostNameParameters {
  Va name;
  u32 size, padding;
};
struct NameInfoParameters {
  Va address;
  i32 address_bytes, padding;
  Va host;
  u32 host_bytes, padding2;
  Va service;
  u32 service_bytes, flags;
};
struct HostEntry {  // HOSTENT
  u64 name, aliases;
  u16 type, bytes, padding[2];
  u64 addresses;
};
static_assert(sizeof(AddressInfo) == 48 && sizeof(HostEntry) == 32);

// A C string of the guest; nullopt: a null pointer.
Result<std::optional<std::string>> capture_text(Call call, Va address) {
  if (address == 0) return std::optional<std::string>();
  std::string text;
  while (text.size() < kMaximumNameBytes) {
    const auto c = UserPtr<char>{address + text.size()}.read(call.space());
    if (!c) return Failure(c.error());
    if (*c == '\0') return std::optional(std::move(text));
    text += *c;
  }
  return Failure(Status::name_too_long);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

std::optional<SocketAddress> parse_number(const std::string& text) {
  SocketAddress address;
  if (inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) return address;
  address.family = abi::kAddressFamilyIpv6;
  const std::string bare = text.substr(0, text.find('%'));  // a zone: there is one interface
  if (inet_pton(AF_INET6, bare.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

bool is_own_name(std::string_view name) {
  return name.empty() || equal_ignoring_case(name, "localhost") || equal_ignoring_case(name, kMachineName);
}

// Loopback addresses of a family (0: both).
std::vector<SocketAddress> own_addresses(u32 family) {
  std::vector<SocketAddress> all;
  for (const u16 each : {abi::kAddressFamilyIpv6, abi::kAddressFamilyIpv4}) {
    if (family == 0 || family == each) all.push_back(SocketAddress::loopback(each, 0));
  }
  return all;
}

std::optional<u16> parse_service(std::string_view text) {
  struct Known {
    std::string_view name;
    u16 port;
  };
  constexpr Known kKnown[] = {{"ftp", 21},  {"ssh", 22},   {"smtp", 25},  {"domain", 53},
                              {"http", 80}, {"pop3", 110}, {"https", 443}};
  u16 port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size()) return port;
  if (text.empty()) return u16{0};
  for (const Known& known : kKnown) {
    if (equal_ignoring_case(known.name, text)) return known.port;
  }
  return std::nullopt;
}

// A block that will lie at `base` in the guest, built piece by piece, so that its pointers are right.
class GuestBlock {
 public:
  explicit GuestBlock(Va base) : base_(base) {}
  Va add(std::span<const std::byte> bytes) {
    const Va address = base_ + data_.size();
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    while (data_.size() % 8 != 0) data_.push_back({});
    return address;
  }
  Va add_text(std::string_view text) {
    const std::string whole = std::string(text) + '\0';
    return add(std::as_bytes(std::span(whole)));
  }
  void replace(Va address, std::span<const std::byte> bytes) {
    std::ranges::copy(bytes, data_.begin() + static_cast<std::ptrdiff_t>(address - base_));
  }
  // Into the guest, if its buffer of *size bytes takes it; else *size says what is needed.
  Status deliver(Call call, UserPtr<u32> size) const {
    const auto room = size.read(call.space());
    if (!room) return winsock_error(kFault);
    if (*room < data_.size()) {
      if (!is_success(size.write(call.space(), static_cast<u32>(data_.size())))) return winsock_error(kFault);
      return winsock_error(kInsufficientBuffer);
    }
    return is_success(call.space().write(base_, data_)) ? Status::success : winsock_error(kFault);
  }

 private:
  Va base_;
  std::vector<std::byte> data_;
};

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::string with_end(std::string_view text) { return std::string(text) + '\0'; }

// What a host name stands for; empty: nothing here.
std::vector<SocketAddress> resolve(const std::optional<std::string>& node, const AddressInfo& hints) {
  if (!node) {
    std::vector<SocketAddress> all = own_addresses(hints.family);
    if ((hints.flags & kPassive) != 0) {
      for (SocketAddress& address : all) address = SocketAddress::any(address.family, 0);
    }
    return all;
  }
  if (const auto number = parse_number(*node)) {
    if (hints.family != 0 && hints.family != number->family) return {};
    return {*number};
  }
  return (hints.flags & kNumericHost) == 0 && is_own_name(*node) ? own_addresses(hints.family)
                                                                 : std::vector<SocketAddress>();
}

Status get_address_info(Call call, Buffer arguments) {
  const auto parameters = arguments.as<GetAddressParameters>().read(call.space());
  if (!parameters) return winsock_error(kFault);
  const auto node = capture_text(call, parameters->node), service = capture_text(call, parameters->service);
  if (!node || !service) return winsock_error(kFault);
  AddressInfo hints{};
  if (parameters->hints != 0) {
    const auto read = UserPtr<AddressInfo>{parameters->hints}.read(call.space());
    if (!read) return winsock_error(kFault);
    hints = *read;
  }
  if (!*node && !*service) return winsock_error(kHostNotFound);
  if (hints.family != 0 && hints.family != abi::kAddressFamilyIpv4 && hints.family != abi::kAddressFamilyIpv6) {
    return winsock_error(kFamilyNotSupported);
  }
  if (hints.type > 5) return winsock_error(kTypeNotSupported);  // SOCK_SEQPACKET is the last
  const auto port = parse_service(service->value_or(""));
  if (!port) return winsock_error(kTypeNotFound);
  std::vector<SocketAddress> found = resolve(*node, hints);
  if (found.empty()) return winsock_error(kHostNotFound);
  GuestBlock block(parameters->info);
  std::vector<std::pair<Va, AddressInfo>> infos;
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i].port = *port;
    AddressInfo info{0, found[i].family, hints.type, hints.protocol, found[i].sockaddr_bytes(), 0, 0, 0};
    const Va at = block.add(bytes_of(info));
    u8 sockaddr[io::kMaximumAddressBytes];
    found[i].write(sockaddr);
    info.address = block.add(std::as_bytes(std::span(sockaddr).first(info.address_bytes)));
    if (i == 0 && (hints.flags & kCanonicalName) != 0) {
      info.canonical_name = block.add_text(node->value_or(std::string(kMachineName)));
    }
    infos.emplace_back(at, info);
  }
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (i + 1 < infos.size()) infos[i].second.next = infos[i + 1].first;
    block.replace(infos[i].first, bytes_of(infos[i].second));
  }
  return block.deliver(call, {parameters->size});
}

// A HOSTENT with one name and these addresses.
Status deliver_host(Call call, Va at, Va size, std::string_view name, std::span<const SocketAddress> addresses) {
  const u16 family = addresses[0].family;
  const u16 bytes = family == abi::kAddressFamilyIpv6 ? 16 : 4;
  GuestBlock block(at);
  HostEntry entry{.name = 0, .aliases = 0, .type = family, .bytes = bytes, .padding = {}, .addresses = 0};
  block.add(bytes_of(entry));
  entry.aliases = block.add(bytes_of(u64{0}));
  std::vector<u64> pointers(addresses.size() + 1);
  entry.addresses = block.add(std::as_bytes(std::span(pointers)));
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    pointers[i] = block.add(std::as_bytes(std::span(addresses[i].bytes).first(bytes)));
  }
  block.replace(entry.addresses, std::as_bytes(std::span(pointers)));
  entry.name = block.add_text(name);
  block.replace(at, bytes_of(entry));
  return block.deliver(call, {size});
}

Status host_by_name(Call call, Buffer arguments) {
  const auto parameters = arguments.as<HostByNameParameters>().read(call.space());
  if (!parameters) return winsock_error(kFault);
  const auto name = capture_text(call, parameters->name);
  if (!name) return winsock_error(kFault);
  AddressInfo hints{};
  hints.family = abi::kAddressFamilyIpv4;  // NT: gethostbyname knows no other
  const auto found = resolve(name->value_or(""), hints);
  if (found.empty()) return winsock_error(kHostNotFound);
  return deliver_host(call, parameters->host, parameters->size, name->value_or(std::string(kMachineName)), found);
}

Status host_by_address(Call call, Buffer arguments) {
  const auto parameters = arguments.as<HostByAddressParameters>().read(call.space());
  if (!parameters) return winsock_error(kFault);
  const bool ipv6 = parameters->family == abi::kAddressFamilyIpv6;
  if (!ipv6 && parameters->family != abi::kAddressFamilyIpv4) return winsock_error(kFamilyNotSupported);
  SocketAddress address = SocketAddress::any(static_cast<u16>(parameters->family), 0);
  const u64 bytes = ipv6 ? 16 : 4;
  if (parameters->bytes < static_cast<i32>(bytes)) return winsock_error(kFault);
  if (!is_success(
          call.space().read(parameters->address, std::as_writable_bytes(std::span(address.bytes).first(bytes))))) {
    return winsock_error(kFault);
  }
  if (!address.is_loopback()) return winsock_error(kHostNotFound);
  return deliver_host(call, parameters->host, parameters->size, kMachineName, std::span(&address, 1));
}

Status host_name(Call call, Buffer arguments) {
  const auto parameters = arguments.as<HostNameParameters>().read(call.space());
  if (!parameters) return winsock_error(kFault);
  const std::string name = with_end(kMachineName);
  if (parameters->size < name.size()) return winsock_error(kFault);
  return is_success(call.space().write(parameters->name, std::as_bytes(std::span(name)))) ? Status::success
                                                                                          : winsock_error(kFault);
}

Status put_text(Call call, Va at, u32 room, std::string_view text) {
  if (at == 0 || room == 0) return Status::success;
  if (text.size() + 1 > room) return winsock_error(kInsufficientBuffer);
  const std::string whole = with_end(text);
  return is_success(call.space().write(at, std::as_bytes(std::span(whole)))) ? Status::success : winsock_error(kFault);
}

Status name_info(Call call, Buffer arguments) {
  const auto parameters = arguments.as<NameInfoParameters>().read(call.space());
  if (!parameters) return winsock_error(kFault);
  std::array<u8, io::kMaximumAddressBytes> sockaddr{};
  const u64 bytes = std::min<u64>(static_cast<u32>(std::max(parameters->address_bytes, 0)), sockaddr.size());
  if (!is_success(call.space().read(parameters->address, std::as_writable_bytes(std::span(sockaddr).first(bytes))))) {
    return winsock_error(kFault);
  }
  const auto address = SocketAddress::parse(std::span<const u8>(sockaddr).first(bytes));
  if (!address) return winsock_error(kFamilyNotSupported);
  char number[INET6_ADDRSTRLEN]{};
  inet_ntop(address->family == abi::kAddressFamilyIpv6 ? AF_INET6 : AF_INET, address->bytes.data(), number,
            sizeof(number));
  std::string host = number;
  if (address->is_loopback() && (parameters->flags & kNameNumericHost) == 0) {
    host = kMachineName;
  } else if ((parameters->flags & kNameRequired) != 0) {
    return winsock_error(kHostNotFound);
  }
  const Status told = put_text(call, parameters->host, parameters->host_bytes, host);
  if (told != Status::success) return told;
  return put_text(call, parameters->service, parameters->service_bytes, fmt::format("{}", address->port));
}

}  // namespace

std::optional<Status> socket_names_call(Call call, u32 code, Buffer arguments) {
  switch (code) {
    case 0:
      return get_address_info(call, arguments);
    case 1:
      return host_by_address(call, arguments);
    case 2:
      return host_by_name(call, arguments);
    case 3:
      return host_name(call, arguments);
    case 4:
      return name_info(call, arguments);
    default:
      return std::nullopt;
  }
}

}  // namespace vitrine::nt
