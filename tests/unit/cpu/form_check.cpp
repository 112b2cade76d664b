#include "form_check.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "emulated.h"

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

// Whether the variable is "kvm"; `problem`: why that cannot be.
bool asks_for_kvm(const char* variable, std::string& problem) {
  const char* const value = std::getenv(variable);
  if (value == nullptr) return false;
  problem = std::string_view(value) == "kvm" ? kvm_problem() : fmt::format("{} is kvm, or not set", variable);
  return true;
}

bool is_indirect(Form form) { return form == Form::jump || form == Form::call || form == Form::ret; }

// Where QEMU's processor differs from every real one; null: it need not. Found by this very comparison, with KVM in
// QEMU 7.2 as the oracle. (That the back end brings a guest in and out as the host's processes get in and out is
// another comparison, VITRINE_FUZZ_GUEST, and needs none of this: both sides run on the same processor.)
const char* emulator_difference(const Instance& instance, const Exit& exit, const NativeEnd& end) {
  const translator::Instruction& instruction = instance.instruction;
  const auto native = static_cast<Vector>(end.vector);
  if (instruction.x87) return "x87: no exceptions, flags of FCOMI, results before the fault of a store";
  if (native != Vector::breakpoint && exit.vector != Vector::breakpoint)
    return "faults: order of accesses, #GP for #SS, flags that have changed";
  if (native == Vector::breakpoint && exit.vector == Vector::simd_error) return "SSE exceptions do not come";
  const ZydisDecodedOperand& first = instruction.operands[0];
  const bool immediate = first.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_RET && immediate && (first.imm.value.u & 0x8000) != 0)
    return "RET imm16 extends the sign";
  if (native != Vector::breakpoint) return "more is read than the operand, at the end of a page";
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_ENTER:
      return "ENTER of a nested level";
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
      return "FXSAVE: the x87 pointers";
    case ZYDIS_MNEMONIC_CVTPI2PS:
    case ZYDIS_MNEMONIC_CVTPI2PD:
      return "CVTPI2PS and CVTPI2PD from memory touch the x87 registers";
    case ZYDIS_MNEMONIC_CLFLUSH:
      return "CLFLUSH never faults";
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
      return "LDMXCSR and FXRSTOR take reserved bits of MXCSR";
    case ZYDIS_MNEMONIC_MOVBE:
    case ZYDIS_MNEMONIC_CRC32:
      if ((instruction.z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0 && instruction.z.raw.rex.W != 0)
        return "MOVBE and CRC32 with 66 and REX.W are of 16 bits";
      break;
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CMPXCHG16B:
      return "CMPXCHG8B and CMPXCHG16B lose the flags that they leave alone";
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
      if (instruction.memory.base < 0 && instruction.memory.index < 0)
        return "SHLD and SHRD by a constant take an absolute address for one less";
      break;
    default:
      break;
  }
  if (instruction.memory_aligned && exit.vector == Vector::general_protection)
    return "SSE operands that are not aligned";
  const ZydisDecodedOperand& second = instruction.operands[1];
  const bool gathers = instruction.z.operand_count_visible >= 2 && second.type == ZYDIS_OPERAND_TYPE_MEMORY &&
                       second.mem.type == ZYDIS_MEMOP_TYPE_VSIB;
  if (gathers && ZydisRegisterGetId(second.mem.index) == 4) return "gathers by XMM4 or YMM4 take other elements";
  return nullptr;
}

// The same where KVM's guest runs against the host: both on QEMU's processor, which in the host's process loses the
// flags of the instruction before when one of these faults.
const char* emulated_host_difference(const Instance& instance, const NativeEnd& end) {
  const translator::Instruction& instruction = instance.instruction;
  const bool rotates = instruction.mnemonic() == ZYDIS_MNEMONIC_RCL || instruction.mnemonic() == ZYDIS_MNEMONIC_RCR;
  const bool computes_flags = rotates || instruction.z.meta.category == ZYDIS_CATEGORY_SETCC;
  if (computes_flags && end.vector != static_cast<u64>(Vector::breakpoint))
    return "RCL, RCR and SETcc that fault lose the flags";
  // Both sides compute with what changes from boot to boot: a pointer of the emulated host's kernel has been seen.
  const ZydisDecodedOperand& source = instruction.operands[1];
  const bool from_register = instruction.z.operand_count_visible >= 2 && source.type == ZYDIS_OPERAND_TYPE_REGISTER;
  if (from_register && (source.reg.value == ZYDIS_REGISTER_MM0 || source.reg.value == ZYDIS_REGISTER_MM1))
    return "MMX from mm0 or mm1 takes its source from elsewhere";
  return nullptr;
}

// VROUNDSS and VROUNDSD with VEX.L, which processors ignore, end QEMU 7.2 by an assertion in its translator.
bool ends_emulator(const Instance& instance) {
  const ZydisMnemonic mnemonic = instance.instruction.mnemonic();
  if (mnemonic != ZYDIS_MNEMONIC_VROUNDSS && mnemonic != ZYDIS_MNEMONIC_VROUNDSD) return false;
  return instance.instruction.z.raw.vex.L != 0;
}

// Faults that processors report in more than one way.
bool may_differ(const Instance& instance, const Exit& exit, const NativeEnd& end) {
  if (end.vector == static_cast<u64>(Vector::breakpoint)) return false;
  // A POPF may have set AC: the host's kernel lets it check alignment, the guest's does not.
  if (end.vector == static_cast<u64>(Vector::alignment_check)) return true;
  if (touches_in_its_own_order(instance.instruction)) return true;
  if (end.vector != static_cast<u64>(Vector::general_protection)) return false;
  // A jump to an address that is not canonical: at the jump on some processors, at the target on others, and here.
  if (is_indirect(instance.instruction.form) && exit.vector == Vector::general_protection) return true;
  // Neither aligned nor canonical: which of the two comes first differs.
  return instance.instruction.memory_aligned && exit.vector == Vector::stack_fault;
}

}  // namespace

InstanceCheck::InstanceCheck() {
  BackendKind guest = BackendKind::translator;
  if (asks_for_kvm("VITRINE_FUZZ_GUEST", problem_) && problem_.empty()) guest = BackendKind::kvm;
  twin_ = std::make_unique<GuestTwin>(guest);
  if (guest == BackendKind::translator) hot_ = std::make_unique<GuestTwin>(BackendKind::hot_translator);
  emulated_ = emulated();
  single_steps_ = guest == BackendKind::translator;  // KVM counts no instructions
  if (problem_.empty() && asks_for_kvm("VITRINE_FUZZ_ORACLE", problem_)) {
    if (problem_.empty()) oracle_ = std::make_unique<GuestTwin>(BackendKind::kvm);
  }
  if (!problem().empty()) return;
  std::memset(reinterpret_cast<void*>(NativeRunner::kCode), 0xCC, NativeRunner::kCodeBytes);
  for (GuestTwin* guest : {twin_.get(), hot_.get(), oracle_.get()}) {
    for (u64 at = 0; guest != nullptr && at < NativeRunner::kCodeBytes; at += kPageSize)
      std::memset(guest->machine().byte(NativeRunner::kCode + at), 0xCC, kPageSize);
  }
}

std::string InstanceCheck::problem() const {
  return native_.usable() ? problem_ : "the fixed test addresses are taken";
}

// Runs the guest to its first exception in pieces of `slice` instructions.
Exit InstanceCheck::run_guest(GuestTwin& twin, u64 slice) {
  for (u32 n = 0; n < 1000 || !single_steps_; ++n) {
    const Exit exit = twin.machine().run(slice);
    if (exit.reason != ExitReason::budget) return exit;
  }
  return {};
}

void InstanceCheck::poke(Va at, std::vector<u8> code) {
  code.resize(64, 0xCC);
  twin_->machine().poke(at, code);
  if (hot_ != nullptr) hot_->machine().poke(at, code);
  if (oracle_ != nullptr) oracle_->machine().poke(at, code);
}

std::string InstanceCheck::compare_fault(const Exit& exit, const NativeEnd& end) const {
  std::string wrong;
  if (static_cast<u64>(exit.vector) != end.vector)
    wrong += fmt::format("vector: native {} guest {}\n", end.vector, static_cast<int>(exit.vector));
  const bool faulted = end.vector == static_cast<u64>(Vector::page_fault);
  // Past the highest page of a process the host's tables are not the guest's: only there is not the same as not
  // allowed.
  const u64 compared = faulted && end.fault_address >= 0x7FFF'FFFF'F000 ? ~u64{page_fault::kProtection} : ~0ull;
  if (exit.vector != Vector::breakpoint && ((exit.error_code ^ end.error_code) & compared) != 0)
    wrong += fmt::format("error code: native {:x} guest {:x}\n", end.error_code, exit.error_code);
  if (faulted && exit.fault_address != end.fault_address)
    wrong += fmt::format("fault address: native {:x} guest {:x}\n", end.fault_address, exit.fault_address);
  return wrong;
}

bool InstanceCheck::tolerates(const Instance& instance, const Exit& exit, const NativeEnd& end) {
  const char* reason = nullptr;
  if (emulated_) reason = oracle_ ? emulator_difference(instance, exit, end) : emulated_host_difference(instance, end);
  if (reason != nullptr) ++tolerated_[reason];
  return reason != nullptr;
}

std::string InstanceCheck::compare(GuestTwin& twin, const Instance& instance, const NativeState& native,
                                   const NativeEnd& end, u64 slice) {
  twin.load_memory(instance.memory);
  twin.load(instance.state, instance.at);
  const Exit exit = run_guest(twin, slice);
  if (exit.reason != ExitReason::exception) return fmt::format("exit reason {}\n", static_cast<int>(exit.reason));
  if (may_differ(instance, exit, end) || tolerates(instance, exit, end)) return {};
  std::string wrong = compare_fault(exit, end);
  if (twin.machine().context.rip != end.rip)
    wrong += fmt::format("rip: native {:x} guest {:x}\n", end.rip, twin.machine().context.rip);
  const bool ran = end.vector == static_cast<u64>(Vector::breakpoint);
  std::vector<Ignored> ignored = instance.ignored;
  // A processor pushes before it finds that the new frame is not there; here a fault leaves the memory alone as well.
  if (instance.instruction.mnemonic() == ZYDIS_MNEMONIC_ENTER && !ran)
    ignored.push_back({instance.state.gpr[4] - 512, 512});
  return wrong + twin.differences(native, ran ? instance.undefined_flags : 0, ignored);
}

NativeEnd InstanceCheck::run_oracle(const Instance& instance, NativeState& state) {
  if (oracle_ != nullptr) return oracle_->run_as_oracle(instance.code, instance.at, instance.memory, state);
  return GuestTwin::run_natively(native_, instance.code, instance.at, instance.memory, state);
}

// All guests against what the oracle left.
std::string InstanceCheck::compare_all(const Instance& instance, const NativeState& native, const NativeEnd& end) {
  // The translator's process would end by it.
  if (emulated_ && end.vector == static_cast<u64>(Vector::invalid_opcode)) {
    ++tolerated_["an encoding that QEMU refuses: not run"];
    return {};
  }
  std::string wrong = compare(*twin_, instance, native, end, 1000);
  if (wrong.empty() && single_steps_) wrong = compare(*twin_, instance, native, end, 1);
  // Twice: what the first run reaches through the page tables, the second finds in the range cache.
  for (int n = 0; n < 2 && wrong.empty() && hot_ != nullptr; ++n) wrong = compare(*hot_, instance, native, end, 1000);
  return wrong;
}

std::string InstanceCheck::check(const Instance& instance) {
  if (emulated_ && ends_emulator(instance)) {
    ++tolerated_["VROUNDSS and VROUNDSD with VEX.L end QEMU: not run"];
    return {};
  }
  poke(instance.at, instance.code);
  NativeState native = instance.state;
  NativeEnd end = run_oracle(instance, native);
  ++ends_[end.vector];
  std::string wrong = compare_all(instance, native, end);
  // Under a nested hypervisor, which runs an instruction itself now and then, the host may end it wrongly once, or leave half
  // of a store across pages behind. The guests do the same each time.
  if (!wrong.empty() && oracle_ == nullptr && compare_all(instance, native, end) == wrong) {
    NativeState again = instance.state;
    const NativeEnd second = run_oracle(instance, again);
    if (const std::string then = compare_all(instance, again, second); then != wrong) {
      ++tolerated_["the host did otherwise when asked again"];
      end = second;
      wrong = then;
    }
  }
  poke(instance.at, {});
  std::memset(reinterpret_cast<void*>(instance.at), 0xCC, 64);
  if (wrong.empty()) return wrong;
  return disassemble(instance.code, instance.at) +
         fmt::format("native vector {} error {:x} address {:x}\n", end.vector, end.error_code, end.fault_address) +
         wrong;
}

}  // namespace vitrine::cpu::test
