// A second oracle for faults, which needs no host to compare with: an instruction that faults has changed nothing, and
// once the kernel has put its pages right it ends as if they had been right from the start. Every form that runs, with
// operands at the edges of missing and read-only pages; those that the host cannot judge as well.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "form_instance.h"

namespace vitrine::cpu::test {
namespace {
using translator::Form;

constexpr Va kEdge = NativeRunner::kEdge, kData = NativeRunner::kData;
constexpr u64 kEdgePages = NativeRunner::kEdgeBytes / kPageSize;

struct Outcome {
  Exit exit;
  GuestContext context;
  std::vector<u8> memory;
};

class Restart : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
    for (u64 at = 0; at < NativeRunner::kCodeBytes; at += kPageSize) {
      guest_.tables.map(NativeRunner::kCode + at);
      std::memset(guest_.byte(NativeRunner::kCode + at), 0xCC, kPageSize);
    }
    for_each_page([&](Va page) {
      guest_.tables.map(page, pte::kWrite | pte::kUser | pte::kNoExecute);
      (void)guest_.tables.allocate();  // neighbours in guest memory are not neighbours on the host
    });
  }

  static void for_each_page(const auto& visit) {
    for (u64 at = 0; at < NativeRunner::kDataBytes; at += kPageSize) visit(kData + at);
    for (u64 at = 0; at < NativeRunner::kEdgeBytes; at += kPageSize) visit(kEdge + at);
  }

  // The edge: pages 1 and 4 missing, page 2 read-only; or all there.
  void set_edge(bool whole) {
    for (u64 n = 0; n < kEdgePages; ++n) {
      const bool missing = n == 1 || n == 4, read_only = n == 2;
      const u64 taken = missing ? pte::kPresent : read_only ? pte::kWrite : 0;
      if (taken != 0) guest_.protect(kEdge + n * kPageSize, whole ? taken : 0, whole ? 0 : taken);
    }
  }

  void load(const Instance& instance) {
    u64 offset = 0;
    for_each_page([&](Va page) {
      std::memcpy(guest_.byte(page), instance.memory.data() + offset, kPageSize);
      offset += kPageSize;
    });
    guest_.context = GuestTwin::context_of(instance.state, instance.at);
  }

  [[nodiscard]] Outcome take(const Exit& exit) {
    Outcome outcome{exit, guest_.context, {}};
    for_each_page([&](Va page) {
      outcome.memory.insert(outcome.memory.end(), guest_.byte(page), guest_.byte(page) + kPageSize);
    });
    return outcome;
  }

  [[nodiscard]] static std::string difference(const Outcome& a, const Outcome& b, u64 flags) {
    std::string wrong;
    if (a.context.gpr != b.context.gpr) wrong += "general registers\n";
    if (((a.context.rflags ^ b.context.rflags) & flags) != 0)
      wrong += fmt::format("flags {:x} {:x}\n", a.context.rflags, b.context.rflags);
    for (std::size_t n = 0; n < a.context.xsave.size() && wrong.empty(); ++n) {
      if (a.context.xsave[n] != b.context.xsave[n])
        wrong += fmt::format("state image, byte {}: {:x} {:x}\n", n, static_cast<u32>(a.context.xsave[n]),
                             static_cast<u32>(b.context.xsave[n]));
    }
    if (a.memory != b.memory) wrong += "memory\n";
    return wrong;
  }

  [[nodiscard]] static bool is_page_fault(const Exit& exit) {
    return exit.reason == ExitReason::exception && exit.vector == Vector::page_fault;
  }
  // These may leave part of their work done (SDM vol. 2), and go on from there.
  [[nodiscard]] static bool makes_progress(const translator::Instruction& instruction) {
    return instruction.z.meta.category == ZYDIS_CATEGORY_AVX2GATHER || instruction.form == Form::string;
  }

  // Empty if all is well.
  [[nodiscard]] std::string check(const Instance& instance) {
    constexpr u64 kWithoutResume = ~u64{1u << 16};
    guest_.poke(instance.at, instance.code);
    load(instance);
    set_edge(true);
    const Outcome expected = take(guest_.run(1000));
    if (is_page_fault(expected.exit)) return {};  // reaches beyond the edge
    load(instance);
    const Outcome before = take({});
    set_edge(false);
    Exit exit = guest_.run(1000);
    for (u32 fixed = 0; is_page_fault(exit); ++fixed) {
      ++faults_;
      const Outcome after = take(exit);
      const u64 page = (exit.fault_address - kEdge) / kPageSize;
      if (guest_.context.rip != instance.at + instance.offset) return "fault elsewhere\n";
      if (page >= kEdgePages || fixed > 3) return fmt::format("fault at {:x}\n", exit.fault_address);
      // A comparison may come before the instruction.
      std::string wrong = difference(before, after, instance.offset == 0 ? kWithoutResume : 0);
      if (!wrong.empty() && !makes_progress(instance.instruction)) return "changed by a fault: " + wrong;
      guest_.protect(kEdge + page * kPageSize, page == 2 ? pte::kWrite : pte::kPresent, 0);
      exit = guest_.run(1000);
    }
    const Outcome end = take(exit);
    if (exit.reason != expected.exit.reason || exit.vector != expected.exit.vector ||
        end.context.rip != expected.context.rip)
      return fmt::format("ends by vector {} at {:x}, not {} at {:x}\n", static_cast<int>(exit.vector), end.context.rip,
                         static_cast<int>(expected.exit.vector), expected.context.rip);
    const std::string wrong = difference(end, expected, kWithoutResume);
    return wrong.empty() ? wrong : "different after its faults: " + wrong;
  }

  GuestMachine guest_;
  u64 faults_ = 0;
};

TEST_F(Restart, AFaultChangesNothingAndTheInstructionThenEndsAsIfThereHadBeenNone) {
  const char* const first = std::getenv("VITRINE_FUZZ_SEED");
  const u64 seed = first != nullptr ? std::strtoull(first, nullptr, 0) : 1;
  const std::vector<CodeForm> forms = list_forms(translator::Decoder{});
  u64 instances = 0, failures = 0;
  for (std::size_t n = 0; n < forms.size() && failures < 50; ++n) {
    InstanceGenerator generator(seed + n * 7919);
    Instance instance;
    if (!generator.make(forms[n], Place::edge, instance)) continue;
    ++instances;
    const std::string wrong = check(instance);
    guest_.poke(instance.at, std::vector<u8>(64, 0xCC));
    if (wrong.empty()) continue;
    ++failures;
    ADD_FAILURE() << forms[n].name << "\n" << disassemble(instance.code, instance.at) << wrong;
  }
  EXPECT_GT(faults_, instances / 10) << "the edge is where operands lie";
  std::cout << instances << " instances, " << faults_ << " page faults\n";
}

}  // namespace
}  // namespace vitrine::cpu::test
