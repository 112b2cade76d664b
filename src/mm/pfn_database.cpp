// Supply of frames and runs, and the states of an owned frame. The lists themselves are in page_lists.cpp.
#include "mm/pfn_database.h"

#include <algorithm>
#include <cstring>

#include "mm/pfn_entry.h"

namespace vitrine::mm {
namespace {

constexpr u32 kScatteredBit = 1u << 31;
// A machine that uses less than this stays as thin as its frames; one that uses more gets large pages of the host, so many
// frames at a time.
constexpr u64 kDenseFrames = (64ull << 20) >> kPageShift;
constexpr u64 kMaximumFrames = 1ull << 31;  // a run's word has 31 bits for its first frame

}  // namespace

PfnDatabase::PfnDatabase(ram::GuestRam& ram, u32 entry_bytes)
    : ram_(ram), total_(ram.page_count()), low_(0), high_(ram.page_count()), dense_end_(kDenseFrames) {
  VITRINE_CHECK(total_ > 0 && total_ <= kMaximumFrames);
  chunks_.reset(static_cast<Entry**>(std::calloc((total_ + kChunkFrames - 1) / kChunkFrames, sizeof(Entry*))));
  VITRINE_CHECK(chunks_ != nullptr);
  // Frame 0 is never given out (a page-table root of 0 would look like none). The array of NT's own entries takes the
  // top of memory, or as much as there is in a machine of a few pages.
  const u64 own = std::min(bytes_to_pages(total_ * entry_bytes), total_ / 2);
  low_ = 1;
  high_ -= own;
  reserved_ = own + 1;
}

PfnDatabase::~PfnDatabase() {
  for (const u32 chunk : made_chunks_) delete[] chunks_[chunk];
}

PfnDatabase::Entry& PfnDatabase::entry(Pfn pfn) {
  VITRINE_CHECK(pfn.value < total_);
  Entry*& chunk = chunks_[pfn.value / kChunkFrames];
  if (chunk == nullptr) {
    chunk = new Entry[kChunkFrames];
    made_chunks_.push_back(static_cast<u32>(pfn.value / kChunkFrames));
  }
  return chunk[pfn.value % kChunkFrames];
}

const PfnDatabase::Entry* PfnDatabase::find(Pfn pfn) const {
  if (pfn.value >= total_) return nullptr;
  const Entry* chunk = chunks_[pfn.value / kChunkFrames];
  if (chunk == nullptr) return nullptr;
  const Entry& found = chunk[pfn.value % kChunkFrames];
  return found.is_owned() ? &found : nullptr;
}

const PfnDatabase::Entry& PfnDatabase::existing(Pfn pfn) const {
  const Entry* found = find(pfn);
  VITRINE_CHECK(found != nullptr);
  return *found;
}

PfnDatabase::Entry& PfnDatabase::existing(Pfn pfn) {
  return const_cast<Entry&>(static_cast<const PfnDatabase*>(this)->existing(pfn));
}

u64 PfnDatabase::available() const {
  return list_length(PageLocation::zeroed) + list_length(PageLocation::free) + list_length(PageLocation::standby) +
         never_used();
}

bool PfnDatabase::take_never_used(u32& frame) {
  if (low_ < high_) {
    if (low_ >= dense_end_) {
      const u64 count = std::min(kDenseFrames, high_ - low_);
      ram_.expect_dense_use(Pfn{low_}, count);
      dense_end_ = low_ + count;
    }
    frame = static_cast<u32>(low_++);
    return true;
  }
  for (u32 length = 1; length <= kMaximumRun; ++length) {
    if (freed_runs_[length].empty()) continue;
    const u32 first = freed_runs_[length].back();
    freed_runs_[length].pop_back();
    frame = first + length - 1;
    if (length > 1) freed_runs_[length - 1].push_back(first);
    --freed_run_frames_;
    return true;
  }
  return false;
}

// NT's order [WI6p2 p. 149]. Never-used frames are the tail of the free list.
bool PfnDatabase::take_any(Contents contents, u32& frame, PageLocation& from) {
  const auto take = [&](PageLocation list) {
    from = list;
    return take_listed(list, frame);
  };
  if (contents == Contents::zeroed && take(PageLocation::zeroed)) return true;
  if (take(PageLocation::free)) return true;
  if (take_never_used(frame)) {
    from = PageLocation::active;  // says: no list
    return true;
  }
  if (contents == Contents::any && take(PageLocation::zeroed)) return true;
  if (take(PageLocation::standby)) return true;
  return owner_ != nullptr && owner_->reclaim() && take(PageLocation::standby);
}

void PfnDatabase::begin_active(Pfn pfn, FrameUse use) {
  Entry& e = entry(pfn);
  e = Entry{};
  e.set(Entry::kOwned | Entry::kTouched, true);
  e.set_location(PageLocation::active);
  e.set_references(1);
  e.blink = 1;
  e.flink = 0;
  e.set_use(use);
  ++uses_[static_cast<u8>(use)];
}

Result<PfnDatabase::Frame> PfnDatabase::allocate(FrameUse use, Contents contents) {
  u32 frame = 0;
  PageLocation from{};
  if (!take_any(contents, frame, from)) {
    ++failures_;
    return Failure(Status::no_memory);
  }
  const Pfn pfn{frame};
  Frame result{.pfn = pfn};
  result.had_bytes = from != PageLocation::active;
  result.was_zeroed_now = result.had_bytes && contents == Contents::zeroed && from != PageLocation::zeroed;
  if (result.was_zeroed_now) ram_.zero_page(pfn);
  begin_active(pfn, use);
  return result;
}

Result<FrameRun> PfnDatabase::allocate_run(u32 count, FrameUse use) {
  VITRINE_CHECK(count > 0 && count <= kMaximumRun);
  const auto give = [&](u64 first) {
    uses_[static_cast<u8>(use)] += count;
    return FrameRun{static_cast<u32>(first)};
  };
  if (auto& same = freed_runs_[count]; !same.empty()) {
    const u32 first = same.back();
    same.pop_back();
    freed_run_frames_ -= count;
    return give(first);
  }
  if (high_ - low_ >= count) {
    high_ -= count;
    return give(high_);
  }
  for (u32 length = count + 1; length <= kMaximumRun; ++length) {
    if (freed_runs_[length].empty()) continue;
    const u32 first = freed_runs_[length].back();
    freed_runs_[length].pop_back();
    freed_runs_[length - count].push_back(first);
    freed_run_frames_ -= count;
    return give(first + length - count);
  }
  return allocate_scattered(count, use);
}

// Memory is nearly full: the run is made of whatever single frames there are.
Result<FrameRun> PfnDatabase::allocate_scattered(u32 count, FrameUse use) {
  std::vector<u32> frames;
  frames.reserve(count);
  PageLocation from{};
  for (u32 frame = 0; frames.size() < count && take_any(Contents::any, frame, from);) frames.push_back(frame);
  if (frames.size() < count) {
    for (const u32 frame : frames) return_single(frame);
    ++failures_;
    return Failure(Status::no_memory);
  }
  uses_[static_cast<u8>(use)] += count;
  if (count == 1) return FrameRun{frames[0]};
  while (scattered_.contains(next_scattered_)) next_scattered_ = (next_scattered_ + 1) & ~kScatteredBit;
  const u32 name = next_scattered_;
  next_scattered_ = (next_scattered_ + 1) & ~kScatteredBit;
  scattered_.emplace(name, std::move(frames));
  return FrameRun{name | kScatteredBit};
}

// A frame without owner goes where frames of its history belong.
void PfnDatabase::return_single(u32 frame) {
  Entry* e = chunks_[frame / kChunkFrames] == nullptr ? nullptr : &chunks_[frame / kChunkFrames][frame % kChunkFrames];
  if (e != nullptr && e->has(Entry::kTouched)) {
    e->set(Entry::kOwned, true);
    push_back(PageLocation::free, Pfn{frame});
  } else {
    freed_runs_[1].push_back(frame);
    ++freed_run_frames_;
  }
}

void PfnDatabase::free_run(FrameRun run, u32 count, FrameUse use) {
  VITRINE_CHECK(uses_[static_cast<u8>(use)] >= count);
  uses_[static_cast<u8>(use)] -= count;
  if ((run.bits & kScatteredBit) != 0) {
    const auto found = scattered_.find(run.bits & ~kScatteredBit);
    VITRINE_CHECK(found != scattered_.end() && found->second.size() == count);
    for (const u32 frame : found->second) return_single(frame);
    scattered_.erase(found);
    return;
  }
  if (count == 1) {
    if (run.bits == high_)
      ++high_;
    else
      return_single(run.bits);
    return;
  }
  if (run.bits == high_) {
    high_ += count;
    return;
  }
  freed_runs_[count].push_back(run.bits);
  freed_run_frames_ += count;
}

Pfn PfnDatabase::frame_of_run(FrameRun run, u32 index) const {
  if ((run.bits & kScatteredBit) == 0) return Pfn{u64{run.bits} + index};
  const auto found = scattered_.find(run.bits & ~kScatteredBit);
  VITRINE_CHECK(found != scattered_.end() && index < found->second.size());
  return Pfn{found->second[index]};
}

PfnDatabase::Frame PfnDatabase::activate(FrameRun run, FrameUse from, FrameUse use) {
  const Pfn pfn{run.bits};
  VITRINE_CHECK((run.bits & kScatteredBit) == 0 && uses_[static_cast<u8>(from)] > 0 && find(pfn) == nullptr);
  --uses_[static_cast<u8>(from)];
  Frame result{.pfn = pfn};
  result.had_bytes = entry(pfn).has(Entry::kTouched);
  result.was_zeroed_now = result.had_bytes;
  if (result.had_bytes) ram_.zero_page(pfn);
  begin_active(pfn, use);
  return result;
}

u64 PfnDatabase::host_bytes() const {
  u64 bytes = made_chunks_.capacity() * sizeof(u32) + made_chunks_.size() * kChunkFrames * sizeof(Entry);
  for (const auto& runs : freed_runs_) bytes += runs.capacity() * sizeof(u32);
  return bytes;
}

u64 PfnDatabase::resident_bytes() const {
  u64 bytes = 0;
  for (const u32 chunk : made_chunks_) {
    const u64 first = u64{chunk} * kChunkFrames;
    bytes += ram_.resident_bytes(Pfn{first}, std::min<u64>(kChunkFrames, total_ - first));
  }
  return bytes;
}

}  // namespace vitrine::mm
