// Guard pages and the stacks that grow by them. NT: MiCheckForUserStackOverflow [behaviour: facts 8.14, WI6p2 ch. 10
// "Stacks"].
//
// A guard page is hit once: it becomes an ordinary page. Inside the current thread's stack that is no exception: the
// pages below become the new guard and TEB.StackLimit moves down to the page that was hit. When a whole guard does not
// fit above the lowest page any more (that page is never committed), the stack is at its end: the pages left are made
// ordinary, so that a handler has room, and the thread gets STATUS_STACK_OVERFLOW.
#include <algorithm>
#include <cstddef>

#include "abi/teb.h"
#include "mm/fault.h"

namespace vitrine::mm {
namespace {

struct StackFields {
  Va base, limit, deallocation;
  u32 guaranteed_bytes;
};

template <typename T>
bool load(AddressSpace& space, Va va, T& into) {
  const auto value = space.read_value<T>(va);
  if (value) into = *value;
  return value.has_value();
}

// What the thread's TEB says; user mode can write anything there, so the caller bounds it.
bool read_stack(AddressSpace& space, Va teb, StackFields& out) {
  return load(space, teb + offsetof(abi::Teb, stack_base), out.base) &&
         load(space, teb + offsetof(abi::Teb, stack_limit), out.limit) &&
         load(space, teb + offsetof(abi::Teb, deallocation_stack), out.deallocation) &&
         load(space, teb + offsetof(abi::Teb, guaranteed_stack_bytes), out.guaranteed_bytes);
}

}  // namespace

Status AddressSpace::resolve_guard(Fault& fault, Vad& vad, Pte pte, Protection protection) {
  const Protection plain = protection.without_guard();
  if (vad.is_private())
    VITRINE_TRY(set_entry_protection(fault.page, pte, plain));
  else
    VITRINE_TRY(set_view_protection(fault.page, pte, plain));
  bool is_stack = false;
  const Status status = grow_stack(fault, vad, is_stack);
  return is_stack ? status : Status::guard_page_violation;
}

Status AddressSpace::grow_stack(Fault& fault, Vad& vad, bool& is_stack) {
  const ExecutionSource* source = manager_.wiring_.execution;
  if (source == nullptr || !vad.is_private()) return Status::success;
  const ExecutionContext now = source->current();
  StackFields stack{};
  if (now.space != this || now.teb == 0 || !read_stack(*this, now.teb, stack)) return Status::success;
  const Va lowest = stack.deallocation;
  if (lowest % kPageSize != 0 || lowest < vad.start() || stack.base > vad.end() || lowest >= stack.base) {
    return Status::success;
  }
  if (fault.page < lowest || fault.page >= stack.base) return Status::success;
  is_stack = true;
  fault.resolution = FaultResolution::stack_growth;

  const u64 configured = u64{manager_.profile().user.stack_guard_pages} * kPageSize;
  const u64 guard_bytes = std::max<u64>({configured, page_ceil(stack.guaranteed_bytes), kPageSize});
  // Guard pages between the hit and the old limit were jumped over: they are inside the stack now.
  const Va old_limit = std::min(page_floor(stack.limit), stack.base);
  for (Va va = fault.page + kPageSize; va < old_limit; va += kPageSize) drop_guard(vad, va);

  const bool at_end = fault.page - lowest < guard_bytes + kPageSize;
  const Va guard_start = at_end ? std::min(lowest + kPageSize, fault.page) : fault.page - guard_bytes;
  const Protection guard{static_cast<u8>(Protection::kReadWrite | Protection::kGuard)};
  Status status = at_end ? Status::stack_overflow : Status::success;
  for (Va va = guard_start; va < fault.page; va += kPageSize) {
    const Pte pte = page_table_.get(va);
    if (is_committed(vad, va, pte)) {
      // NT commits the page below again as a guard, which for a committed page changes its protection. So a stack that
      // overflowed grows, and overflows, anew once any page of it was made a guard: what _resetstkoflw relies on.
      if (at_end) {
        drop_guard(vad, va);
      } else if (!is_success(set_entry_protection(va, pte, guard))) {
        status = Status::stack_overflow;
        break;
      }
    } else if (!is_success(charge(vad, 1))) {
      status = Status::stack_overflow;  // NT: no commit for the next page is the end of the stack as well
      break;
    } else if (!is_success(page_table_.put(va, Pte::demand_zero(at_end ? guard.without_guard() : guard)))) {
      uncharge(vad, 1);
      status = Status::stack_overflow;
      break;
    }
  }
  const Va new_limit = at_end ? guard_start : fault.page;
  // Also upwards: a guard that was set again above the old limit is the stack's limit once more.
  if (new_limit != stack.limit) VITRINE_TRY(write_value(now.teb + offsetof(abi::Teb, stack_limit), new_limit));
  return status;
}

void AddressSpace::drop_guard(Vad& vad, Va va) {
  const Pte pte = page_table_.get(va);
  if (!is_committed(vad, va, pte)) return;
  const Protection protection = protection_of(vad, va, pte);
  // Without a frame for a table (only untouched pages need one) the page stays a guard: its hit will be handled then.
  if (protection.is_guard()) static_cast<void>(set_entry_protection(va, pte, protection.without_guard()));
}

}  // namespace vitrine::mm
