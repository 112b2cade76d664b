#include "cpu/kvm/virtual_processor.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "cpu/user_flags.h"

namespace vitrine::cpu::kvm {
namespace {

// SDM vol. 3A, 2.5: PE MP ET NE WP PG. AM is off: nothing checks alignment.
constexpr u64 kCr0 = 0x8001'0033;
constexpr u64 kCr4TimeStampDisable = 1u << 2, kCr4GlobalPages = 1u << 7;
// PAE OSFXSR OSXMMEXCPT OSXSAVE.
constexpr u64 kCr4 = 1u << 5 | 1u << 9 | 1u << 10 | 1u << 18;
constexpr u64 kCr4Umip = 1u << 11;
constexpr u64 kEfer = 0xD01;  // SCE LME LMA NXE
constexpr u64 kXcr0 = 7;      // x87 SSE AVX

constexpr u32 kMsrStar = 0xC000'0081, kMsrLstar = 0xC000'0082, kMsrCstar = 0xC000'0083, kMsrFmask = 0xC000'0084;
constexpr u32 kMsrTscAux = 0xC000'0103, kMsrMiscFeatures = 0x140;
constexpr u64 kAllFlags = 0x003F'7FD5;  // SYSCALL clears every flag that can be set

constexpr u64 kDr6Fixed = 0xFFFF'0FF0, kDr7Fixed = 0x400;

// Offsets in the XSAVE image (SDM vol. 1, tables 10-2 and 13.4.2).
constexpr std::size_t kFop = 6, kMxcsr = 24, kMxcsrMask = 28, kXstateBv = 512, kXcompBv = 520;
constexpr u32 kMxcsrDefined = 0xFFFF;

bool has_error_code(u32 vector) { return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17; }

kvm_segment segment(u16 selector, u8 type, u8 level) {
  kvm_segment made{};
  made.limit = 0xFFFF'FFFF;
  made.selector = selector;
  made.type = type;
  made.present = made.s = made.g = 1;
  made.dpl = level;
  return made;
}

bool set_one(int processor, u32 index, u64 value) {
  MsrTable table;
  table.count = 1;
  table.entries[0].index = index;
  table.entries[0].data = value;
  return set_msrs(processor, table);
}

}  // namespace

VirtualProcessor::VirtualProcessor(const Vm& vm, OwnMemory& own, u32 number, const CpuidTable& cpuid)
    : own_(own), number_(number), processor_(ioctl(vm.machine(), KVM_CREATE_VCPU, number)) {
  VITRINE_CHECK(processor_.get() >= 0);
  const int bytes = ioctl(vm.device(), KVM_GET_VCPU_MMAP_SIZE, 0);
  VITRINE_CHECK(bytes >= static_cast<int>(sizeof(kvm_run)));
  shared_bytes_ = static_cast<std::size_t>(bytes);
  void* shared = mmap(nullptr, shared_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, processor_.get(), 0);
  VITRINE_CHECK(shared != MAP_FAILED);
  shared_ = static_cast<kvm_run*>(shared);
  CpuidTable table = cpuid;
  VITRINE_CHECK(set_cpuid(processor_.get(), table));
  make_ring0();
}

VirtualProcessor::~VirtualProcessor() { munmap(shared_, shared_bytes_); }

void VirtualProcessor::make_ring0() {
  MsrTable msrs;
  const std::pair<u32, u64> values[] = {{kMsrStar, u64{0x23} << 48 | u64{kRing0Code} << 32},
                                        {kMsrLstar, kStubs + kSystemCallStub},
                                        {kMsrCstar, kStubs + kCompatibilityStub},
                                        {kMsrFmask, kAllFlags}};
  for (const auto& [index, value] : values) {
    msrs.entries[msrs.count].index = index;
    msrs.entries[msrs.count++].data = value;
  }
  VITRINE_CHECK(set_msrs(processor_.get(), msrs));
  // Those that not every host has: what RDTSCP reads where it is not trapped, and that CPUID of ring 3 gives #GP.
  (void)set_one(processor_.get(), kMsrTscAux, number_);
  traps_identity_ = set_one(processor_.get(), kMsrMiscFeatures, 1);

  kvm_xcrs xcrs{};
  xcrs.nr_xcrs = 1;
  xcrs.xcrs[0].value = kXcr0;
  VITRINE_CHECK(call(processor_.get(), KVM_SET_XCRS, &xcrs));

  kvm_sregs& s = shared_->s.regs.sregs;
  VITRINE_CHECK(call(processor_.get(), KVM_GET_SREGS, &s));
  s.cs = segment(kUserCode, 11, 3);
  s.cs.l = 1;
  s.ds = s.es = s.ss = s.gs = segment(kUserData, 3, 3);
  s.ds.db = s.es.db = s.ss.db = s.gs.db = 1;
  s.fs = segment(kUserTeb, 3, 3);
  s.fs.limit = 0x3C00, s.fs.g = 0, s.fs.db = 1;
  s.tr = segment(kTaskState, 11, 0);
  s.tr.base = OwnMemory::task_state(number_);
  s.tr.limit = 0x67, s.tr.s = 0, s.tr.g = 0;
  s.ldt = kvm_segment{};
  s.ldt.unusable = 1;
  s.gdt.base = kGdt, s.gdt.limit = kGdtLimit;
  s.idt.base = kIdt, s.idt.limit = kIdtLimit;
  s.cr0 = kCr0;
  s.cr4 = kCr4 | (traps_identity_ ? kCr4TimeStampDisable : 0);
  s.efer = kEfer;
  s.cr3 = own_.root(0);
  // UMIP where there is one: SGDT and its like would show ring 0's addresses.
  s.cr4 |= kCr4Umip;
  if (!call(processor_.get(), KVM_SET_SREGS, &s)) {
    s.cr4 &= ~kCr4Umip;
    VITRINE_CHECK(call(processor_.get(), KVM_SET_SREGS, &s));
  }
  shared_->kvm_valid_regs = KVM_SYNC_X86_REGS;
}

void VirtualProcessor::load(u64 root, const GuestContext& context, bool flush) {
  kvm_regs& r = shared_->s.regs.regs;
  r.rax = context[Gpr::rax], r.rcx = context[Gpr::rcx], r.rdx = context[Gpr::rdx], r.rbx = context[Gpr::rbx];
  r.rsp = context[Gpr::rsp], r.rbp = context[Gpr::rbp], r.rsi = context[Gpr::rsi], r.rdi = context[Gpr::rdi];
  r.r8 = context[Gpr::r8], r.r9 = context[Gpr::r9], r.r10 = context[Gpr::r10], r.r11 = context[Gpr::r11];
  r.r12 = context[Gpr::r12], r.r13 = context[Gpr::r13], r.r14 = context[Gpr::r14], r.r15 = context[Gpr::r15];
  r.rip = context.rip;
  r.rflags = (context.rflags & (kPoppedRflags | kRflagsResume)) | kRflagsFixed;
  // The segments are those of ring 3, always: the last run has ended in ring 0, and KVM does not write them here.
  kvm_sregs& s = shared_->s.regs.sregs;
  s.fs.base = context.fs_base;
  s.gs.base = context.gs_base;
  s.cr3 = root;
  // A change of CR4 makes KVM begin anew with an empty TLB; global pages, of which there are none, are the bit that
  // means nothing else.
  if (flush) s.cr4 ^= kCr4GlobalPages;
  shared_->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  load_vectors(context);
  if (breakpoints_ != context.debug) load_breakpoints(context);
}

void VirtualProcessor::load_vectors(const GuestContext& context) {
  if (vectors_loaded_ && std::memcmp(vectors_.data(), context.xsave.data(), vectors_.size()) == 0) return;
  XsaveImage image;
  std::byte* const bytes = image.bytes.data();
  std::memcpy(bytes, context.xsave.data(), context.xsave.size());
  const u32 mxcsr = context.mxcsr() & kMxcsrDefined;
  const u64 components[2] = {kXcr0, 0};
  std::memcpy(bytes + kMxcsr, &mxcsr, sizeof mxcsr);
  std::memcpy(bytes + kXstateBv, components, sizeof components);
  VITRINE_CHECK(set_xsave(processor_.get(), image));
  vectors_loaded_ = true;
}

void VirtualProcessor::load_breakpoints(const GuestContext& context) {
  kvm_debugregs registers{};
  for (std::size_t n = 0; n < 4; ++n) registers.db[n] = context.debug[n];
  registers.dr6 = kDr6Fixed;
  registers.dr7 = (context.debug[5] & 0xFFFF'03FF) | kDr7Fixed;  // GD would stop ring 0 only
  VITRINE_CHECK(call(processor_.get(), KVM_SET_DEBUGREGS, &registers));
  breakpoints_ = context.debug;
}

void VirtualProcessor::store(GuestContext& context) {
  const kvm_regs& r = shared_->s.regs.regs;
  context.gpr = {r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi,
                 r.r8,  r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15};
  context.rip = r.rip;
  context.rflags = (r.rflags & (kPoppedRflags | kRflagsResume)) | kRflagsFixed;
  XsaveImage image;
  VITRINE_CHECK(get_xsave(processor_.get(), image));
  const std::byte* const bytes = image.bytes.data();
  std::memcpy(context.xsave.data(), bytes, context.xsave.size());
  // What the other back end shows: every component present, no opcode of the last x87 instruction.
  const u64 components[2] = {kXcr0, 0};
  const u16 opcode = 0;
  std::memcpy(context.xsave.data() + kXstateBv, components, sizeof components);
  std::memset(context.xsave.data() + kXcompBv + 8, 0, 48);
  std::memcpy(context.xsave.data() + kMxcsrMask, &kMxcsrDefined, sizeof kMxcsrDefined);
  std::memcpy(context.xsave.data() + kFop, &opcode, sizeof opcode);
  std::memset(context.xsave.data() + 416, 0, 96);
  std::memcpy(vectors_.data(), context.xsave.data(), vectors_.size());
}

// An exception that KVM has yet to deliver: it belongs to this context, and must not meet the next one.
bool VirtualProcessor::event_pending() const {
  kvm_vcpu_events events{};
  VITRINE_CHECK(call(processor_.get(), KVM_GET_VCPU_EVENTS, &events));
  return events.exception.injected != 0 || events.exception.pending != 0 || events.interrupt.injected != 0 ||
         events.nmi.injected != 0;
}

Trap VirtualProcessor::run(u64 root, GuestContext& context, bool flush) {
  load(root, context, flush);
  for (;;) {
    if (ioctl(processor_.get(), KVM_RUN, 0) == 0) {
      // HLT alone is expected: whatever else a guest does comes to ring 0, and the kernel maps its RAM only.
      VITRINE_CHECK(shared_->exit_reason == KVM_EXIT_HLT);
      break;
    }
    VITRINE_CHECK(errno == EINTR || errno == EAGAIN);
    const bool in_ring0 = shared_->s.regs.regs.rip - kStubs < kPageSize;
    if (errno == EINTR && !in_ring0 && !event_pending()) {
      store(context);
      return {};
    }
    // What is on its way to ring 0 arrives with the next entry, before any instruction of ring 3.
    *const_cast<volatile u8*>(immediate_exit()) = 0;
  }
  store(context);
  return explain(context);
}

// The stub that stopped says what came; the frame on ring 0's stack says where from.
Trap VirtualProcessor::explain(GuestContext& context) const {
  const u64 stub = (context.rip - kStubs) / kStubBytes * kStubBytes;
  VITRINE_CHECK(stub < kPageSize);
  Trap trap;
  if (stub >= kSystemCallStub) {
    trap.kind = stub == kSystemCallStub ? Trap::Kind::system_call : Trap::Kind::compatibility_call;
    context.rip = context[Gpr::rcx];
    context.rflags = (context[Gpr::r11] & kPoppedRflags) | kRflagsFixed;
    return trap;
  }
  trap.kind = Trap::Kind::vector;
  trap.vector = static_cast<u32>(stub / kStubBytes);
  const u64* words = own_.stack(number_, context[Gpr::rsp]);
  if (has_error_code(trap.vector)) trap.error_code = *words++;
  Frame frame;
  std::memcpy(&frame, words, sizeof frame);
  trap.code_selector = frame.cs & 0xFFFF;
  context.rip = frame.rip;
  context.rflags = (frame.rflags & (kPoppedRflags | kRflagsResume)) | kRflagsFixed;
  context[Gpr::rsp] = frame.rsp;
  return trap;
}

u64 VirtualProcessor::fault_address() const {
  kvm_sregs now{};
  VITRINE_CHECK(call(processor_.get(), KVM_GET_SREGS, &now));
  return now.cr2;
}

u64 VirtualProcessor::debug_status() {
  kvm_debugregs registers{};
  VITRINE_CHECK(call(processor_.get(), KVM_GET_DEBUGREGS, &registers));
  breakpoints_[4] = ~u64{0};  // processors do not clear DR6: the next run does
  return registers.dr6;
}

}  // namespace vitrine::cpu::kvm
