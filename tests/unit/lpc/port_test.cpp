// Connecting, asking, telling, and the pool that ports and messages take.
#include "lpc/port.h"

#include "../ke/dispatcher_bench.h"
#include "../ob/objects_test.h"

namespace vitrine::lpc {
namespace {

constexpr std::u16string_view kName = u"\\TestPort";
constexpr ClientId kClient{8, 12};

struct TestServer : Server {
  std::vector<ClientId> connected;
  std::vector<u32> apis;
  Status connect_status = Status::success, request_status = Status::success;
  Status connect(PortObject& port, ClientId client) override {
    EXPECT_EQ(port.kind, PortKind::server);
    connected.push_back(client);
    return connect_status;
  }
  Status request(PortObject& port, const Request& request) override {
    EXPECT_EQ(port.kind, PortKind::server);
    apis.push_back(request.api);
    return request_status;
  }
};

Message datagram(u32 api) {
  Message message;
  message.api = api;
  return message;
}

struct PortTest : ob::ObjectTest {
  explicit PortTest(const char* profile_name = "nt61-x64") : ObjectTest(profile_name), bench(1, profile_name) {}
  ~PortTest() override { bench.stop(); }

  Status connect_status(std::u16string_view name) {
    const auto made = ports.connect(name, kClient);
    return made ? Status::success : made.error();
  }

  ke::Bench bench;
  Ports ports{objects, bench.kernel, bench.machine};
  TestServer server;
};
struct PortTest52X64 : PortTest {
  PortTest52X64() : PortTest("nt52-x64") {}
};
struct PortTest52X86 : PortTest {
  PortTest52X86() : PortTest("nt52-x86") {}
};

TEST_F(PortTest, AConnectionHasTwoEndsAndTheServerIsAskedFirst) {
  const auto port = ports.create(kName, server);
  ASSERT_TRUE(port.has_value());
  const auto made = ports.connect(kName, kClient);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(server.connected, std::vector{kClient});
  EXPECT_EQ(made->client->kind, PortKind::client);
  EXPECT_EQ(made->client->other_end, made->server.get());
  EXPECT_EQ(made->server->other_end, made->client.get());
  EXPECT_EQ(made->client->connection.get(), port->get());
  ports.disconnect(**port);
}

TEST_F(PortTest, AServerThatRefusesLeavesNothingBehind) {
  const auto port = ports.create(kName, server);
  const u64 blocks = pool.usage(ex::PoolType::nonpaged).blocks + pool.usage(ex::PoolType::paged).blocks;
  server.connect_status = Status::access_denied;
  EXPECT_EQ(connect_status(kName), Status::access_denied);
  EXPECT_EQ(pool.usage(ex::PoolType::nonpaged).blocks + pool.usage(ex::PoolType::paged).blocks, blocks);
  EXPECT_EQ((*port)->connection_id, 0u);
  ports.disconnect(**port);
}

TEST_F(PortTest, OnlyAConnectionPortCanBeConnectedTo) {
  EXPECT_EQ(connect_status(kName), Status::object_name_not_found);
  const ob::Ref<ob::TestObject> other = make({.attributes = named(u"\\Other")});
  ASSERT_TRUE(objects.insert(other, named(u"\\Other"), {}).has_value());
  EXPECT_EQ(connect_status(u"\\Other"), Status::object_type_mismatch);
}

TEST_F(PortTest, ARequestGoesToTheServerAndBringsItsStatusBack) {
  const auto port = ports.create(kName, server);
  const auto made = ports.connect(kName, kClient);
  server.request_status = Status::illegal_function;
  EXPECT_EQ(ports.request(*made->client, {.api = 7, .sender = kClient}), Status::illegal_function);
  EXPECT_EQ(server.apis, std::vector<u32>{7});
  EXPECT_EQ(ports.statistics().requests, 1u);
  ports.disconnect(**port);
}

TEST_F(PortTest, AServerThatIsGoneRefusesEverything) {
  const auto port = ports.create(kName, server);
  auto made = ports.connect(kName, kClient);
  ports.disconnect(**port);
  EXPECT_EQ(ports.request(*made->client, {}), Status::port_disconnected);
  EXPECT_EQ(ports.send(**port, {}), Status::port_disconnected);
  EXPECT_NE(connect_status(kName), Status::success);
  EXPECT_TRUE(server.apis.empty());
}

TEST_F(PortTest, AClientWhoseServerEndIsGoneIsDisconnected) {
  const auto port = ports.create(kName, server);
  auto made = ports.connect(kName, kClient);
  made->server.reset();
  EXPECT_EQ(ports.request(*made->client, {}), Status::port_disconnected);
  ports.disconnect(**port);
}

TEST_F(PortTest, DatagramsQueueInOrderAndTheSemaphoreCountsThem) {
  const auto port = ports.create(kName, server);
  for (const u32 api : {1u, 2u, 3u}) EXPECT_EQ(ports.send(**port, datagram(api)), Status::success);
  EXPECT_EQ((*port)->arrivals.header.signal_state, 3);
  EXPECT_EQ(ports.statistics().peak_queued, 3u);
  for (const u32 api : {1u, 2u, 3u}) EXPECT_EQ(ports.receive(**port)->api, api);
  EXPECT_FALSE(ports.receive(**port).has_value());
  EXPECT_EQ(ports.statistics().queued, 0u);
  ports.disconnect(**port);
}

TEST_F(PortTest, ADatagramToAClientPortReachesItsServersQueue) {
  const auto port = ports.create(kName, server);
  const auto made = ports.connect(kName, kClient);
  EXPECT_EQ(ports.send(*made->client, datagram(5)), Status::success);
  EXPECT_EQ((*port)->queue.size(), 1u);
  ports.disconnect(**port);
  EXPECT_TRUE((*port)->queue.empty()) << "messages go with the server";
  EXPECT_EQ(pool.tags().size() > 0 ? ports.statistics().queued : 0, 0u);
}

// A queued message takes the pool of NT's, and gives it back.
u64 bytes_of_a_message(PortTest& test) {
  const auto port = test.ports.create(kName, test.server);
  const u64 before = test.pool.usage(ex::PoolType::paged).bytes;
  EXPECT_EQ(test.ports.send(**port, {}), Status::success);
  const u64 taken = test.pool.usage(ex::PoolType::paged).bytes - before;
  EXPECT_TRUE(test.ports.receive(**port).has_value());
  EXPECT_EQ(test.pool.usage(ex::PoolType::paged).bytes, before);
  test.ports.disconnect(**port);
  return taken;
}
u64 bytes_of_a_connection(PortTest& test, ex::PoolType type) {
  const auto port = test.ports.create(kName, test.server);
  const u64 before = test.pool.usage(type).bytes;
  const auto made = test.ports.connect(kName, kClient);
  const u64 taken = test.pool.usage(type).bytes - before;
  test.ports.disconnect(**port);
  return taken;
}

// KALPC_MESSAGE is 0x100 bytes, ALPC_PORT 0x1A0 [VOL win7_sp1_x64].
TEST_F(PortTest, SizesIn61AreThoseOfAlpc) {
  EXPECT_EQ(profile.sizes.lpc_port, 0x1A0u);
  EXPECT_EQ(bytes_of_a_message(*this), pool.rounded_bytes(0x100 + 0x30));
  EXPECT_EQ(bytes_of_a_connection(*this, ex::PoolType::nonpaged), 2 * pool.rounded_bytes(0x30 + 0x1A0));
}

// LPCP_MESSAGE is 0x50 bytes with its PORT_MESSAGE, LPCP_PORT_OBJECT 0x100 [VOL win2003_sp1_x64].
TEST_F(PortTest52X64, SizesIn52AreThoseOfLpc) {
  EXPECT_EQ(profile.sizes.lpc_port, 0x100u);
  EXPECT_EQ(bytes_of_a_message(*this), pool.rounded_bytes(0x50 + 0x30));
  EXPECT_EQ(bytes_of_a_connection(*this, ex::PoolType::paged), 2 * pool.rounded_bytes(0x30 + 0x100));
}

// 0x30 and 0xA4 [VOL win2003_sp1_x86].
TEST_F(PortTest52X86, SizesOnX86AreSmaller) {
  EXPECT_EQ(profile.sizes.lpc_port, 0xA4u);
  EXPECT_EQ(bytes_of_a_message(*this), pool.rounded_bytes(0x30 + 0x20));
  EXPECT_EQ(bytes_of_a_connection(*this, ex::PoolType::paged), 2 * pool.rounded_bytes(0x18 + 0xA4));
}

}  // namespace
}  // namespace vitrine::lpc
