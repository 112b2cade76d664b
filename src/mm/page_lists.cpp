// The states of an owned frame and the page lists [facts 8.3, 8.4].
#include "mm/pfn_entry.h"

namespace vitrine::mm {
namespace {

constexpr u32 kEnd = ~0u;  // NT: the terminator is all ones

}  // namespace

void PfnDatabase::push_back(PageLocation list, Pfn pfn) {
  List& head = lists_[static_cast<u8>(list)];
  Entry& e = entry(pfn);
  e.set_location(list);
  e.set_references(0);
  e.flink = kEnd;
  e.blink = head.tail;
  if (head.tail == kEnd)
    head.head = static_cast<u32>(pfn.value);
  else
    entry(Pfn{head.tail}).flink = static_cast<u32>(pfn.value);
  head.tail = static_cast<u32>(pfn.value);
  ++head.count;
}

void PfnDatabase::unlink(Pfn pfn) {
  Entry& e = existing(pfn);
  List& head = lists_[static_cast<u8>(e.location())];
  if (e.blink == kEnd)
    head.head = e.flink;
  else
    entry(Pfn{e.blink}).flink = e.flink;
  if (e.flink == kEnd)
    head.tail = e.blink;
  else
    entry(Pfn{e.flink}).blink = e.blink;
  e.flink = e.blink = kEnd;
  --head.count;
}

// Takes the oldest page of a list; its entry keeps only that it was touched.
bool PfnDatabase::take_listed(PageLocation list, u32& frame) {
  List& head = lists_[static_cast<u8>(list)];
  if (head.head == kEnd) return false;
  frame = head.head;
  const Pfn pfn{frame};
  if (list == PageLocation::standby && owner_ != nullptr) owner_->repurpose(pte_location(pfn), pfn);
  unlink(pfn);
  Entry& e = entry(pfn);
  e = Entry{};
  e.set(Entry::kTouched, true);
  return true;
}

void PfnDatabase::set_pte(Pfn pfn, PteLocation location, Pte original, bool is_prototype) {
  Entry& e = existing(pfn);
  VITRINE_CHECK((original.bits & Entry::kFlagsMask) == 0);
  e.original_and_flags = (e.original_and_flags & Entry::kFlagsMask) | original.bits;
  e.location_and_references =
      (e.location_and_references & ~Entry::kLocationMask) | (location.bits & Entry::kLocationMask);
  e.set(Entry::kPrototype, is_prototype);
}

PteLocation PfnDatabase::pte_location(Pfn pfn) const {
  return {existing(pfn).location_and_references & Entry::kLocationMask};
}
Pte PfnDatabase::original_pte(Pfn pfn) const { return {existing(pfn).original_and_flags & ~Entry::kFlagsMask}; }
bool PfnDatabase::is_prototype(Pfn pfn) const { return existing(pfn).has(Entry::kPrototype); }
FrameUse PfnDatabase::use(Pfn pfn) const {
  const Entry* e = find(pfn);
  return e == nullptr ? FrameUse::none : e->use();
}
// Frames that are no business of the lists (never used, runs) count as free or active by who asks: kd knows runs by
// owner.
PageLocation PfnDatabase::location(Pfn pfn) const {
  const Entry* e = find(pfn);
  if (e != nullptr) return e->location();
  return pfn.value >= low_ && pfn.value < high_ ? PageLocation::free : PageLocation::active;
}

void PfnDatabase::add_share(Pfn pfn) {
  Entry& e = existing(pfn);
  VITRINE_CHECK(e.location() == PageLocation::active && e.blink > 0);
  ++e.blink;
}

u32 PfnDatabase::drop_share(Pfn pfn) {
  Entry& e = existing(pfn);
  VITRINE_CHECK(e.location() == PageLocation::active && e.blink > 0);
  const u32 left = --e.blink;
  if (left == 0) {
    e.set_location(PageLocation::transition);
    drop_reference(pfn);
  }
  return left;
}

u32 PfnDatabase::share_count(Pfn pfn) const {
  const Entry& e = existing(pfn);
  return e.location() == PageLocation::active ? e.blink : 0;
}

void PfnDatabase::add_reference(Pfn pfn) {
  Entry& e = existing(pfn);
  VITRINE_CHECK(e.references() > 0);
  e.set_references(e.references() + 1);
}

void PfnDatabase::drop_reference(Pfn pfn) {
  Entry& e = existing(pfn);
  VITRINE_CHECK(e.references() > 0);
  e.set_references(e.references() - 1);
  if (e.references() == 0) release_to_list(pfn);
}

u32 PfnDatabase::reference_count(Pfn pfn) const { return existing(pfn).references(); }

void PfnDatabase::release_to_list(Pfn pfn) {
  Entry& e = existing(pfn);
  --uses_[static_cast<u8>(e.use())];
  if (e.has(Entry::kDeleted)) {
    e = Entry{};
    e.set(Entry::kOwned | Entry::kTouched, true);
    push_back(PageLocation::free, pfn);
    return;
  }
  push_back(e.has(Entry::kModified) ? PageLocation::modified : PageLocation::standby, pfn);
}

void PfnDatabase::mark_modified(Pfn pfn, bool modified) { existing(pfn).set(Entry::kModified, modified); }
bool PfnDatabase::is_modified(Pfn pfn) const { return existing(pfn).has(Entry::kModified); }

void PfnDatabase::reactivate(Pfn pfn) {
  Entry& e = existing(pfn);
  if (e.location() == PageLocation::transition) {  // referenced (locked, I/O) without a mapping
    e.set_references(e.references() + 1);
  } else {
    VITRINE_CHECK(e.location() == PageLocation::standby || e.location() == PageLocation::modified ||
                  e.location() == PageLocation::modified_no_write);
    unlink(pfn);
    e.set_references(1);
    ++uses_[static_cast<u8>(e.use())];
  }
  e.set_location(PageLocation::active);
  e.flink = 0;
  e.blink = 1;
}

void PfnDatabase::free(Pfn pfn) {
  Entry& e = existing(pfn);
  e.set(Entry::kDeleted, true);
  if (e.location() == PageLocation::active) {
    e.set_location(PageLocation::transition);
    drop_reference(pfn);
  } else if (e.location() != PageLocation::transition) {
    VITRINE_CHECK(e.location() != PageLocation::free && e.location() != PageLocation::zeroed);
    unlink(pfn);
    e = Entry{};
    e.set(Entry::kOwned | Entry::kTouched, true);
    push_back(PageLocation::free, pfn);
  }
}

void PfnDatabase::written(Pfn pfn) {
  Entry& e = existing(pfn);
  e.set(Entry::kModified, false);
  if (e.location() != PageLocation::modified) return;
  unlink(pfn);
  push_back(PageLocation::standby, pfn);
}

void PfnDatabase::mark_bad(Pfn pfn) {
  Entry& e = existing(pfn);
  VITRINE_CHECK(e.location() == PageLocation::free || e.location() == PageLocation::zeroed);
  unlink(pfn);
  push_back(PageLocation::bad, pfn);
}

void PfnDatabase::add_used_entry(Pfn table) {
  Entry& e = existing(table);
  VITRINE_CHECK(e.use() == FrameUse::page_table && e.flink < 512);
  ++e.flink;
}

u32 PfnDatabase::drop_used_entry(Pfn table) {
  Entry& e = existing(table);
  VITRINE_CHECK(e.use() == FrameUse::page_table && e.flink > 0);
  return --e.flink;
}

u32 PfnDatabase::used_entries(Pfn table) const { return existing(table).flink; }

bool PfnDatabase::zero_one_free_page() {
  u32 frame = 0;
  if (!take_listed(PageLocation::free, frame)) return false;
  const Pfn pfn{frame};
  ram_.zero_page(pfn);
  entry(pfn).set(Entry::kOwned, true);
  push_back(PageLocation::zeroed, pfn);
  return true;
}

u32 PfnDatabase::list_next(Pfn pfn) const { return existing(pfn).flink; }

}  // namespace vitrine::mm
