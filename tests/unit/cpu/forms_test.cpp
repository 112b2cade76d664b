// Every form of every instruction that the allow-list runs, with operands of every kind, natively and translated: the
// same registers, flags, vector and x87 state and memory afterwards, the same fault at the same place before. Forms are
// found by walking the decoder's tables; none is left out, and the few that cannot be compared are counted and named
// with the reason. VITRINE_FUZZ_SECONDS=n sweeps for so long; VITRINE_FUZZ_SEED=n starts elsewhere;
// VITRINE_FUZZ_FORM=text takes matching forms only.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>

#include "form_instance.h"

namespace vitrine::cpu::test {
namespace {
using translator::Form;

// Many accesses: processors differ in which fault of several comes first, in its address, in whether a masked-off byte
// may fault, and in what has changed by then. Each has tests of its own.
bool touches_in_its_own_order(const translator::Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
      return true;
    default:
      return false;
  }
}

bool is_indirect(Form form) { return form == Form::jump || form == Form::call || form == Form::ret; }

class Forms : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
    if (!native_.usable()) GTEST_SKIP() << "the fixed test addresses are taken";
    const std::vector<u8> breakpoints(NativeRunner::kCodeBytes, 0xCC);
    std::memcpy(reinterpret_cast<void*>(NativeRunner::kCode), breakpoints.data(), breakpoints.size());
    for (u64 at = 0; at < NativeRunner::kCodeBytes; at += kPageSize)
      std::memset(twin_.machine().byte(NativeRunner::kCode + at), 0xCC, kPageSize);
    const char* only = std::getenv("VITRINE_FUZZ_FORM");
    for (CodeForm& form : list_forms(decoder_)) {
      if (only == nullptr || form.name.find(only) != std::string::npos) forms_.push_back(std::move(form));
    }
  }

  // Runs the guest to its first exception in pieces of `slice` instructions.
  Exit run_guest(u64 slice) {
    for (u32 n = 0; n < 1000; ++n) {
      const Exit exit = twin_.machine().run(slice);
      if (exit.reason != ExitReason::budget) return exit;
    }
    return {};
  }

  void poke(Va at, std::vector<u8> code) {
    code.resize(64, 0xCC);
    twin_.machine().poke(at, code);
  }

  [[nodiscard]] std::string compare(const Instance& instance, const NativeState& native, const NativeEnd& end,
                                    u64 slice) {
    twin_.load_memory(instance.memory);
    twin_.load(instance.state, instance.at);
    const Exit exit = run_guest(slice);
    std::string wrong;
    if (exit.reason != ExitReason::exception) return fmt::format("exit reason {}\n", static_cast<int>(exit.reason));
    // A jump to an address that is not canonical: at the jump on some processors, at the target on others, and here.
    if (is_indirect(instance.instruction.form) && end.vector == 13 && exit.vector == Vector::general_protection)
      return {};
    // Neither aligned nor canonical: which of the two comes first differs.
    if (instance.instruction.memory_aligned && end.vector == 13 && exit.vector == Vector::stack_fault) return {};
    if (end.vector != 3 && touches_in_its_own_order(instance.instruction)) return {};
    if (static_cast<u64>(exit.vector) != end.vector)
      wrong += fmt::format("vector: native {} guest {}\n", end.vector, static_cast<int>(exit.vector));
    if (twin_.machine().context.rip != end.rip)
      wrong += fmt::format("rip: native {:x} guest {:x}\n", end.rip, twin_.machine().context.rip);
    const bool faulted = end.vector == 14;
    // Past the highest page of a process the host's tables are not the guest's: only there is not the same as not
    // allowed.
    const u64 compared = faulted && end.fault_address >= 0x7FFF'FFFF'F000 ? ~u64{page_fault::kProtection} : ~0ull;
    if (exit.vector != Vector::breakpoint && ((exit.error_code ^ end.error_code) & compared) != 0)
      wrong += fmt::format("error code: native {:x} guest {:x}\n", end.error_code, exit.error_code);
    if (faulted && exit.fault_address != end.fault_address)
      wrong += fmt::format("fault address: native {:x} guest {:x}\n", end.fault_address, exit.fault_address);
    const u32 undefined = end.vector == 3 ? instance.undefined_flags : 0;
    std::vector<Ignored> ignored = instance.ignored;
    // A processor pushes before it finds that the new frame is not there; here a fault leaves the memory alone as well.
    if (instance.instruction.mnemonic() == ZYDIS_MNEMONIC_ENTER && end.vector != 3)
      ignored.push_back({instance.state.gpr[4] - 512, 512});
    return wrong + twin_.differences(native, undefined, ignored);
  }

  // Empty if all is well.
  [[nodiscard]] std::string check(const Instance& instance) {
    poke(instance.at, instance.code);
    std::memset(reinterpret_cast<void*>(instance.at), 0xCC, 64);
    NativeState native = instance.state;
    const NativeEnd end = GuestTwin::run_natively(native_, instance.code, instance.at, instance.memory, native);
    ++ends_[end.vector];
    // A POPF may have set AC: the host's kernel lets it check alignment, the guest's does not.
    if (end.vector == static_cast<u64>(Vector::alignment_check)) return {};
    std::string wrong = compare(instance, native, end, 1000);
    if (wrong.empty()) wrong = compare(instance, native, end, 1);
    poke(instance.at, {});
    std::memset(reinterpret_cast<void*>(instance.at), 0xCC, 64);
    if (wrong.empty()) return wrong;
    return disassemble(instance.code, instance.at) +
           fmt::format("native vector {} error {:x} address {:x}\n", end.vector, end.error_code, end.fault_address) +
           wrong;
  }

  NativeRunner native_;
  GuestTwin twin_;
  translator::Decoder decoder_;
  std::vector<CodeForm> forms_;
  std::map<u64, u64> ends_;
};

TEST_F(Forms, EachDoesTheSameTranslatedAndNativelyAndFaultsTheSame) {
  const char* seconds = std::getenv("VITRINE_FUZZ_SECONDS");
  const char* first = std::getenv("VITRINE_FUZZ_SEED");
  const u64 seed = first != nullptr ? std::strtoull(first, nullptr, 0) : 1;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds == nullptr ? 0 : std::atoi(seconds));
  std::map<std::string, u64> skipped;
  u64 covered = 0, instances = 0, failures = 0;
  std::vector<bool> seen(forms_.size());
  u64 sweep = 0;
  do {
    for (std::size_t n = 0; n < forms_.size(); ++n) {
      const CodeForm& form = forms_[n];
      if (const char* reason = not_comparable(form)) {
        if (sweep == 0) ++skipped[reason];
        continue;
      }
      InstanceGenerator generator(seed + sweep * 1'000'003 + n * 7919);
      for (const Place place : {Place::data, Place::crossing, Place::edge, Place::non_canonical}) {
        Instance instance;
        if (!generator.make(form, place, instance)) continue;
        ++instances;
        if (!seen[n]) ++covered;
        seen[n] = true;
        const std::string wrong = check(instance);
        if (wrong.empty()) continue;
        ADD_FAILURE() << form.name << " sweep " << sweep << "\n" << wrong;
        if (++failures >= 200) GTEST_FAIL() << "enough";
        break;
      }
    }
    ++sweep;
  } while (std::chrono::steady_clock::now() < end);
  u64 left = 0;
  for (std::size_t n = 0; n < forms_.size(); ++n) {
    if (not_comparable(forms_[n]) == nullptr && !seen[n]) {
      ++left;
      ADD_FAILURE() << forms_[n].name << " is allowed and was never generated";
    }
  }
  std::cout << forms_.size() << " forms: " << covered << " compared in " << instances << " instances, " << left
            << " not generated\n";
  for (const auto& [reason, count] : skipped) std::cout << "  not compared: " << count << ": " << reason << "\n";
  for (const auto& [vector, count] : ends_) std::cout << "  ended by vector " << vector << ": " << count << "\n";
}

}  // namespace
}  // namespace vitrine::cpu::test
