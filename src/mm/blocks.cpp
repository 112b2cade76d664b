// Ranges that the kernel makes for threads and processes: TEBs, PEBs, user stacks, shared user data.
#include <algorithm>

#include "mm/address_space.h"

namespace vitrine::mm {
namespace {

constexpr u64 kStackRounding = 1ull << 20;  // NT: a stack whose commit fills its reserve is reserved in megabytes

}  // namespace

// NT: MiCreatePebOrTeb [facts 1.5]. The frames are taken now, as MmCreateTeb's first writes would; their bytes are made
// later.
Result<Va> AddressSpace::create_shadow_block(u32 pages, u64 cookie) {
  const trace::CallScope scope(manager_.wiring_.pool.calls(), "MiCreatePebOrTeb");
  constexpr u32 kMaximumPages = 16;
  VITRINE_CHECK(pages > 0 && pages <= kMaximumPages);
  const u64 bytes = u64{pages} * kPageSize;
  const auto start = find_room(bytes, kPageSize, 0, true);
  if (!start) return Failure(start.error());
  const auto made = new_vad(*start, *start + bytes, false, true);
  if (!made) return Failure(made.error());
  Vad& vad = **made;
  vad.set_protection({Protection::kReadWrite});
  vad.no_change_ = vad.secured_ = vad.shadow_ = 1;
  vad.cookie = cookie;
  Status status = charge(vad, pages);
  PfnDatabase& pfn = manager_.memory().pfn();
  for (u32 i = 0; i < pages && is_success(status); ++i) {
    const Va va = *start + i * kPageSize;
    status = page_table_.ensure(va);
    if (!is_success(status)) break;
    const auto run = pfn.allocate_run(1, FrameUse::shadow);
    if (!run) {
      page_table_.trim(va);
      status = run.error();
      break;
    }
    page_table_.set(va, Pte::shadow(pfn.frame_of_run(*run, 0), vad.protection()));
  }
  if (!is_success(status)) {
    drop_private(vad);
    return Failure(status);
  }
  finish();
  return *start;
}

Status AddressSpace::commit_shadow_page(Va va) {
  Vad* vad = vads_.find(va);
  VITRINE_CHECK(va % kPageSize == 0 && vad != nullptr && vad->is_private() && !vad->is_committed());
  VITRINE_TRY(charge(*vad, 1));
  PfnDatabase& pfn = manager_.memory().pfn();
  Status status = page_table_.ensure(va);
  if (is_success(status)) {
    if (const auto run = pfn.allocate_run(1, FrameUse::shadow)) {
      page_table_.set(va, Pte::shadow(pfn.frame_of_run(*run, 0), vad->protection()));
    } else {
      page_table_.trim(va);
      status = run.error();
    }
  }
  if (!is_success(status)) uncharge(*vad, 1);
  finish();
  return status;
}

void AddressSpace::delete_shadow_block(Va va) {
  Vad* vad = vads_.find(va);
  VITRINE_CHECK(vad != nullptr && vad->shadow_ != 0);
  drop_private(*vad);
}

void AddressSpace::drop_private(Vad& vad) {
  delete_entries(vad.start(), vad.end());
  uncharge(vad, vad.commit_charge());
  delete_vad(vad);
  finish();
}

// NT: RtlCreateUserStack reserves, commits the top, and makes the pages below it guards.
Result<UserStack> AddressSpace::create_user_stack(u64 reserve_bytes, u64 commit_bytes, u32 zero_bits) {
  const trace::CallScope scope(manager_.wiring_.pool.calls(), "RtlCreateUserStack");
  const u64 largest = vads_.highest_plus_one() - vads_.lowest();
  if (reserve_bytes > largest || commit_bytes > largest) return Failure(Status::no_memory);
  const u64 commit_size = std::max(page_ceil(commit_bytes), kPageSize);
  u64 reserve_size = std::max(align_up(reserve_bytes, kAllocationGranularity), kAllocationGranularity);
  if (commit_size >= reserve_size) reserve_size = align_up(commit_size + 1, kStackRounding);
  // At least one page stays between guard and bottom: it is never committed.
  const u64 wanted_guard = std::max<u64>(manager_.profile().user.stack_guard_pages, 1) * kPageSize;
  const u64 guard_size =
      std::min(wanted_guard, reserve_size - commit_size - std::min(reserve_size - commit_size, kPageSize));

  AllocateRequest request{
      .size = reserve_size, .zero_bits = zero_bits, .type = mem::kReserve, .protect = page::kReadWrite};
  const auto range = allocate(request);
  if (!range) return Failure(range.error());
  Vad& vad = *vads_.find(range->base);
  const Va base = range->base + reserve_size;
  const Va limit = base - commit_size;
  constexpr Protection kPlain{Protection::kReadWrite};
  constexpr Protection kGuarded{Protection::kReadWrite | Protection::kGuard};
  Status status = commit_private(vad, limit, base, kPlain);
  if (is_success(status) && guard_size != 0) status = commit_private(vad, limit - guard_size, limit, kGuarded);
  if (!is_success(status)) {
    drop_private(vad);
    return Failure(status);
  }
  finish();
  return UserStack{range->base, limit, base};
}

Status AddressSpace::map_shared_frame(Va va, Pfn pfn, SharedFrameUse use) {
  VITRINE_CHECK(va % kPageSize == 0 && manager_.memory().pfn().use(pfn) == FrameUse::system);
  VITRINE_TRY(check_room(va, va + kPageSize));
  VITRINE_TRY(hyperspace_.make_room());
  const auto made = new_vad(va, va + kPageSize, false, false);
  if (!made) return made.error();
  Vad& vad = **made;
  vad.set_type(VadType::device_physical);
  vad.set_protection({use == SharedFrameUse::code ? Protection::kExecuteRead : Protection::kRead});
  vad.no_change_ = vad.secured_ = vad.mem_commit_ = 1;
  const Status status = page_table_.put(va, Pte::valid(pfn, vad.protection(), false));
  if (!is_success(status)) {
    delete_vad(vad);
    return status;
  }
  hyperspace_.add_entry();
  finish();
  return Status::success;
}

}  // namespace vitrine::mm
