#include "cpu/translator/refill.h"

namespace vitrine::cpu::translator {
namespace {

// Every so many misses are reviewed: they should lie so many instructions apart. While they do not, accesses give up
// whose range has missed so often.
constexpr u32 kReviewed = 64;
constexpr u32 kApart = 4096;
constexpr u32 kPatience = 8;
// A range grows by so many pages to either side at once, and reaches a page of the same stretch of the host's memory
// that is so far away.
constexpr u64 kGrowth = 64, kFar = 4096;

bool has(const Tlb& tlb, Va page, bool write) {
  return (write ? tlb.write_tag : tlb.read_tag)[tlb_index(page)] == page;
}

// Pages of the guest, from `first` to `last`, that lie together on the host.
struct Run {
  Va first, last;
};

// What the TLB says of the pages around one that it has.
class Neighbours {
 public:
  Neighbours(const Tlb& tlb, bool write, u64 delta) : tlb_(tlb), write_(write), delta_(delta) {}
  // Whether all pages from `first` up to the one before `end` belong to the same run.
  [[nodiscard]] bool joined(Va first, Va end) const {
    while (first != end && joins(first)) first += kPageSize;
    return first == end;
  }
  [[nodiscard]] Run grown(Run run) const {
    for (u64 n = 0; n < kGrowth && run.first != 0 && joins(run.first - kPageSize); ++n) run.first -= kPageSize;
    for (u64 n = 0; n < kGrowth && joins(run.last + kPageSize); ++n) run.last += kPageSize;
    return run;
  }

 private:
  [[nodiscard]] bool joins(Va page) const { return has(tlb_, page, write_) && tlb_.delta[tlb_index(page)] == delta_; }
  const Tlb& tlb_;
  bool write_;
  u64 delta_;
};

// The run of `page`: the one that the range has, if it leads there.
Run run_of(const Neighbours& neighbours, const Range& range, u64 size, u64 delta, Va page) {
  constexpr u64 kFarBytes = kFar << kPageShift;
  const Va first = range.start, last = first + range.limit + size - 1 - kPageSize;
  if (range.limit == 0 || range.delta != delta) return {page, page};
  if (page >= first && page <= last) return {first, last};  // too near its end for this access
  if (page > last && page - last < kFarBytes && neighbours.joined(last + kPageSize, page)) return {first, page};
  if (page < first && first - page < kFarBytes && neighbours.joined(page + kPageSize, first)) return {page, last};
  return {page, page};
}

// The range becomes pages around `page` that the TLB has and that lie together. True: it never was so long.
// Precondition: the TLB has `page` with that right.
bool fill(Refill& refill, u32 number, Va page, AccessBits access) {
  const bool stack = number == kStackRange;
  Range& range = stack ? refill.stack_record : refill.ranges[number];
  const u64 size = stack ? kStackAccess[0] : access.size();
  const u64 delta = refill.tlb->delta[tlb_index(page)];
  const Neighbours neighbours(*refill.tlb, stack || access.write(), delta);
  const Run run = neighbours.grown(run_of(neighbours, range, size, delta, page));
  const u64 bytes = run.last - run.first + kPageSize;
  range.start = run.first;
  range.limit = bytes - size + 1;
  range.delta = delta;
  if (stack)
    *refill.stack = {run.first, {range.limit, bytes - kStackAccess[1] + 1}, delta};
  else
    refill.use->ranges.note(number, run.first, run.last);
  const u64 pages = bytes >> kPageShift;
  if (pages <= range.longest) return false;
  range.longest = static_cast<u16>(pages < 0xFFFF ? pages : 0xFFFF);
  return true;
}

void give_up(Refill& refill) {
  if (refill.scattered_count == kScattered) return;
  for (u32 n = 0; n < refill.scattered_count; ++n) {
    if (refill.scattered[n] == *refill.site) return;
  }
  refill.scattered[refill.scattered_count++] = *refill.site;
}

// The rest of the budget is for the dispatcher to hand out again, once it has translated anew.
void leave_soon(Refill& refill) {
  if (*refill.budget <= 0) return;
  refill.granted -= *refill.budget;
  *refill.budget = 0;
}

// `known`: the TLB had the page.
void note_miss(Refill& refill, Va va, AccessBits access, bool known) {
  if (access.range() == kNoRange) return;
  Range& range = access.range() == kStackRange ? refill.stack_record : refill.ranges[access.range()];
  ++*refill.range_misses;
  const bool fits = access.range() != kStackRange || has(*refill.tlb, page_floor(va), true);
  const bool grew = fits && fill(refill, access.range(), page_floor(va), access);
  if (!known || grew || !access.may_leave()) return;
  if (++refill.reviewed_misses == kReviewed) {
    const u64 now = refill.now();
    refill.often = now - refill.reviewed_at < u64{kReviewed} * kApart;
    if (!refill.often) ++refill.review;
    refill.reviewed_at = now;
    refill.reviewed_misses = 0;
    if (refill.scattered_count != 0) leave_soon(refill);
  }
  if (range.review != refill.review) range.misses = 0;
  range.review = refill.review;
  if (++range.misses < kPatience || !refill.often) return;
  range.misses = 0;
  give_up(refill);
}

u64 hit(const Refill& refill, Va va, AccessBits access) {
  return reached(access.reach(), va, va + refill.tlb->delta[tlb_index(va)]);
}

}  // namespace

extern "C" [[gnu::flatten]] u64 vitrine_translator_refill(Refill* refill, Va va, AccessBits access) {
  const u64 offset = va & kPageMask;
  if (refill->off || offset + access.size() > kPageSize || (va & access.alignment_mask()) != 0) return 0;
  const bool known = has(*refill->tlb, page_floor(va), access.write());
  if (!known) {
    const AccessKind kind = access.write() ? AccessKind::write : AccessKind::read;
    const Translation walked = walk_page_tables_inline(refill->ram, refill->root, va, kind);
    if (!walked.ok()) return 0;
    const u64 frame = walked.frame.value;
    if (access.write() && (refill->with_code[frame / 64] >> frame % 64 & 1) != 0) return 0;
    ++*refill->misses;
    install(*refill->tlb, *refill->use, va, walked.host, access.write());
  }
  note_miss(*refill, va, access, known);
  return hit(*refill, va, access);
}

extern "C" [[gnu::flatten]] u64 vitrine_translator_range_missed(Refill* refill, Va va, AccessBits access) {
  if ((va & kPageMask) + access.size() > kPageSize || !has(*refill->tlb, page_floor(va), access.write())) return 0;
  note_miss(*refill, va, access, true);
  return hit(*refill, va, access);
}

}  // namespace vitrine::cpu::translator
