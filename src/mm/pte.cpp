#include "mm/pte.h"

#include <bit>

#include "mm/memory_constants.h"

namespace vitrine::mm {
namespace {

// A valid entry keeps its exact code in bits 52-56, which the processor ignores (NT keeps a working-set index there):
// PAGE_EXECUTE and the cache bits cannot be told from hardware bits alone.
constexpr u32 kCodeShift = 52;

constexpr u32 kBaseBits = 0xFF;
constexpr u32 kModifiers = page::kGuard | page::kNoCache | page::kWriteCombine;

constexpr u8 kWriteCombineCode = 0x18;  // NT: MM_WRITECOMBINE, together with a base code

}  // namespace

// NT: MiMakeProtectionMask.
Result<Protection> protection_from_win32(u32 win32) {
  // NT: PAGE_TARGETS_INVALID and PAGE_TARGETS_NO_UPDATE (the same bit) speak to Control Flow Guard, which no process here has, and
  // go with execute protections only [Microsoft: Memory Protection Constants; seen: V8].
  constexpr u32 kTargets = 0x4000'0000, kExecuteBits = 0xF0;
  if ((win32 & kTargets) != 0) {
    if ((win32 & kExecuteBits) == 0) return Failure(Status::invalid_page_protection);
    win32 &= ~kTargets;
  }
  const u32 base = win32 & kBaseBits;
  const u32 modifiers = win32 & kModifiers;
  if ((win32 & ~(kBaseBits | kModifiers)) != 0 || !std::has_single_bit(base))
    return Failure(Status::invalid_page_protection);
  if (modifiers != 0 && (!std::has_single_bit(modifiers) || base == page::kNoAccess)) {
    return Failure(Status::invalid_page_protection);
  }
  u8 code = 0;
  switch (base) {
    case page::kNoAccess:
      return Protection{Protection::kNoAccess};
    case page::kReadOnly:
      code = Protection::kRead;
      break;
    case page::kReadWrite:
      code = Protection::kReadWrite;
      break;
    case page::kWriteCopy:
      code = Protection::kWriteCopy;
      break;
    case page::kExecute:
      code = Protection::kExecute;
      break;
    case page::kExecuteRead:
      code = Protection::kExecuteRead;
      break;
    case page::kExecuteReadWrite:
      code = Protection::kExecuteReadWrite;
      break;
    default:
      code = Protection::kExecuteWriteCopy;
      break;
  }
  if (modifiers == page::kGuard) code |= Protection::kGuard;
  if (modifiers == page::kNoCache) code |= Protection::kNoCache;
  if (modifiers == page::kWriteCombine) code |= kWriteCombineCode;
  return Protection{code};
}

u32 protection_to_win32(Protection protection) {
  if (protection.is_no_access()) return page::kNoAccess;
  u32 win32 = 0;
  switch (protection.base()) {
    case Protection::kNone:
      return 0;
    case Protection::kRead:
      win32 = page::kReadOnly;
      break;
    case Protection::kExecute:
      win32 = page::kExecute;
      break;
    case Protection::kExecuteRead:
      win32 = page::kExecuteRead;
      break;
    case Protection::kReadWrite:
      win32 = page::kReadWrite;
      break;
    case Protection::kWriteCopy:
      win32 = page::kWriteCopy;
      break;
    case Protection::kExecuteReadWrite:
      win32 = page::kExecuteReadWrite;
      break;
    default:
      win32 = page::kExecuteWriteCopy;
      break;
  }
  switch (protection.code & kWriteCombineCode) {
    case Protection::kNoCache:
      return win32 | page::kNoCache;
    case Protection::kGuard:
      return win32 | page::kGuard;
    case kWriteCombineCode:
      return win32 | page::kWriteCombine;
    default:
      return win32;
  }
}

bool is_compatible(Protection granted, Protection wanted) {
  if (wanted.is_no_access()) return true;
  const bool writes = wanted.allows_write() && !wanted.is_write_copy();
  const bool may_write = granted.allows_write() && !granted.is_write_copy();
  if (writes && !may_write) return false;
  if (wanted.allows_execute() && !granted.allows_execute()) return false;
  // Execute-only grants no reading.
  if (granted.base() == Protection::kExecute && wanted.base() != Protection::kExecute) return false;
  return !granted.is_no_access();
}

Pte Pte::valid(Pfn pfn, Protection protection, bool is_prototype) {
  u64 bits = pfn.address() | cpu::pte::kPresent | cpu::pte::kUser | cpu::pte::kAccessed;
  if (protection.is_write_copy()) {
    bits |= kCopyOnWrite;
  } else if (protection.allows_write()) {
    bits |= cpu::pte::kWrite | kSoftwareWrite;
  }
  if (!protection.allows_execute()) bits |= cpu::pte::kNoExecute;
  if (is_prototype) bits |= kPrototype;
  return {bits | u64{protection.code} << kCodeShift};
}

Protection Pte::protection() const {
  if (is_valid()) return {static_cast<u8>((bits >> kCodeShift) & 0x1F)};
  if (is_vad_lookup()) return {static_cast<u8>((bits >> 11) & 0x1F)};
  return {static_cast<u8>((bits >> 5) & 0x1F)};
}

Pte Pte::with_protection(Protection p) const {
  if (is_vad_lookup()) return vad_lookup(p);
  return {(bits & ~(0x1Full << 5)) | u64{p.code} << 5};
}

}  // namespace vitrine::mm
