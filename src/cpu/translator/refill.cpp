#include "cpu/translator/refill.h"

namespace vitrine::cpu::translator {

extern "C" [[gnu::flatten]] u64 vitrine_translator_refill(const Refill* refill, Va va, AccessBits access) {
  const u64 offset = va & kPageMask;
  if (refill->off || offset + access.size() > kPageSize || (va & access.alignment_mask()) != 0) return 0;
  const AccessKind kind = access.write() ? AccessKind::write : AccessKind::read;
  const Translation walked = walk_page_tables_inline(refill->ram, refill->root, va, kind);
  if (!walked.ok()) return 0;
  const u64 frame = walked.frame.value;
  if (access.write() && (refill->with_code[frame / 64] >> frame % 64 & 1) != 0) return 0;
  ++*refill->misses;
  install(*refill->tlb, *refill->use, va, walked.host, access.write());
  return reached(access.reach(), va, reinterpret_cast<u64>(walked.host) + offset);
}

}  // namespace vitrine::cpu::translator
