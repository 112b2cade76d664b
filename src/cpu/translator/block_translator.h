// BlockTranslator: turns the guest instructions at one address into one Block. Knows how each Form is emitted; knows
// nothing of page tables or of the run loop.
//
// Invariants of the code it emits:
//  - Wherever C++ can gain control, every guest register is as before the current instruction and the true flags are in
//  Frame::flags.
//  - `flags_` says where the true arithmetic flags are at each point of the emission; nothing clobbers the host's flags
//  before they are saved.
//  - A block takes its instructions off Frame::budget exactly once, at the first point where the host's flags are free.
//  - Links go only to blocks of the same page; every other direct jump goes where its space says (Frame::far).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "cpu/translator/access_groups.h"
#include "cpu/translator/code_cache.h"
#include "cpu/translator/decode_memo.h"
#include "cpu/translator/hot_pages.h"
#include "cpu/translator/stubs.h"
#include "cpu/translator/translator.h"

namespace vitrine::cpu::translator {

inline constexpr u32 kMaxBlock = 64;
// The budget check of a block comes after at most so many of its instructions; Frame::budget is the budget less this,
// so that a late check never overruns. In counted blocks it is the whole budget.
inline constexpr u32 kLatestCheck = 12;
inline constexpr i64 kBudgetReserve = kLatestCheck;

struct BlockRequest {
  Va va = 0;
  Pfn frame;
  std::span<const u8> code;  // the page of `va`; from `va` across its end, for a crossing block
  Va code_at = 0;            // of its first byte
  bool crossing = false;
  Pfn second_frame;
  Variant variant;
  bool cached = true;
  const HotPages* hot_pages = nullptr;
  u64 now = 0;  // instructions that have run
  u32 follows = kNoExit;  // the chain exit that leads to it; it is linked if there is a block in the end
};

class BlockTranslator {
 public:
  BlockTranslator(CodeCache& cache, const Stubs& stubs, const TranslatorOptions& options);

  // Precondition: the cache has room. Null: the first instruction is cut off by the end of `code`.
  [[nodiscard]] Block* translate(const BlockRequest& request);

 private:
  // `lost`: nowhere, and dead; a fault makes them again (flag_recovery.h).
  enum class Flags : u8 { host, saved, both, lost };
  struct Access {
    MemoryOperand address;
    u16 size = 0;
    bool write = false;
    bool aligned = false;
    bool flat = false;      // scratch 1 is free for the operation
    bool implicit = false;  // the stack access of push, pop, call, ret, leave
  };
  struct LookUp {
    u8* missed = nullptr;      // the jump that is taken on a miss
    u8* misaligned = nullptr;  // the same; null: there is none
    HostMemory combined;       // what scratch 0 was combined with; once more, and it is the address again
    u32 combine = 0;           // by this opcode; 0: it is the address
    u32 range = kNoRange;      // the entry of the range cache; none: it asked the TLB
  };
  // What is emitted on a host operand: refers to a callable that outlives the call it is passed to.
  class Operation {
   public:
    template <typename Callable>
    Operation(const Callable& callable)  // NOLINT(google-explicit-constructor): a lambda is passed as one
        : callable_(&callable),
          call_([](const void* at, HostMemory memory) { (*static_cast<const Callable*>(at))(memory); }) {}
    void operator()(HostMemory memory) const { call_(callable_, memory); }

   private:
    const void* callable_;
    void (*call_)(const void*, HostMemory);
  };
  struct Rewrite {
    std::array<i8, 16> map;  // guest register to host register
    const HostMemory* memory = nullptr;
  };

  // block_translator.cpp
  bool decode(const BlockRequest& request);
  [[nodiscard]] std::optional<Va> next_in_block(const Instruction& instruction, const BlockRequest& request) const;
  [[nodiscard]] bool is_last() const { return index_ + 1 == count_; }
  [[nodiscard]] Va end() const { return count_ == 0 ? block_->va : instructions_[count_ - 1].next(); }
  void emit_instruction();
  void emit_end();
  void clobber_flags();
  void free_flags();
  void emit_recover_flags();
  void emit_flag_operation(FlagSource::Operation operation);
  void keep_flag_inputs();
  void note_written_inputs();
  [[nodiscard]] std::span<const Instruction> block_span() const { return {instructions_.data(), count_}; }
  [[nodiscard]] Variant next_variant() const;
  void require_flags();
  void save_flags();
  void emit_budget_check(bool with_current);
  void emit_count();
  [[nodiscard]] Site site_at(u16 at) const;
  u32 make_site(u16 at);
  [[nodiscard]] bool needs_flags() const;
  void emit_x87_check();
  void emit_x87_address();
  void emit_special();
  void emit_helper();
  void emit_no_code();
  [[nodiscard]] Emitter& e() { return *emitter_; }
  [[nodiscard]] const Instruction& current() const { return instructions_[index_]; }

  // emit_memory.cpp
  void emit_address(const MemoryOperand& address);
  [[nodiscard]] u32 range_of(const Access& access, Reach reach);
  [[nodiscard]] LookUp emit_look_up(const Access& access, Reach reach);
  [[nodiscard]] LookUp emit_range_look_up(const Access& access, Reach reach, u32 number);
  void emit_missed(const LookUp& look_up);
  [[nodiscard]] HostMemory reached(const MemoryOperand& address, Reach reach, bool flat) const;
  void emit_access(const Access& access, const Operation& operation);
  void open_group(const Access& access, AccessGroup& group, i64 position);
  [[nodiscard]] bool group_is_open(bool implicit);
  void emit_slow_path(const Access& access, const LookUp& look_up, u8* operation_at, const Operation& operation);
  [[nodiscard]] Access access_of(const Instruction& instruction) const;

  // emit_plain.cpp
  void emit_plain();
  void emit_plain_memory();
  void emit_plain_high8();
  void emit_masked();
  void emit_rewritten_evex(const Instruction& instruction, const Rewrite& rewrite);
  void emit_rewritten(const Instruction& instruction, const Rewrite& rewrite);
  void emit_lea();
  void emit_divide();
  void emit_divide_checks(u8 bytes, bool is_signed);

  // emit_stack.cpp
  void emit_push();
  void emit_pop();
  void emit_leave();
  void emit_push_value(u64 value);
  void emit_load_guest(int host, int guest);
  void emit_store_guest(int guest, int host);

  // emit_control.cpp
  void emit_jump();
  void emit_jump_if();
  void emit_side_exit();
  void emit_jump_counted();
  void emit_call();
  void emit_return();
  u32 emit_go_to(Va target);
  void emit_go_to_indirect();
  void emit_leave_for();
  void emit_target_to_temporary(const ZydisDecodedOperand& operand);
  // The chain exit that is yet to be linked, or kNoExit.
  u32 link(u8* displacement, Va target, Variant variant);
  [[nodiscard]] bool may_link(Va target) const;
  [[nodiscard]] bool may_chain() const;

  CodeCache& cache_;
  const Stubs& stubs_;
  const TranslatorOptions& options_;
  DecodeMemo decoder_;

  std::vector<Instruction> instructions_;  // reused; `count_` of them are the block
  u32 count_ = 0;
  u64 now_ = 0;  // BlockRequest::now
  AccessGroups groups_;
  const AccessGroup* in_scratch0_ = nullptr;  // whose host address scratch 0 still holds
  bool undecodable_ = false;                  // the block is one byte string that is no instruction
  u32 index_ = 0;
  Block* block_ = nullptr;
  Emitter* emitter_ = nullptr;
  Flags flags_ = Flags::saved;
  FlagSource flag_source_;  // of the flags that are in the host's register, or lost
  bool check_pending_ = false;
  const HotPages* ranges_ = nullptr;  // null: accesses do not use the range cache
  bool hot_ = false;                  // the page is hot
  bool x87_checked_ = false;
};

}  // namespace vitrine::cpu::translator
