#include "cpu/kvm/kvm_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cpu/kvm/cpuid_table.h"
#include "cpu/kvm/trapped_instruction.h"
#include "cpu/page_walk.h"
#include "cpu/user_flags.h"
#include "sim/host_clock.h"

namespace vitrine::cpu::kvm {
namespace {

constexpr u32 kOwnSlot = 0, kTransientSlot = 1, kFirstRamSlot = 2;
// RAM in slots of a size that every kernel takes. All of it at once: an instruction that meets a frame without a slot
// cannot be resumed, because KVM tries to emulate it and knows few instructions.
constexpr u64 kSlotBytes = 1ull << 30;
// KVM's own books grow with RAM: up to 10 bytes a page where it shadows.
constexpr u64 kMostRamBytes = 64ull << 30;

// A slice is at least so long; where a guest does not move in it, it gets longer, up to the second figure.
constexpr u64 kLeastSliceNs = 50'000, kLeastSliceNsAtMost = 20'000'000;
constexpr u64 kLongestRunNs = 1ull << 60;
constexpr std::size_t kLongestInstruction = 15;
constexpr u64 kFlagTrap = 1u << 8, kDr6SingleStep = 1u << 14;
constexpr u32 kIdtBit = 2;  // of #GP's error code: it is about a gate
constexpr u32 kSpuriousFaults = 3;

bool is_fault(Vector vector) {
  return vector != Vector::debug && vector != Vector::breakpoint && vector != Vector::software_interrupt;
}

}  // namespace

struct KvmBackend::Pass {
  u32 processor;
  KvmSpace& space;
  GuestContext& context;
  VirtualProcessor& cpu;
  u64 root;
  u64 spent_ns = 0;
  u64 budget;
  u32 spurious = 0;  // page faults that the page tables do not explain, in a row
  bool flush = false;
  bool done = false;
  Exit exit{};

  void end(ExitReason reason) {
    exit.reason = reason;
    done = true;
  }
  void raise(Vector vector, u32 error_code = 0, Va address = 0) {
    exit.vector = vector;
    exit.error_code = error_code;
    exit.fault_address = address;
    // RF is set in the image that a fault leaves (SDM vol. 3B, 18.3.1.1).
    if (is_fault(vector)) context.rflags |= kRflagsResume;
    end(ExitReason::exception);
  }
};

KvmBackend::KvmBackend(Vm vm, ram::GuestRam& ram, Identity& identity, u32 processors, const KvmOptions& options)
    : vm_(std::move(vm)),
      ram_(ram),
      identity_(identity),
      options_(options),
      own_((ram.page_count() << kPageShift) + kSlotBytes - 1 & ~(kSlotBytes - 1)),
      roots_(own_, ram),
      coherence_(vm_, ram, kTransientSlot, own_.base() + kSlotBytes),
      cpuid_(make_cpuid_table(identity, vm_.supported_cpuid())),
      processors_(processors),
      least_slice_ns_(kLeastSliceNs) {
  vm_.set_memory(kOwnSlot, own_.base(), own_.host(), OwnMemory::bytes());
  const u64 bytes = ram.page_count() << kPageShift;
  for (u64 at = 0; at < bytes; at += kSlotBytes)
    vm_.set_memory(kFirstRamSlot + static_cast<u32>(at / kSlotBytes), at, ram.base() + at,
                   std::min(kSlotBytes, bytes - at));
  probe();
}

KvmBackend::~KvmBackend() = default;

VirtualProcessor& KvmBackend::virtual_processor(u32 number) {
  Processor& processor = processors_[number];
  if (processor.virtual_processor == nullptr) {
    processor.virtual_processor = std::make_unique<VirtualProcessor>(vm_, own_, number, cpuid_);
    processor.immediate_exit.store(processor.virtual_processor->immediate_exit(), std::memory_order_release);
  }
  return *processor.virtual_processor;
}

std::unique_ptr<Space> KvmBackend::create_space(Pfn root) { return std::make_unique<KvmSpace>(*this, root); }

void KvmBackend::space_ends(const KvmSpace& space) {
  roots_.forget(space);
  coherence_.forget_all();
}

void KvmBackend::kick(u32 processor) {
  VITRINE_CHECK(processor < processors_.size());
  Processor& target = processors_[processor];
  target.kicked.store(true, std::memory_order_release);
  if (u8* const flag = target.immediate_exit.load(std::memory_order_acquire); flag != nullptr)
    *const_cast<volatile u8*>(flag) = 1;
  timer_.interrupt();
}

// What this host does in ways that differ: reads a page, puts another one in its place, and reads again after a flush
// of the TLB. Each time the guest ends by a system call, which shows how those arrive. Then CPUID and RDTSC: a
// hypervisor may agree to trap them and not do it.
void KvmBackend::probe() {
  const OwnMemory::Probe probe = own_.make_probe();
  VirtualProcessor& cpu = virtual_processor(0);
  GuestContext context;
  const auto run = [&](std::span<const u8> code, bool flush) {
    std::ranges::copy(code, reinterpret_cast<u8*>(probe.code));
    context = GuestContext();
    context.rip = OwnMemory::kProbe;
    context[Gpr::rdi] = OwnMemory::kProbe + kPageSize;
    Trap trap;
    do {
      *cpu.immediate_exit() = 0;
      trap = cpu.run(own_.root(probe.root), context, flush);
    } while (trap.kind == Trap::Kind::interrupted);
    return trap;
  };
  const auto read = [&](bool flush) {
    constexpr u8 kRead[] = {0x48, 0x8B, 0x07, 0x0F, 0x05};  // mov rax,[rdi]; syscall
    const Trap trap = run(kRead, flush);
    if (trap.kind != Trap::Kind::system_call) {
      system_calls_fault_ = true;
      VITRINE_CHECK(looks_like_system_call(trap, context));
    }
    return context[Gpr::rax];
  };
  *probe.data = 1;
  *probe.other = 2;
  VITRINE_CHECK(read(false) == 1);
  constexpr u64 kAll = pte::kPresent | pte::kWrite | pte::kUser;
  probe.entries[1] = probe.other_frame | kAll;
  coherence_.set_paging(read(true) == 2 ? KvmPaging::nested : KvmPaging::shadow);
  coherence_.forget_all();
  const auto traps = [&](std::span<const u8> code) {
    const Trap trap = run(code, false);
    return trap.kind == Trap::Kind::vector && trap.vector == static_cast<u32>(Vector::general_protection) &&
           context.rip == OwnMemory::kProbe;
  };
  constexpr u8 kCpuid[] = {0x0F, 0xA2, 0x0F, 0x05}, kRdtsc[] = {0x0F, 0x31, 0x0F, 0x05};
  traps_identity_ = cpu.traps_identity() && traps(kCpuid) && traps(kRdtsc);
}

// Under a hypervisor that runs ring 0 of its guests outside ring 0, SYSCALL may arrive as a fault at the stub, still in
// ring 3. Only where the probe has seen it: elsewhere a jump to the stub is a fault like any other.
bool KvmBackend::looks_like_system_call(const Trap& trap, const GuestContext& context) const {
  return system_calls_fault_ && trap.kind == Trap::Kind::vector && (trap.vector == 13 || trap.vector == 14) &&
         context.rip == kStubs + kSystemCallStub;
}

Exit KvmBackend::run(u32 processor, Space& space, GuestContext& context, u64 budget) {
  VITRINE_CHECK(processor < processors_.size() && budget > 0);
  auto& own_space = static_cast<KvmSpace&>(space);
  VirtualProcessor& cpu = virtual_processor(processor);
  const Roots::Root root = roots_.of(own_space);
  if (root.changed_hands) coherence_.forget_all();
  Pass pass{.processor = processor,
            .space = own_space,
            .context = context,
            .cpu = cpu,
            .root = root.physical,
            .budget = budget};
  const u64 generation = coherence_.settle();
  pass.flush = std::exchange(processors_[processor].generation, generation) != generation;
  // A product that does not fit is longer than any run.
  const u64 slice =
      std::min(budget, kLongestRunNs / options_.instruction_picoseconds) * options_.instruction_picoseconds / 1000;
  timer_.start(std::max(slice, least_slice_ns_), cpu.immediate_exit());
  while (!pass.done) step(pass);
  timer_.stop();
  pass.exit.retired =
      pass.exit.reason == ExitReason::budget ? budget : std::clamp(worth(pass.spent_ns), u64{1}, budget);
  return pass.exit;
}

// One entry into the guest.
void KvmBackend::step(Pass& pass) {
  // What comes before this is seen by the two questions behind it, what comes later by KVM_RUN.
  *const_cast<volatile u8*>(pass.cpu.immediate_exit()) = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (processors_[pass.processor].kicked.exchange(false, std::memory_order_acq_rel))
    return pass.end(ExitReason::kicked);
  const Place before{pass.context.rip, pass.context.gpr};
  if (SliceTimer::expired()) return after_interruption(pass, before);
  // Processors refuse to enter there; the other back end faults at the target.
  if (!is_canonical(pass.context.rip)) return pass.raise(Vector::general_protection);
  const u64 start = sim::host_nanoseconds();
  Trap trap = pass.cpu.run(pass.root, pass.context, std::exchange(pass.flush, false));
  pass.spent_ns += sim::host_nanoseconds() - start;
  if (looks_like_system_call(trap, pass.context)) {
    trap.kind = Trap::Kind::system_call;
    pass.context.rip = pass.context[Gpr::rcx];
    pass.context.rflags = (pass.context[Gpr::r11] & kPoppedRflags) | kRflagsFixed;
  }
  switch (trap.kind) {
    case Trap::Kind::system_call:
      return pass.end(ExitReason::system_call);
    case Trap::Kind::compatibility_call:
      // There is no 32-bit code; a far jump got it there.
      return pass.raise(Vector::invalid_opcode);
    case Trap::Kind::vector:
      return after_vector(pass, trap);
    case Trap::Kind::interrupted:
      return after_interruption(pass, before);
  }
}

void KvmBackend::after_interruption(Pass& pass, const Place& before) {
  const bool moved = before.rip != pass.context.rip || before.gpr != pass.context.gpr;
  if (processors_[pass.processor].kicked.exchange(false, std::memory_order_acq_rel))
    return pass.end(ExitReason::kicked);
  if (!SliceTimer::expired()) return;  // a signal that is none of ours
  // On a slow host the slice may end before the guest has begun.
  least_slice_ns_ = moved ? std::max(least_slice_ns_ - least_slice_ns_ / 8, kLeastSliceNs)
                          : std::min(least_slice_ns_ * 2, kLeastSliceNsAtMost);
  pass.end(ExitReason::budget);
}

void KvmBackend::after_vector(Pass& pass, Trap& trap) {
  // Code of another segment is 32-bit code, which a far jump can reach; the machine has none.
  if (trap.code_selector != kUserCode) return pass.raise(Vector::general_protection);
  const auto vector = static_cast<Vector>(trap.vector);
  if (vector != Vector::page_fault) pass.spurious = 0;
  switch (vector) {
    case Vector::page_fault:
      return after_page_fault(pass, trap);
    case Vector::debug:
      return after_debug(pass, trap);
    case Vector::general_protection:
    case Vector::invalid_opcode:
      if (execute_trapped(pass, trap)) return;
      break;
    default:
      break;
  }
  if (trap.vector >= 32) return pass.raise(Vector::software_interrupt, trap.vector);
  pass.raise(vector, static_cast<u32>(trap.error_code));
}

// The page tables say what the fault is: with what they say now the instruction either runs the next time, because the
// processor knew them as they were before, or it faults so.
void KvmBackend::after_page_fault(Pass& pass, const Trap& trap) {
  const Va address = pass.cpu.fault_address();
  const auto error = static_cast<u32>(trap.error_code);
  const AccessKind kind = (error & page_fault::kFetch) != 0   ? AccessKind::fetch
                          : (error & page_fault::kWrite) != 0 ? AccessKind::write
                                                              : AccessKind::read;
  const Translation walked = walk_page_tables(ram_, pass.space.root(), address, kind);
  if (walked.ok() && pass.spurious < kSpuriousFaults) {
    ++pass.spurious;
    pass.context.rflags &= ~kRflagsResume;
    pass.flush = true;
    return;
  }
  // The walk knows nothing of ring 0's pages, which answer like pages that are not there.
  pass.raise(Vector::page_fault, walked.outcome == Translation::Outcome::page_fault ? walked.error_code : error,
             address);
}

void KvmBackend::after_debug(Pass& pass, const Trap&) {
  // A processor may note breakpoints that match but are not enabled.
  u64 enabled = kDr6SingleStep;
  for (u64 n = 0; n < 4; ++n) enabled |= (pass.context.debug[5] >> (2 * n) & 3) != 0 ? 1ull << n : 0;
  const u64 conditions = pass.cpu.debug_status() & enabled;
  if (conditions != 0) pass.context.debug[4] = conditions;
  pass.raise(Vector::debug);
}

// True: it was no #UD or #GP of the guest's.
bool KvmBackend::execute_trapped(Pass& pass, const Trap& trap) {
  std::array<u8, kLongestInstruction> bytes{};
  const std::size_t fetched = fetch(pass, pass.context.rip, bytes);
  const std::span<const u8> code(bytes.data(), fetched);
  const TrappedInstruction instruction = decode_trapped(code);
  const bool gate = trap.vector == 13 && (trap.error_code & kIdtBit) != 0;
  if (gate) {
    // INT n through a gate that ring 3 may not use. The number is in the instruction; that in the error code is another
    // one in QEMU.
    const bool here = instruction.kind == TrappedInstruction::Kind::interrupt;
    pass.context.rip += here ? instruction.length : 0;
    pass.context.rflags &= ~kRflagsResume;
    pass.raise(Vector::software_interrupt, here ? instruction.number : static_cast<u32>(trap.error_code >> 3 & 0xFF));
    return true;
  }
  if (trap.error_code != 0) return false;
  switch (instruction.kind) {
    case TrappedInstruction::Kind::other:
      return false;
    case TrappedInstruction::Kind::icebp:
    case TrappedInstruction::Kind::interrupt: {
      // Some hypervisors give #UD instead of entering the vector.
      pass.context.rip += instruction.length;
      pass.context.rflags &= ~kRflagsResume;
      const bool icebp = instruction.kind == TrappedInstruction::Kind::icebp;
      if (icebp)
        pass.raise(Vector::debug);
      else if (instruction.number == 3)
        pass.raise(Vector::breakpoint);
      else
        pass.raise(Vector::software_interrupt, instruction.number);
      return true;
    }
    case TrappedInstruction::Kind::identity:
      break;
  }
  execute_identity(code, identity_, pass.processor, std::min(worth(pass.spent_ns), pass.budget), pass.context);
  pass.context.rip += instruction.length;
  pass.context.rflags &= ~kRflagsResume;
  if ((pass.context.rflags & kFlagTrap) != 0) {
    pass.context.debug[4] = kDr6SingleStep;
    pass.raise(Vector::debug);
  }
  return true;
}

// Bytes at `at`, as far as they can be fetched.
std::size_t KvmBackend::fetch(const Pass& pass, Va at, std::span<u8> code) const {
  std::size_t done = 0;
  while (done < code.size()) {
    const Va here = at + done;
    const Translation page = walk_page_tables(ram_, pass.space.root(), here, AccessKind::fetch);
    if (!page.ok()) break;
    const std::size_t count = std::min<std::size_t>(code.size() - done, kPageSize - (here & kPageMask));
    std::copy_n(reinterpret_cast<const u8*>(page.host) + (here & kPageMask), count,
                code.begin() + static_cast<std::ptrdiff_t>(done));
    done += count;
  }
  return done;
}

}  // namespace vitrine::cpu::kvm

namespace vitrine::cpu {

std::string kvm_problem(u64 ram_bytes) {
  if (ram_bytes > kvm::kMostRamBytes)
    return fmt::format("--backend kvm: at most {} GiB of guest memory; give --ram less", kvm::kMostRamBytes >> 30);
  const auto vm = kvm::Vm::open();
  return vm ? std::string() : vm.error();
}

std::expected<std::unique_ptr<Kvm>, std::string> make_kvm(ram::GuestRam& ram, Identity& identity, u32 processors,
                                                          const KvmOptions& options) {
  VITRINE_CHECK(processors >= 1 && processors <= kvm::kMostProcessors);
  VITRINE_CHECK(options.instruction_picoseconds > 0);
  if (std::string problem = kvm_problem(ram.page_count() << kPageShift); !problem.empty())
    return std::unexpected(std::move(problem));
  auto vm = kvm::Vm::open();
  if (!vm) return std::unexpected(vm.error());
  return std::make_unique<kvm::KvmBackend>(std::move(*vm), ram, identity, processors, options);
}

}  // namespace vitrine::cpu
