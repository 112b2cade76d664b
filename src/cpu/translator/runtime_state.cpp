// The part of Runtime that moves guest state: contexts in and out, memory for helpers, the slow memory path, coherence.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "cpu/translator/host_fault.h"
#include "cpu/translator/runtime.h"
#include "cpu/user_flags.h"

namespace vitrine::cpu::translator {
namespace {
constexpr std::size_t kXmm = 160, kYmmHigh = 576;
constexpr u64 kHeldFlags = kArithmeticFlags | kFlagDirection;
}  // namespace

void Runtime::load_context(GuestContext& context) {
  Frame& frame = *frame_;
  frame.gpr = context.gpr;
  frame.flags = pack_flags(context.rflags);
  frame.direction = (context.rflags & kFlagDirection) != 0 ? 1 : 0;
  frame.fs_base = context.fs_base;
  frame.gs_base = context.gs_base;
  frame.guest_mxcsr = context.mxcsr() & 0xFFFF;
  frame.x87_loaded = 0;
  frame.bounced = 0;
  frame.image = context.xsave.data();
  if (options_.avx512) load_avx512(context);
  note_unmasked_exceptions();
  load_breakpoints();
}

// Frame::mask, zmm_high and zmm_upper lie as GuestContext::avx512 does.
constexpr std::size_t kAvx512Bytes = sizeof(Frame::mask) + sizeof(Frame::zmm_high) + sizeof(Frame::zmm_upper);
static_assert(offsetof(Frame, zmm_upper) + sizeof(Frame::zmm_upper) == offsetof(Frame, mask) + kAvx512Bytes);

void Runtime::load_avx512(GuestContext& context) {
  context.avx512.resize(kAvx512Bytes);
  std::memcpy(reinterpret_cast<std::byte*>(frame_) + offsetof(Frame, mask), context.avx512.data(), kAvx512Bytes);
}

void Runtime::store_avx512(GuestContext& context) const {
  std::memcpy(context.avx512.data(), reinterpret_cast<const std::byte*>(frame_) + offsetof(Frame, mask), kAvx512Bytes);
}

// What is watched must not be in the tables that generated code asks by itself; other threads of the space may have put
// it there.
void Runtime::load_breakpoints() {
  resume_ = (context_->rflags & kRflagsResume) != 0;
  debug_.load(*context_);
  frame_->refill.off = debug_.watches();
  if (!debug_.watches() && !debug_.executes()) return;
  debug_.for_each_page([&](Va page, bool execute) {
    space_->forget_page(page, execute, misses(), execute ? cache_.far_jumps_to(page) : std::span<const u32>());
  });
}

void Runtime::store_context() {
  Frame& frame = *frame_;
  GuestContext& context = *context_;
  if (frame.x87_loaded != 0) store_x87();
  context.gpr = frame.gpr;
  if (options_.avx512) store_avx512(context);
  context.rflags = rflags();
  context.set_mxcsr(frame.guest_mxcsr);
}

// A call-out that does not return to its block: from here on the image is the truth about vectors.
u32 Runtime::leave_callout(Frame& frame) {
  for (std::size_t n = 0; n < 16; ++n) {
    std::memcpy(frame.image + kXmm + 16 * n, frame.ymm[n].data(), 16);
    std::memcpy(frame.image + kYmmHigh + 16 * n, frame.ymm[n].data() + 16, 16);
  }
  frame.exit_kind = ExitKind::helper;
  return 1;
}

u64 Runtime::rflags() const {
  return (context_->rflags & ~kHeldFlags & kPoppedRflags) | kRflagsFixed | unpack_flags(frame_->flags) |
         (frame_->direction != 0 ? kFlagDirection : 0);
}

void Runtime::set_rflags(u64 value) {
  value &= kPoppedRflags;
  frame_->flags = pack_flags(value);
  frame_->direction = (value & kFlagDirection) != 0 ? 1 : 0;
  context_->rflags = value | kRflagsFixed;
}

// Puts the guest's x87 state into the host's registers (the SSE part of the image is not touched: the frame has the
// truth).
void Runtime::load_x87() {
  alignas(64) std::array<std::byte, 512> image;
  std::memcpy(image.data(), context_->xsave.data(), 512);
  const u32 mxcsr = _mm_getcsr();
  std::memcpy(image.data() + 24, &mxcsr, sizeof mxcsr);
  frame_->x87_ip = frame_->x87_dp = 0;
  std::memcpy(&frame_->x87_ip, image.data() + 8, 8);
  std::memcpy(&frame_->x87_dp, image.data() + 16, 8);
  asm volatile("fxrstor64 %0"
               :
               : "m"(image)
               : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                 "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  HostFaultScope::install_handler();  // FLDCW may unmask exceptions without telling us
  frame_->x87_loaded = 1;
}

// Takes the guest's x87 state out of the host's registers and gives the host a clean state.
void Runtime::store_x87() {
  alignas(64) std::array<std::byte, 512> image{};
  asm volatile("fxsave64 %0\n\tfninit" : "=m"(image) : : "memory");
  const u16 no_opcode = 0;
  std::memcpy(image.data() + 6, &no_opcode, 2);
  std::memcpy(image.data() + 8, &frame_->x87_ip, 8);
  std::memcpy(image.data() + 16, &frame_->x87_dp, 8);
  std::memcpy(context_->xsave.data(), image.data(), 24);
  std::memcpy(context_->xsave.data() + 32, image.data() + 32, 128);
  frame_->x87_loaded = 0;
}

void Runtime::note_unmasked_exceptions() {
  constexpr u32 kMxcsrMasks = 0x1F80, kX87Masks = 0x3F;
  if ((frame_->guest_mxcsr & kMxcsrMasks) != kMxcsrMasks || (context_->fpcw() & kX87Masks) != kX87Masks) {
    HostFaultScope::install_handler();
  }
}

bool Runtime::x87_error_pending() const {
  constexpr u16 kErrorSummary = 1u << 7;
  if (frame_->x87_loaded == 0) return false;
  u16 status;
  asm volatile("fnstsw %0" : "=a"(status));
  return (status & kErrorSummary) != 0;
}

// Checks every page of an access of at most two; the host addresses of the pages on success.
bool Runtime::translate_access(Va va, u64 bytes, bool write, bool stack, std::byte** hosts) {
  const Va last = va + bytes - 1;
  // The whole address is checked before the page tables are asked [tested against the host: cpu/forms_test].
  if (!is_canonical(va) || !is_canonical(last)) {
    fault_ = {stack ? Vector::stack_fault : Vector::general_protection, 0, 0};
    return false;
  }
  const u64 pages = page_floor(last) == page_floor(va) ? 1 : 2;
  for (u64 n = 0; n < pages; ++n) {
    const Va at = n == 0 ? va : page_floor(last);
    const Translation walked = walk_page_tables(ram_, space_->root(), at, write ? AccessKind::write : AccessKind::read);
    if (!walked.ok()) {
      fault_ = {Vector::page_fault, walked.error_code, at};
      return false;
    }
    hosts[n] = walked.host;
  }
  return true;
}

bool Runtime::read(Va va, void* to, u64 bytes, bool stack) {
  VITRINE_CHECK(bytes > 0 && bytes <= kPageSize);
  std::byte* hosts[2];
  if (!translate_access(va, bytes, false, stack, hosts)) return false;
  if (debug_.watches()) debug_.note(debug_.at_access(va, bytes, false));
  const u64 offset = va & kPageMask, head = std::min(bytes, kPageSize - offset);
  std::memcpy(to, hosts[0] + offset, head);
  if (head < bytes) std::memcpy(static_cast<std::byte*>(to) + head, hosts[1], bytes - head);
  return true;
}

bool Runtime::write(Va va, const void* from, u64 bytes, bool stack) {
  VITRINE_CHECK(bytes > 0 && bytes <= kPageSize);
  std::byte* hosts[2];
  if (!translate_access(va, bytes, true, stack, hosts)) return false;
  if (debug_.watches()) debug_.note(debug_.at_access(va, bytes, true));
  const u64 offset = va & kPageMask, head = std::min(bytes, kPageSize - offset);
  for (u64 n = 0; n < (head < bytes ? 2u : 1u); ++n)
    code_written(Pfn{static_cast<u64>(hosts[n] - ram_.base()) >> kPageShift});
  std::memcpy(hosts[0] + offset, from, head);
  if (head < bytes) std::memcpy(hosts[1], static_cast<const std::byte*>(from) + head, bytes - head);
  return true;
}

bool Runtime::may_write(Va va, u64 bytes, bool stack) {
  std::byte* hosts[2];
  return translate_access(va, bytes, true, stack, hosts);
}

std::byte* Runtime::host_page(Va va, bool write, bool stack) {
  std::byte* hosts[2];
  if (!translate_access(va, 1, write, stack, hosts)) return nullptr;
  if (write) code_written(Pfn{static_cast<u64>(hosts[0] - ram_.base()) >> kPageShift});
  return hosts[0];
}

HelperResult Runtime::raise(Vector vector, u32 error_code) {
  fault_ = {vector, error_code, 0};
  return HelperResult::fault;
}

void Runtime::invalidate(Pfn frame) {
  hot_pages_.forget(frame);
  if (drop_blocks(frame)) ++statistics_.page_invalidations;
}

// False: there were none.
bool Runtime::drop_blocks(Pfn frame) {
  const std::vector<Block*> dropped = cache_.invalidate(frame);
  for (const Block* block : dropped) {
    for (TranslatorSpace* space : spaces_)
      space->forget_jump(block->va, misses(), cache_.far_jumps_to(page_floor(block->va)));
  }
  return !dropped.empty();
}

void Runtime::code_written(Pfn pfn) {
  if (cache_.has_code(pfn)) invalidate(pfn);
}

void Runtime::commit(std::span<const PteEdit> edits) {
  for (const PteEdit& edit : edits) {
    const bool executable = (edit.old_entry & pte::kPresent) != 0 && (edit.old_entry & pte::kNoExecute) == 0;
    const auto far_jumps = executable ? cache_.far_jumps_to(page_floor(edit.address)) : std::span<const u32>();
    if (edit.space != nullptr) {
      static_cast<TranslatorSpace*>(edit.space)->forget_page(edit.address, executable, misses(), far_jumps);
      continue;
    }
    for (TranslatorSpace* space : spaces_) space->forget_page(edit.address, executable, misses(), far_jumps);
  }
}

void Runtime::flush(Space& space) { static_cast<TranslatorSpace&>(space).forget_all(misses()); }

u32 Runtime::on_callout(Frame& frame) {
  const Site& site = cache_.site(frame.site);
  if (site.form == Form::nop) {
    load_x87();
    return 0;
  }
  helper_result_ = execute_helper(*this, site);
  if (site.fetch && helper_result_ == HelperResult::next) return 0;
  const bool ends = (site.block->dead || debug_.met()) && site.instruction != nullptr;  // null: it is yet to run
  if (helper_result_ == HelperResult::next && ends) {
    helper_result_ = HelperResult::leave;
    helper_rip_ = site.next();
  }
  return helper_result_ == HelperResult::next ? 0 : leave_callout(frame);
}

// False: the instruction has to be run again as a block of its own, so that the run ends right after it.
bool Runtime::note_watched_access(const Site& site, Va va) {
  const u64 conditions = debug_.at_access(va, site.size, site.write);
  step_over_ = conditions != 0 && !site.block->variant.one;
  if (!step_over_) debug_.note(conditions);
  return !step_over_;
}

bool Runtime::must_step_over(const Site& site, Va va, u64 bytes, bool write) {
  if (!debug_.watches() || site.block->variant.one || debug_.at_access(va, bytes, write) == 0) return false;
  step_over_ = true;
  return true;
}

u32 Runtime::on_slow_memory(Frame& frame) {
  const Site site = cache_.site(frame.site);
  const Va va = frame.scratch0;
  ++statistics_.tlb_misses;
  helper_result_ = HelperResult::fault;
  std::byte* hosts[2] = {};
  const bool misaligned = (va & site.alignment_mask) != 0 && is_canonical(va);
  if (misaligned) (void)raise(Vector::general_protection);
  if (misaligned || !translate_access(va, site.size, site.write, site.stack, hosts)) {
    if (site.x87_waits && x87_error_pending()) (void)raise(Vector::x87_error);
    return leave_callout(frame);
  }
  if (debug_.watches() && !note_watched_access(site, va)) return leave_callout(frame);
  const u64 offset = va & kPageMask;
  const bool crossing = offset + site.size > kPageSize;
  if (site.write) {
    for (int n = 0; n < (crossing ? 2 : 1); ++n)
      code_written(Pfn{static_cast<u64>(hosts[n] - ram_.base()) >> kPageShift});
    if (site.block->dead) {
      retry_without_code_ = true;
      return leave_callout(frame);
    }
  }
  frame.bounced = crossing && site.write ? 1 : 0;
  if (!crossing) {
    if (!debug_.watches() || !debug_.watches_page(va)) space_->install(va, hosts[0], site.write);
    frame.scratch0 = reached(site.reach, va, reinterpret_cast<u64>(hosts[0] + offset));
    return 0;
  }
  VITRINE_CHECK(site.size <= frame.bounce.size());
  const u64 head = kPageSize - offset;
  std::memcpy(frame.bounce.data(), hosts[0] + offset, head);
  std::memcpy(frame.bounce.data() + head, hosts[1], site.size - head);
  frame.bounce_va = va;
  frame.bounce_size = site.size;
  frame.scratch0 = reached(site.reach, va, reinterpret_cast<u64>(frame.bounce.data()));
  return 0;
}

// The pages were checked when the bounce buffer was handed out, and nothing has run since.
u32 Runtime::on_finish(Frame& frame) {
  VITRINE_CHECK(write(frame.bounce_va, frame.bounce.data(), frame.bounce_size));
  frame.bounced = 0;
  return 0;
}

}  // namespace vitrine::cpu::translator

namespace vitrine::cpu {

bool host_supports_translator() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("aes") &&
         __builtin_cpu_supports("pclmul");
}

bool host_supports_avx512() {
  return host_supports_translator() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

std::unique_ptr<Translator> make_translator(ram::GuestRam& ram, Identity& identity, u32 processors,
                                            const TranslatorOptions& options) {
  return std::make_unique<translator::Runtime>(ram, identity, processors, options);
}

}  // namespace vitrine::cpu

namespace vitrine::cpu::translator {
extern "C" u32 vitrine_translator_callout(Frame* frame) { return frame->runtime->on_callout(*frame); }
extern "C" u32 vitrine_translator_slow_memory(Frame* frame) { return frame->runtime->on_slow_memory(*frame); }
extern "C" u32 vitrine_translator_finish(Frame* frame) { return frame->runtime->on_finish(*frame); }
}  // namespace vitrine::cpu::translator
