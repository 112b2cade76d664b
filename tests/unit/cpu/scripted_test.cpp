#include "cpu/scripted/scripted.h"

#include <gtest/gtest.h>

#include "guest_machine.h"

namespace vitrine::cpu::test {
namespace {

class ScriptedTest : public ::testing::Test {
 protected:
  ScriptedTest()
      : ram(ram::GuestRam::create(16ull << 20).value()),
        tables(ram),
        cpu(make_scripted(ram)),
        space(cpu->create_space(tables.root())) {}
  GuestContext start(Va entry) {
    GuestContext context;
    context.rip = entry;
    return context;
  }
  ram::GuestRam ram;
  PageTables tables;
  std::unique_ptr<Scripted> cpu;
  std::unique_ptr<Space> space;
};

TEST_F(ScriptedTest, ComputingUsesExactlyTheBudgetAndNoMore) {
  const Va entry = cpu->register_program([](ScriptContext& guest) -> Script {
    co_await guest.compute(25);
    co_await guest.pause();
  });
  GuestContext context = start(entry);
  for (int n = 0; n < 2; ++n) {
    const Exit exit = cpu->run(0, *space, context, 10);
    EXPECT_EQ(exit.reason, ExitReason::budget);
    EXPECT_EQ(exit.retired, 10u);
  }
  const Exit exit = cpu->run(0, *space, context, 10);
  EXPECT_EQ(exit.reason, ExitReason::pause);
  EXPECT_EQ(exit.retired, 6u);
}

TEST_F(ScriptedTest, ASystemCallCarriesItsArgumentsAndReturnsRax) {
  u64 answer = 0;
  const Va entry = cpu->register_program([&answer](ScriptContext& guest) -> Script {
    answer = co_await guest.syscall(0x42, 1, 2, 3, 4, 5);
    co_await guest.pause();
  });
  tables.map(0x10000);
  GuestContext context = start(entry);
  context[Gpr::rsp] = 0x10800;
  const Exit exit = cpu->run(0, *space, context, 100);
  EXPECT_EQ(exit.reason, ExitReason::system_call);
  EXPECT_EQ(exit.retired, 1u);
  EXPECT_EQ(context[Gpr::rax], 0x42u);
  EXPECT_EQ(context[Gpr::r10], 1u);
  EXPECT_EQ(context[Gpr::r9], 4u);
  EXPECT_EQ(*reinterpret_cast<u64*>(ram.page(pte::frame(*tables.entry(0x10000, false))) + 0x828), 5u);
  context[Gpr::rax] = 0xC0000022;
  EXPECT_EQ(cpu->run(0, *space, context, 100).reason, ExitReason::pause);
  EXPECT_EQ(answer, 0xC0000022u);
}

TEST_F(ScriptedTest, AnAccessFaultsThroughThePageTablesAndIsRepeated) {
  u64 seen = 0;
  const Va entry = cpu->register_program([&seen](ScriptContext& guest) -> Script {
    co_await guest.store(0x20FFE, 0x1122334455667788);
    seen = co_await guest.load(0x20FFE);
    co_await guest.pause();
  });
  GuestContext context = start(entry);
  Exit exit = cpu->run(0, *space, context, 100);
  EXPECT_EQ(exit.vector, Vector::page_fault);
  EXPECT_EQ(exit.error_code, page_fault::kUser | page_fault::kWrite);
  EXPECT_EQ(exit.fault_address, 0x20FFEu);
  EXPECT_EQ(exit.retired, 0u);
  tables.map(0x20000);
  exit = cpu->run(0, *space, context, 100);
  EXPECT_EQ(exit.fault_address, 0x21000u);
  tables.map(0x21000);
  EXPECT_EQ(cpu->run(0, *space, context, 100).reason, ExitReason::pause);
  EXPECT_EQ(seen, 0x1122334455667788u);
  EXPECT_NE(*tables.entry(0x21000, false) & pte::kDirty, 0u);
}

TEST_F(ScriptedTest, EachThreadHasItsOwnInstanceAndReadsItsOwnRegisters) {
  std::vector<u64> order;
  const Va entry = cpu->register_program([&order](ScriptContext& guest) -> Script {
    for (int n = 0; n < 2; ++n) {
      order.push_back(guest.initial(Gpr::rcx));
      co_await guest.pause();
    }
  });
  GuestContext first = start(entry), second = start(entry);
  first[Gpr::rcx] = 1;
  second[Gpr::rcx] = 2;
  EXPECT_EQ(cpu->live_instances(), 0u);
  for (GuestContext* context : {&first, &second, &second, &first}) (void)cpu->run(0, *space, *context, 5);
  EXPECT_EQ(order, (std::vector<u64>{1, 2, 2, 1}));
  EXPECT_EQ(cpu->live_instances(), 2u);
  cpu->forget(first);
  EXPECT_EQ(cpu->live_instances(), 1u);
}

TEST_F(ScriptedTest, AScriptThatEndsRaisesInvalidOpcodeAndIsGone) {
  const Va entry = cpu->register_program([](ScriptContext& guest) -> Script { co_await guest.compute(1); });
  GuestContext context = start(entry);
  const Exit exit = cpu->run(0, *space, context, 100);
  EXPECT_EQ(exit.vector, Vector::invalid_opcode);
  EXPECT_EQ(exit.retired, 1u);
  EXPECT_EQ(cpu->live_instances(), 0u);
}

TEST_F(ScriptedTest, ARaisedExceptionIsReportedOnce) {
  const Va entry = cpu->register_program([](ScriptContext& guest) -> Script {
    co_await guest.raise(Vector::divide_error);
    co_await guest.pause();
  });
  GuestContext context = start(entry);
  EXPECT_EQ(cpu->run(0, *space, context, 100).vector, Vector::divide_error);
  EXPECT_EQ(cpu->run(0, *space, context, 100).reason, ExitReason::pause);
}

TEST_F(ScriptedTest, AKickEndsTheRun) {
  const Va entry = cpu->register_program([](ScriptContext& guest) -> Script { co_await guest.compute(1000); });
  GuestContext context = start(entry);
  cpu->kick(3);
  EXPECT_EQ(cpu->run(3, *space, context, 10).reason, ExitReason::kicked);
  EXPECT_EQ(cpu->run(3, *space, context, 10).reason, ExitReason::budget);
}

}  // namespace
}  // namespace vitrine::cpu::test
