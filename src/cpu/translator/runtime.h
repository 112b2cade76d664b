// Runtime: the translator's run loop and everything that C++ does on behalf of generated code: it finds or makes
// blocks, explains exits, fills the software TLB and executes the instructions that are not translated.
//
// Owns the code cache. Spaces register themselves. One host thread at a time, except `kick`.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "cpu/translator/block_translator.h"
#include "cpu/translator/debug_registers.h"
#include "cpu/translator/space.h"
#include "cpu/translator/translator.h"

namespace vitrine::cpu::translator {

// What a helper did with its instruction.
enum class HelperResult : u8 {
  next,      // done; go on in the block
  leave,     // done; return to the dispatcher (Runtime::helper_rip says where to go on)
  fault,     // nothing was changed; Runtime::raise or a failed access said why
  not_mine,  // of a family that does not know the instruction
};

struct Fault {
  Vector vector{};
  u32 error_code = 0;
  Va address = 0;
};

class Runtime final : public Translator {
 public:
  Runtime(ram::GuestRam& ram, Identity& identity, u32 processors, const TranslatorOptions& options);
  ~Runtime() override;

  std::unique_ptr<Space> create_space(Pfn root) override;
  Exit run(u32 processor, Space& space, GuestContext& context, u64 budget) override;
  void commit(std::span<const PteEdit> edits) override;
  void flush(Space& space) override;
  void code_written(Pfn pfn) override;
  void kick(u32 processor) override;
  const std::vector<Unsupported>& unsupported() const override { return unsupported_; }
  TranslatorStatistics statistics() const override { return statistics_; }

  void add_space(TranslatorSpace& space);
  void remove_space(TranslatorSpace& space);
  // For the frame of a new space; the rest is the space's.
  [[nodiscard]] Refill refill() {
    Refill refill;
    refill.ram = {ram_.base(), ram_.page_count()};
    refill.with_code = cache_.with_code();
    refill.misses = &statistics_.tlb_misses;
    refill.range_misses = &statistics_.range_misses;
    return refill;
  }

  // For the stubs.
  u32 on_callout(Frame& frame);
  u32 on_slow_memory(Frame& frame);
  u32 on_finish(Frame& frame);

  // For helpers. The guest state is Frame; what is not in it is in `context`.
  [[nodiscard]] Frame& frame() { return *frame_; }
  [[nodiscard]] GuestContext& context() { return *context_; }
  [[nodiscard]] Identity& identity() { return identity_; }
  [[nodiscard]] u32 processor() const { return processor_; }
  [[nodiscard]] u64 retired_before(const Site& site) const;
  [[nodiscard]] u64 rflags() const;
  void set_rflags(u64 value);
  // User-mode accesses of at most a page. On failure nothing is changed, `fault` is set and they return false. `stack`:
  // SS-relative.
  [[nodiscard]] bool read(Va va, void* to, u64 bytes, bool stack = false);
  [[nodiscard]] bool write(Va va, const void* from, u64 bytes, bool stack = false);
  // Whether `write` would succeed; on failure as it fails.
  [[nodiscard]] bool may_write(Va va, u64 bytes, bool stack = false);
  // True if an access to some of these bytes would meet a data breakpoint: no bulk work there.
  [[nodiscard]] bool watched(Va va, u64 bytes) const {
    return debug_.watches() && debug_.at_access(va, bytes, true) != 0;
  }
  [[nodiscard]] bool met_breakpoint() const { return debug_.met(); }
  // Whether an access of a masked instruction meets a data breakpoint that its block is too long for; then it has to be
  // run again as a block of its own.
  [[nodiscard]] bool must_step_over(const Site& site, Va va, u64 bytes, bool write);
  // The components that XGETBV names.
  [[nodiscard]] u64 state_components() const { return options_.avx512 ? 0xE7 : 7; }
  // The host bytes of a guest page, for bulk work; null: fault set. A write drops translations of the page.
  [[nodiscard]] std::byte* host_page(Va va, bool write, bool stack = false);
  HelperResult raise(Vector vector, u32 error_code = 0);
  void set_helper_rip(Va rip) { helper_rip_ = rip; }
  // RF is set once the current instruction has run.
  void resume_after() { resume_ = keep_resume_ = true; }
  void load_x87();
  void store_x87();
  void note_unmasked_exceptions();
  // An unmasked x87 exception waits for the next x87 instruction.
  [[nodiscard]] bool x87_error_pending() const;

 private:
  struct Pass;  // one run: what is left of the budget and where the guest is

  void load_context(GuestContext& context);
  void load_avx512(GuestContext& context);
  void store_avx512(GuestContext& context) const;
  u32 leave_callout(Frame& frame);
  void store_context();
  void step(Pass& pass);
  [[nodiscard]] const u8* find_entry(Pass& pass, Variant variant, bool once);
  [[nodiscard]] Block* find_block(Va rip, Variant variant, u32 follows = kNoExit);
  [[nodiscard]] Block* make_block(Va rip, const Translation& first, Variant variant, bool cached, u32 follows = kNoExit);
  [[nodiscard]] const Translation* fetch(Va va);
  void translate_scattered();
  bool drop_blocks(Pfn frame);
  void after_chain(Pass& pass);
  void after_side(Pass& pass);
  void after_far(Pass& pass);
  void after_rip(Pass& pass, u32 single);
  [[nodiscard]] TranslatorSpace::Misses misses() const { return {stubs_.exit_rip, stubs_.exit_far}; }
  [[nodiscard]] u64 consumed(bool counted) const;
  [[nodiscard]] const u8* known_entry(Va rip, Variant variant) const;
  void after_helper(Pass& pass);
  void after_special(Pass& pass, const Site& site);
  void after_host_fault(Pass& pass);
  void finish_exception(Pass& pass, const Fault& fault);
  void refuse(const Site& site);
  [[nodiscard]] bool meets_execution_breakpoint(Pass& pass);
  [[nodiscard]] bool note_watched_access(const Site& site, Va va);
  void report_debug_conditions(Pass& pass, bool trap, bool advanced);
  void load_breakpoints();
  void invalidate(Pfn frame);
  void flush_cache();
  [[nodiscard]] bool translate_access(Va va, u64 bytes, bool write, bool stack, std::byte** hosts);

  ram::GuestRam& ram_;
  Identity& identity_;
  TranslatorOptions options_;
  CodeCache cache_;
  Stubs stubs_;
  BlockTranslator blocks_;
  std::vector<TranslatorSpace*> spaces_;
  std::unique_ptr<std::atomic<bool>[]> kicked_;
  u32 processors_;
  u64 cache_generation_ = 0;

  // Of the run in progress.
  u32 processor_ = 0;
  TranslatorSpace* space_ = nullptr;
  GuestContext* context_ = nullptr;
  Frame* frame_ = nullptr;
  u64 retired_ = 0;  // up to the last entry into generated code
  u64 retired_in_runs_before_ = 0;
  Fault fault_;
  HelperResult helper_result_ = HelperResult::next;
  Va helper_rip_ = 0;
  bool retry_without_code_ =
      false;                  // the current instruction writes its own page: step over it with a block that is not kept
  bool step_over_ = false;    // the current instruction meets a data breakpoint: run it as a block of its own
  bool resume_ = false;       // RF
  bool keep_resume_ = false;  // RF outlives the instruction: it repeats and has stopped half-way, or it is IRET
  DebugRegisters debug_;
  HotPages hot_pages_;

  std::vector<Unsupported> unsupported_;
  TranslatorStatistics statistics_;
};

// helpers.cpp: executes one instruction in C++.
[[nodiscard]] HelperResult execute_helper(Runtime& runtime, const Site& site);
// helpers_string.cpp: a repeated string instruction, at most `limit` (> 0) iterations. `done`: iterations executed (at
// least one unless it faults; one with a zero count); `finished`: RIP moves on.
struct StringResult {
  u64 done = 0;
  bool finished = false;
  bool fault = false;
};
[[nodiscard]] StringResult execute_string(Runtime& runtime, const Instruction& instruction, u64 limit);
[[nodiscard]] Va effective_address(const Frame& frame, const MemoryOperand& operand);

}  // namespace vitrine::cpu::translator
