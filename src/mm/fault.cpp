// The page-fault path: MmAccessFault in the order of facts 8.5. It runs to its end: pages of files come from
// FileBacking at once. Where a read has to wait for a device, `resolve` will end with "wait for this page" and the
// fault is taken again after it (prototype.cpp, make_resident).
#include "mm/fault.h"

#include <algorithm>
#include <cstring>

namespace vitrine::mm {

FaultResult AddressSpace::handle_fault(Va va, u32 error_code, ke::Mode mode) {
  Fault fault{.va = va, .page = page_floor(va), .error_code = error_code};
  fault.is_write = (error_code & cpu::page_fault::kWrite) != 0;
  fault.is_fetch = (error_code & cpu::page_fault::kFetch) != 0;
  ++fault_count_;
  ++manager_.faults_;
  FaultResult result;
  // User mode and the kernel on its behalf reach the same addresses: nothing of the kernel's is mapped.
  result.status = va < vads_.highest_plus_one() ? resolve(fault) : Status::access_violation;
  result.resolution = is_success(result.status) ? fault.resolution : FaultResolution::none;
  result.zeroed_page = fault.zeroed_page;
  result.pfn = fault.pfn;
  finish();
  record_fault(fault, result, mode);
  return result;
}

Status AddressSpace::resolve(Fault& fault) {
  const Pte pte = page_table_.get(fault.page);
  if (pte.is_valid()) return resolve_valid(fault, pte);
  Vad* vad = vads_.find(fault.page);
  if (vad == nullptr || !is_committed(*vad, fault.page, pte)) return Status::access_violation;
  Protection protection = protection_of(*vad, fault.page, pte);
  if (!fault.is_allowed_by(protection)) return Status::access_violation;
  VITRINE_TRY(hyperspace_.make_room());
  Pte now = pte;
  if (protection.is_guard()) {
    VITRINE_TRY(resolve_guard(fault, *vad, pte, protection));
    protection = protection.without_guard();
    now = page_table_.get(fault.page);
  }
  if (now.is_shadow()) return make_shadow(fault, *vad, now);
  if (now.is_transition()) {
    // A private page that was made inaccessible and is accessible again.
    make_valid(fault, now.pfn(), protection, false);
    fault.resolution = FaultResolution::soft;
    return Status::success;
  }
  const bool is_shared = !vad->is_private() && (now.is_empty() || now.is_vad_lookup());
  return is_shared ? resolve_prototype(fault, *vad, protection) : make_demand_zero(fault, protection);
}

Status AddressSpace::resolve_valid(Fault& fault, Pte pte) {
  const Protection protection = pte.protection();
  if (!fault.is_allowed_by(protection)) return Status::access_violation;
  if (fault.is_write && pte.is_copy_on_write()) return copy_on_write(fault, pte.pfn(), protection);
  fault.pfn = pte.pfn();
  fault.resolution = FaultResolution::already_valid;  // another thread was first, or the back end's copy is stale
  return Status::success;
}

// Precondition: the leaf table exists, and the working-set list has room; the frame counts this entry among its shares.
void AddressSpace::make_valid(Fault& fault, Pfn pfn, Protection protection, bool is_prototype) {
  Pte pte = Pte::valid(pfn, protection, is_prototype);
  if (fault.is_write && (pte.bits & cpu::pte::kWrite) != 0) pte.bits |= cpu::pte::kDirty;
  page_table_.set(fault.page, pte);
  if (!is_prototype) {
    manager_.memory().pfn().set_pte(pfn, page_table_.location(fault.page), Pte::demand_zero(protection), false);
  }
  fault.pfn = pfn;
  hyperspace_.add_entry();
}

// The commit was charged when the page was committed; only a frame is needed now.
Status AddressSpace::make_demand_zero(Fault& fault, Protection protection) {
  VITRINE_TRY(page_table_.ensure(fault.page));
  const auto frame = manager_.memory().pfn().allocate(FrameUse::process_private, Contents::zeroed);
  if (!frame) {
    page_table_.trim(fault.page);
    return frame.error();
  }
  if (frame->had_bytes) manager_.backend().code_written(frame->pfn);
  fault.zeroed_page = frame->was_zeroed_now;
  make_valid(fault, frame->pfn, protection, false);
  if (fault.resolution == FaultResolution::none) fault.resolution = FaultResolution::demand_zero;
  ++manager_.demand_zero_;
  return Status::success;
}

// The frame was owned and charged all along; now it gets its bytes.
Status AddressSpace::make_shadow(Fault& fault, const Vad& vad, Pte pte) {
  PfnDatabase& pfn = manager_.memory().pfn();
  const auto frame =
      pfn.activate(FrameRun{static_cast<u32>(pte.pfn().value)}, FrameUse::shadow, FrameUse::process_private);
  if (frame.had_bytes) manager_.backend().code_written(frame.pfn);
  fault.zeroed_page = true;
  make_valid(fault, frame.pfn, pte.protection(), false);
  if (PageInitializer* initializer = manager_.wiring_.initializer) {
    const std::span<std::byte, kPageSize> bytes(pfn.ram().page(frame.pfn), kPageSize);
    initializer->fill(*this, vad.start(), static_cast<u32>((fault.page - vad.start()) >> kPageShift), vad.cookie,
                      bytes);
  }
  fault.resolution = FaultResolution::shadow_fill;
  return Status::success;
}

Status AddressSpace::resolve_prototype(Fault& fault, const Vad& vad, Protection protection) {
  Segment& segment = *vad.view->segment;
  const u64 page = vad.view->first_page + ((fault.page - vad.start()) >> kPageShift);
  VITRINE_TRY(page_table_.ensure(fault.page));
  const auto resident = manager_.make_resident(segment, page);
  if (!resident) {
    page_table_.trim(fault.page);
    return resident.error();
  }
  fault.zeroed_page = resident->zeroed;
  make_valid(fault, resident->pfn, protection, true);
  fault.resolution = resident->was_read ? FaultResolution::file_read : FaultResolution::soft;
  ++(resident->was_read ? manager_.hard_ : manager_.soft_);
  if (fault.is_write && protection.is_write_copy()) return copy_on_write(fault, resident->pfn, protection);
  return Status::success;
}

// The page is mapped and shared; this process gets a copy of its own. NT copies even when it is the only one who maps
// it.
Status AddressSpace::copy_on_write(Fault& fault, Pfn source, Protection protection) {
  PfnDatabase& pfn = manager_.memory().pfn();
  const auto frame = pfn.allocate(FrameUse::process_private, Contents::any);
  if (!frame) return frame.error();
  std::memcpy(pfn.ram().page(frame->pfn), pfn.ram().page(source), kPageSize);
  if (frame->had_bytes) manager_.backend().code_written(frame->pfn);
  if (locks_.contains(fault.page)) {  // the lock follows the page
    pfn.add_reference(frame->pfn);
    pfn.drop_reference(source);
  }
  hyperspace_.remove_entry();
  make_valid(fault, frame->pfn, protection.after_copy(), false);
  manager_.drop_resident(source, false);
  fault.zeroed_page = true;
  fault.resolution = FaultResolution::copy_on_write;
  ++manager_.copies_;
  return Status::success;
}

void AddressSpace::record_fault(const Fault& fault, const FaultResult& result, ke::Mode mode) {
  trace::Event event{.type = trace::EventType::page_fault};
  if (const ExecutionSource* source = manager_.wiring_.execution) {
    const ExecutionContext now = source->current();
    event.time_ns = now.time_ns;
    event.processor = now.processor;
    event.thread_id = now.thread_id;
  }
  const u32 user = mode == ke::Mode::user ? cpu::page_fault::kUser : 0;
  const u64 resolution = static_cast<u64>(result.resolution) << 32 | static_cast<u32>(result.status);
  event.arguments = {fault.va, fault.error_code | user, resolution, result.pfn.value};
  manager_.wiring_.recorder.record(event);
}

}  // namespace vitrine::mm
