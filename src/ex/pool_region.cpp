#include "ex/pool_region.h"

#include <algorithm>
#include <new>

#include "base/check.h"

namespace vitrine::ex {
namespace {

// Sets or clears bits [first, first + length). Returns false when one of them already had that value.
bool change_bits(u64* words, u32 first, u32 length, bool set) {
  bool all_changed = true;
  while (length > 0) {
    const u32 offset = first % 64;
    const u32 here = std::min(64 - offset, length);
    const u64 mask = (here == 64 ? ~u64{0} : ((u64{1} << here) - 1)) << offset;
    u64& word = words[first / 64];
    all_changed &= (word & mask) == (set ? 0 : mask);
    word = set ? word | mask : word & ~mask;
    first += here;
    length -= here;
  }
  return all_changed;
}

}  // namespace

PoolRegion::PoolRegion(PoolType type, sim::Region region, u32 granule_bytes, PageSource* source)
    : type_(type),
      region_(region),
      source_(source),
      granules_per_page_(static_cast<u32>(kPageSize / granule_bytes)),
      words_per_page_(granules_per_page_ / 64),
      page_count_(region.bytes / kPageSize) {
  VITRINE_CHECK(granules_per_page_ <= kMaximumGranules && words_per_page_ > 0);
  VITRINE_CHECK((region.start & kPageMask) == 0 && page_count_ < kNone);
  heads_.fill(kNone);
}

const PoolRegion::SharedPage* PoolRegion::find_shared(u64 page) const {
  const u64 chunk = page / kPagesPerChunk;
  if (chunk >= chunks_.size() || chunks_[chunk] == nullptr) return nullptr;
  const SharedPage& record = chunks_[chunk]->pages[page % kPagesPerChunk];
  return record.largest == kNotShared ? nullptr : &record;
}

void PoolRegion::link(u32 page) {
  SharedPage& record = shared(page);
  if (record.largest == 0) return;
  u32& head = heads_[record.largest];
  record.previous = kNone;
  record.next = head;
  if (head != kNone) shared(head).previous = page;
  head = page;
  nonempty_[record.largest / 64] |= u64{1} << (record.largest % 64);
}

void PoolRegion::unlink(u32 page) {
  SharedPage& record = shared(page);
  if (record.largest == 0) return;
  if (record.next != kNone) shared(record.next).previous = record.previous;
  if (record.previous != kNone) {
    shared(record.previous).next = record.next;
    return;
  }
  heads_[record.largest] = record.next;
  if (record.next == kNone) nonempty_[record.largest / 64] &= ~(u64{1} << (record.largest % 64));
}

PoolRegion::Runs PoolRegion::scan(const u64* words, u32 wanted) const {
  Runs runs{{0, 0}, 0};
  const auto next = [&](u32 from, bool used) {
    while (from < granules_per_page_) {
      const u64 word = (used ? words[from / 64] : ~words[from / 64]) >> (from % 64);
      if (word != 0) return from + static_cast<u32>(std::countr_zero(word));
      from = (from / 64 + 1) * 64;
    }
    return granules_per_page_;
  };
  for (u32 first = next(0, false); first < granules_per_page_;) {
    const u32 end = next(first, true);
    const u32 length = end - first;
    runs.largest = std::max(runs.largest, length);
    if (length >= wanted && (runs.best.length == 0 || length < runs.best.length)) runs.best = {first, length};
    first = next(end, false);
  }
  return runs;
}

Result<u32> PoolRegion::new_shared_page() {
  const Result<u64> page = allocate_pages(1);
  if (!page) return Failure(page.error());
  const u64 chunk = *page / kPagesPerChunk;
  if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
  if (chunks_[chunk] == nullptr) {
    chunks_[chunk] = std::make_unique<Chunk>();
    chunks_[chunk]->bits = std::make_unique<u64[]>(u64{kPagesPerChunk} * words_per_page_);
  }
  const u32 number = static_cast<u32>(*page);
  std::fill_n(bits(number), words_per_page_, 0);
  shared(number).free = shared(number).largest = static_cast<u16>(granules_per_page_);
  link(number);
  return number;
}

Result<u64> PoolRegion::allocate_granules(u32 granules) {
  VITRINE_CHECK(granules > 0 && granules < granules_per_page_);
  u32 page = kNone;
  u64 word_mask = ~u64{0} << (granules % 64);
  for (u32 word = granules / 64; word < nonempty_.size(); ++word, word_mask = ~u64{0}) {
    const u64 candidates = nonempty_[word] & word_mask;
    if (candidates == 0) continue;
    page = heads_[word * 64 + static_cast<u32>(std::countr_zero(candidates))];
    break;
  }
  if (page == kNone) {
    const Result<u32> fresh = new_shared_page();
    if (!fresh) return Failure(fresh.error());
    page = *fresh;
  }
  const Run run = scan(bits(page), granules).best;
  VITRINE_CHECK(run.length >= granules);
  unlink(page);
  VITRINE_CHECK(change_bits(bits(page), run.first, granules, true));
  SharedPage& record = shared(page);
  record.free = static_cast<u16>(record.free - granules);
  record.largest = static_cast<u16>(scan(bits(page), granules_per_page_).largest);
  link(page);
  return u64{page} * granules_per_page_ + run.first;
}

void PoolRegion::free_granules(u64 first, u32 granules) {
  const u32 page = static_cast<u32>(first / granules_per_page_);
  VITRINE_CHECK(find_shared(page) != nullptr);
  unlink(page);
  VITRINE_CHECK(change_bits(bits(page), static_cast<u32>(first % granules_per_page_), granules, false));
  SharedPage& record = shared(page);
  record.free = static_cast<u16>(record.free + granules);
  if (record.free == granules_per_page_) {  // NT: an empty page goes back at once [facts 8.13]
    record.largest = kNotShared;
    free_pages(page, 1);
    return;
  }
  record.largest = static_cast<u16>(scan(bits(page), granules_per_page_).largest);
  link(page);
}

bool PoolRegion::page_used(u64 page) const {
  return page / 64 < used_.size() && ((used_[page / 64] >> (page % 64)) & 1) != 0;
}

// The first page of a free run of `pages` that begins in [from, to); page_count_ when there is none.
u64 PoolRegion::find_pages(u64 from, u64 to, u64 pages) const {
  u64 first = from;
  while (first < to && first + pages <= page_count_) {
    const u64 word = first / 64;
    if (word < used_.size() && used_[word] == ~u64{0}) {
      first = (word + 1) * 64;
      continue;
    }
    u64 length = 0;
    while (length < pages && !page_used(first + length)) {
      // Beyond the highest page ever used everything is free.
      if ((first + length) / 64 >= used_.size()) return first;
      ++length;
    }
    if (length == pages) return first;
    first += length + 1;
  }
  return page_count_;
}

void PoolRegion::mark_pages(u64 first, u64 pages, bool used) {
  const u64 words = (first + pages + 63) / 64;
  if (words > used_.size()) used_.resize(words);
  while (pages > 0) {
    const u64 here = std::min<u64>(pages, u64{1} << 31);
    VITRINE_CHECK(change_bits(used_.data() + first / 64, static_cast<u32>(first % 64), static_cast<u32>(here), used));
    first += here;
    pages -= here;
  }
}

Result<u64> PoolRegion::allocate_pages(u64 pages) {
  if (pages == 0) return Failure(Status::insufficient_resources);
  if (pages > page_count_ - pages_in_use_) {
    ++failures_;
    return Failure(Status::insufficient_resources);
  }
  // Single pages fill from the bottom; longer runs go on where the last one ended, as NT's bitmap hint does.
  u64 first = pages == 1 ? find_pages(lowest_free_, page_count_, 1) : find_pages(run_hint_, page_count_, pages);
  if (first == page_count_ && pages > 1) first = find_pages(lowest_free_, run_hint_, pages);
  if (first == page_count_) {
    ++failures_;
    return Failure(Status::insufficient_resources);
  }
  if (source_ != nullptr) {
    const Status status = source_->charge_pool_pages(type_, region_.start + first * kPageSize, pages);
    if (!is_success(status)) return Failure(status);
  }
  mark_pages(first, pages, true);
  pages_in_use_ += pages;
  if (pages == 1) lowest_free_ = first + 1;
  if (pages > 1) run_hint_ = first + pages;
  return first;
}

void PoolRegion::free_pages(u64 first, u64 pages) {
  mark_pages(first, pages, false);
  pages_in_use_ -= pages;
  lowest_free_ = std::min(lowest_free_, first);
  run_hint_ = std::min(run_hint_, first);
  if (source_ != nullptr) source_->return_pool_pages(type_, region_.start + first * kPageSize, pages);
}

u64 PoolRegion::run_length(u64 first) const {
  const auto found = long_runs_.find(first);
  VITRINE_CHECK(found != long_runs_.end());
  return found->second;
}

u32 PoolRegion::used_granules(u64 page) const {
  const SharedPage* record = find_shared(page);
  VITRINE_CHECK(record != nullptr);
  return granules_per_page_ - record->free;
}

bool PoolRegion::is_allocated(u64 granule) const {
  const u64 page = granule / granules_per_page_;
  if (!page_used(page)) return false;
  if (find_shared(page) == nullptr) return true;
  const Chunk& chunk = *chunks_[page / kPagesPerChunk];
  const u64 bit = (page % kPagesPerChunk) * granules_per_page_ + granule % granules_per_page_;
  return ((chunk.bits[bit / 64] >> (bit % 64)) & 1) != 0;
}

}  // namespace vitrine::ex
