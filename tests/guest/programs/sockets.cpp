// Sockets over the loopback interface: streams and datagrams, IPv4 and IPv6, blocking, non-blocking, selected events,
// select and WSAPoll, AcceptEx and ConnectEx on a completion port, names.
#include <mswsock.h>
#include <windows.h>
#include <winsock2.h>
#include <ws2tcpip.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "report.h"

namespace {

struct Address {
  sockaddr_storage storage{};
  int bytes = sizeof(storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  unsigned short port() { return reinterpret_cast<sockaddr_in*>(&storage)->sin_port; }
};

Address loopback(int family, unsigned short port_in_network_order = 0) {
  Address a;
  a.storage.ss_family = static_cast<short>(family);
  if (family == AF_INET) {
    auto& v4 = *reinterpret_cast<sockaddr_in*>(&a.storage);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4.sin_port = port_in_network_order;
    a.bytes = sizeof(sockaddr_in);
  } else {
    auto& v6 = *reinterpret_cast<sockaddr_in6*>(&a.storage);
    v6.sin6_addr = in6addr_loopback;
    v6.sin6_port = port_in_network_order;
    a.bytes = sizeof(sockaddr_in6);
  }
  return a;
}

Address name_of(SOCKET s) {
  Address a;
  getsockname(s, a.get(), &a.bytes);
  return a;
}

SOCKET listener(int family) {
  const SOCKET s = socket(family, SOCK_STREAM, 0);
  Address a = loopback(family);
  bind(s, a.get(), a.bytes);
  listen(s, 5);
  return s;
}

SOCKET connected_to(SOCKET server, int family) {
  const SOCKET s = socket(family, SOCK_STREAM, 0);
  Address a = loopback(family, name_of(server).port());
  if (connect(s, a.get(), a.bytes) != 0) std::printf("connect failed %d\n", WSAGetLastError());
  return s;
}

struct Pair {
  SOCKET client, server;
};
Pair make_pair(int family) {
  const SOCKET l = listener(family);
  const SOCKET client = connected_to(l, family);
  const SOCKET server = accept(l, nullptr, nullptr);
  closesocket(l);
  return {client, server};
}

std::string receive_all(SOCKET s) {
  std::string all;
  char buffer[100];
  for (int got; (got = recv(s, buffer, sizeof buffer, 0)) > 0;) all.append(buffer, static_cast<size_t>(got));
  return all;
}

void streams(int family) {
  const SOCKET l = listener(family);
  std::thread echo([l] {
    const SOCKET s = accept(l, nullptr, nullptr);
    const std::string all = receive_all(s);
    send(s, all.c_str(), static_cast<int>(all.size()), 0);
    shutdown(s, SD_SEND);
    closesocket(s);
  });
  const SOCKET c = connected_to(l, family);
  Address peer;
  Report{"peer %d same port %d\n", getpeername(c, peer.get(), &peer.bytes), peer.port() == name_of(l).port()};
  Report{"send %d %d\n", send(c, "hello ", 6, 0), send(c, "world", 5, 0)};
  Report{"shutdown %d, then send %d", shutdown(c, SD_SEND), send(c, "x", 1, 0)};
  Report{" error %d\n", WSAGetLastError()};
  Report{"echo '%s'\n", receive_all(c).c_str()};
  echo.join();
  closesocket(c);
  closesocket(l);
}

void large_transfer() {
  const Pair p = make_pair(AF_INET);
  std::vector<char> data(3'000'000);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 251);
  std::thread sender([&] {
    size_t sent = 0;
    while (sent < data.size()) {
      const int n = send(p.client, data.data() + sent, static_cast<int>(data.size() - sent), 0);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    closesocket(p.client);
  });
  std::vector<char> got;
  std::vector<char> buffer(70'000);
  for (int n; (n = recv(p.server, buffer.data(), static_cast<int>(buffer.size()), 0)) > 0;) {
    got.insert(got.end(), buffer.begin(), buffer.begin() + n);
  }
  sender.join();
  Report{"large: %d bytes, equal %d\n", static_cast<int>(got.size()), got == data};
  closesocket(p.server);
}

void flags() {
  const Pair p = make_pair(AF_INET);
  char buffer[20]{};
  u_long waiting = 0;
  send(p.client, "abcdef", 6, 0);
  Sleep(10);
  Report{"peek %d", recv(p.server, buffer, 3, MSG_PEEK)};
  ioctlsocket(p.server, FIONREAD, &waiting);
  Report{" waiting %lu", waiting};
  Report{" read %d '%.6s'\n", recv(p.server, buffer, 6, MSG_WAITALL), buffer};
  WSABUF parts[2] = {{4, buffer}, {10, buffer + 10}};
  WSABUF out[2] = {{3, const_cast<char*>("one")}, {4, const_cast<char*>("two!")}};
  DWORD sent = 0, got = 0, f = 0;
  Report{"gather %d", WSASend(p.client, out, 2, &sent, 0, nullptr, nullptr)};
  Sleep(10);
  Report{" sent %lu scatter %d", sent, WSARecv(p.server, parts, 2, &got, &f, nullptr, nullptr)};
  std::printf(" got %lu '%.4s' '%.3s'\n", got, buffer, buffer + 10);
  DWORD timeout = 30;
  Report{"timeout %d",
         setsockopt(p.server, SOL_SOCKET, SO_RCVTIMEO, reinterpret_cast<char*>(&timeout), sizeof timeout)};
  Report{" recv %d", recv(p.server, buffer, 1, 0)};
  Report{" error %d\n", WSAGetLastError()};
  closesocket(p.client);
  closesocket(p.server);
}

void closing() {
  Pair p = make_pair(AF_INET);
  char c = 0;
  send(p.client, "unread", 6, 0);
  Sleep(10);
  closesocket(p.server);  // with data that nobody read
  Sleep(10);
  Report{"after a reset recv %d", recv(p.client, &c, 1, 0)};
  Report{" error %d\n", WSAGetLastError()};
  closesocket(p.client);
  p = make_pair(AF_INET);
  closesocket(p.server);
  Sleep(10);
  Report{"after a close recv %d\n", recv(p.client, &c, 1, 0)};
  closesocket(p.client);
  Report{"closed again %d", closesocket(p.client)};
  Report{" error %d\n", WSAGetLastError()};
}

void nonblocking() {
  const SOCKET l = listener(AF_INET);
  u_long on = 1;
  ioctlsocket(l, FIONBIO, &on);
  Report{"accept of nobody %d", accept(l, nullptr, nullptr) == INVALID_SOCKET};
  Report{" error %d\n", WSAGetLastError()};
  const SOCKET c = connected_to(l, AF_INET);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(l, &set);
  timeval wait{5, 0};
  Report{"select %d", select(0, &set, nullptr, nullptr, &wait)};
  const SOCKET s = accept(l, nullptr, nullptr);
  Report{" accepted %d\n", s != INVALID_SOCKET};
  ioctlsocket(c, FIONBIO, &on);
  char buffer[8];
  Report{"recv of nothing %d", recv(c, buffer, 8, 0)};
  Report{" error %d\n", WSAGetLastError()};
  std::vector<char> block(100'000);
  bool full = false;
  for (int i = 0; i < 500 && !full; ++i) full = send(c, block.data(), static_cast<int>(block.size()), 0) < 0;
  Report{"filled %d error %d\n", full, WSAGetLastError()};
  WSAPOLLFD poll[2] = {{c, POLLOUT, 0}, {s, POLLIN, 0}};
  Report{"poll %d", WSAPoll(poll, 2, 1000)};
  std::printf(" out %x in %x\n", poll[0].revents & POLLOUT, poll[1].revents & POLLIN);
  FD_ZERO(&set);
  FD_SET(c, &set);
  wait = {0, 20'000};
  Report{"select for nothing %d\n", select(0, &set, nullptr, nullptr, &wait)};
  closesocket(c);
  closesocket(s);
  closesocket(l);
}

void events() {
  const SOCKET l = listener(AF_INET);
  const HANDLE event = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  const auto next = [event](SOCKET s) -> long {
    if (WaitForSingleObject(event, 2000) != WAIT_OBJECT_0) return -1;
    WSANETWORKEVENTS found{};
    WSAEnumNetworkEvents(s, event, &found);
    return found.lNetworkEvents;
  };
  Report{"select events %d\n", WSAEventSelect(l, event, FD_ACCEPT)};
  const SOCKET c = connected_to(l, AF_INET);
  Report{"accept event %lx\n", next(l)};
  const SOCKET s = accept(l, nullptr, nullptr);
  WSAEventSelect(s, event, FD_READ | FD_CLOSE);
  send(c, "ab", 2, 0);
  Report{"read event %lx\n", next(s)};
  char x;
  recv(s, &x, 1, 0);
  Report{"read event again %lx\n", next(s)};  // a byte is left
  recv(s, &x, 1, 0);
  closesocket(c);
  Report{"close event %lx\n", next(s)};
  closesocket(s);
  closesocket(l);
  CloseHandle(event);
}

template <typename Function>
Function extension(SOCKET s, GUID id) {
  Function function = nullptr;
  DWORD bytes = 0;
  WSAIoctl(s, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &function, sizeof function, &bytes, nullptr, nullptr);
  return function;
}

void completion_port() {
  const HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
  const SOCKET l = listener(AF_INET), accepted = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
  CreateIoCompletionPort(reinterpret_cast<HANDLE>(l), port, 1, 0);
  CreateIoCompletionPort(reinterpret_cast<HANDLE>(c), port, 2, 0);
  const auto accept_ex = extension<LPFN_ACCEPTEX>(l, WSAID_ACCEPTEX);
  const auto connect_ex = extension<LPFN_CONNECTEX>(l, WSAID_CONNECTEX);
  const auto addresses = extension<LPFN_GETACCEPTEXSOCKADDRS>(l, WSAID_GETACCEPTEXSOCKADDRS);
  constexpr DWORD kRoom = sizeof(sockaddr_in) + 16;
  char buffer[10 + 2 * kRoom]{};
  OVERLAPPED accepting{}, connecting{}, receiving{}, sending{};
  DWORD bytes = 0;
  Report{"AcceptEx %d", accept_ex(l, accepted, buffer, 10, kRoom, kRoom, &bytes, &accepting)};
  Report{" error %d\n", WSAGetLastError()};
  Address any = loopback(AF_INET), to = loopback(AF_INET, name_of(l).port());
  bind(c, any.get(), any.bytes);
  const BOOL now = connect_ex(c, to.get(), to.bytes, const_cast<char*>("first"), 5, &bytes, &connecting);
  Report{"ConnectEx %d\n", now || WSAGetLastError() == WSA_IO_PENDING};
  int seen[3]{};
  for (int i = 0; i < 2; ++i) {
    ULONG_PTR key = 0;
    OVERLAPPED* which = nullptr;
    if (!GetQueuedCompletionStatus(port, &bytes, &key, &which, 2000)) break;
    seen[key] = static_cast<int>(bytes);
  }
  std::printf("accepted with %d bytes '%.5s', connected with %d\n", seen[1], buffer, seen[2]);
  sockaddr *local, *remote;
  int local_bytes, remote_bytes;
  addresses(buffer, 10, kRoom, kRoom, &local, &local_bytes, &remote, &remote_bytes);
  std::printf("addresses %d %d local port right %d\n", local_bytes, remote_bytes,
              reinterpret_cast<sockaddr_in*>(local)->sin_port == name_of(l).port());
  setsockopt(accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, reinterpret_cast<const char*>(&l), sizeof l);
  CreateIoCompletionPort(reinterpret_cast<HANDLE>(accepted), port, 3, 0);
  WSABUF in{10, buffer}, out{6, const_cast<char*>("second")};
  DWORD f = 0;
  Report{"WSARecv %d", WSARecv(accepted, &in, 1, nullptr, &f, &receiving, nullptr)};
  Report{" error %d\n", WSAGetLastError()};
  WSASend(c, &out, 1, nullptr, 0, &sending, nullptr);
  for (int i = 0; i < 2; ++i) {
    ULONG_PTR key = 0;
    OVERLAPPED* which = nullptr;
    if (!GetQueuedCompletionStatus(port, &bytes, &key, &which, 2000)) break;
    if (key == 3) std::printf("received %lu '%.6s'\n", bytes, buffer);
  }
  Report{"WSARecv %d", WSARecv(accepted, &in, 1, nullptr, &f, &receiving, nullptr)};
  Report{" cancel %d", CancelIoEx(reinterpret_cast<HANDLE>(accepted), &receiving)};
  ULONG_PTR key = 0;
  OVERLAPPED* which = nullptr;
  Report{" packet %d", GetQueuedCompletionStatus(port, &bytes, &key, &which, 2000)};
  Report{" error %lu same %d\n", GetLastError(), which == &receiving};
  closesocket(c);
  closesocket(accepted);
  closesocket(l);
  CloseHandle(port);
}

void datagrams(int family) {
  const SOCKET a = socket(family, SOCK_DGRAM, 0), b = socket(family, SOCK_DGRAM, 0);
  Address where = loopback(family);
  bind(b, where.get(), where.bytes);
  Address to = name_of(b);
  Report{"sendto %d", sendto(a, "ping", 4, 0, to.get(), to.bytes)};
  char buffer[64]{};
  Address from;
  Report{" recvfrom %d '%.4s'", recvfrom(b, buffer, sizeof buffer, 0, from.get(), &from.bytes), buffer};
  std::printf(" address %d from its port %d\n", from.bytes, from.port() == name_of(a).port());
  sendto(b, "a long answer", 13, 0, from.get(), from.bytes);
  Report{"cut %d", recv(a, buffer, 6, 0)};
  Report{" error %d '%.6s'\n", WSAGetLastError(), buffer};
  Report{"connect %d", connect(a, to.get(), to.bytes)};
  Report{" send %d recv %d\n", send(a, "", 0, 0), recv(b, buffer, sizeof buffer, 0)};
  closesocket(a);
  closesocket(b);
}

void both_families() {
  const SOCKET l = socket(AF_INET6, SOCK_STREAM, 0);
  DWORD only = 7;
  int bytes = sizeof only;
  getsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, reinterpret_cast<char*>(&only), &bytes);
  std::printf("v6 only %lu\n", only);
  only = 0;
  setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, reinterpret_cast<char*>(&only), sizeof only);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  bind(l, reinterpret_cast<sockaddr*>(&any), sizeof any);
  listen(l, 1);
  const SOCKET c = connected_to(l, AF_INET);
  sockaddr_in6 peer{};
  int length = sizeof peer;
  const SOCKET s = accept(l, reinterpret_cast<sockaddr*>(&peer), &length);
  std::printf("accepted %d mapped %d\n", s != INVALID_SOCKET, IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
  closesocket(c);
  closesocket(s);
  closesocket(l);
}

void refusals() {
  const SOCKET l = listener(AF_INET);
  Address taken = name_of(l);
  const SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
  Report{"bind to a used port %d", bind(s, taken.get(), taken.bytes)};
  Report{" error %d\n", WSAGetLastError()};
  closesocket(l);
  Report{"connect to nobody %d", connect(s, taken.get(), taken.bytes)};
  Report{" error %d\n", WSAGetLastError()};
  char c;
  Report{"recv unconnected %d", recv(s, &c, 1, 0)};
  Report{" error %d\n", WSAGetLastError()};
  Report{"listen unbound %d", listen(socket(AF_INET, SOCK_STREAM, 0), 1)};
  Report{" error %d\n", WSAGetLastError()};
  int type = 0, bytes = sizeof type;
  Report{"type %d", getsockopt(s, SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type), &bytes)};
  std::printf(" %d\n", type);
  closesocket(s);
}

void names() {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  Report{"localhost %d", getaddrinfo("localhost", "80", &hints, &found)};
  const auto* v4 = reinterpret_cast<sockaddr_in*>(found->ai_addr);
  std::printf(" %s port %d\n", inet_ntoa(v4->sin_addr), ntohs(v4->sin_port));
  freeaddrinfo(found);
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_family = AF_INET6;
  Report{"number %d", getaddrinfo("::1", nullptr, &hints, &found)};
  std::printf(" family %d\n", found->ai_family);
  freeaddrinfo(found);
  Report{"a name that must be a number %d\n", getaddrinfo("localhost", nullptr, &hints, &found)};
}

}  // namespace

int main() {
  WSADATA data;
  Report{"startup %d\n", WSAStartup(MAKEWORD(2, 2), &data)};
  streams(AF_INET);
  streams(AF_INET6);
  large_transfer();
  flags();
  closing();
  nonblocking();
  events();
  completion_port();
  datagrams(AF_INET);
  datagrams(AF_INET6);
  both_families();
  refusals();
  names();
  Report{"cleanup %d\n", WSACleanup()};
}
