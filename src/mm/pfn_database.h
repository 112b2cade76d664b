// PfnDatabase: who owns each frame of guest RAM, and the lists of frames that nobody maps. NT: MmPfnDatabase
// [facts 8.3, 8.4].
//
// Owns the state of every frame. Refuses: contents (GuestRam), page tables and sections (told apart only by
// PteLocation), commit (PhysicalMemory). Books the frames that NT's array would take (entry size of the profile times
// frames).
//
// Host cost: 24 bytes per frame that ever held bytes, in chunks made at the first use. A never-used frame costs
// nothing; a run of frames whose bytes never exist (kernel stacks, untouched TEBs, pool) costs nothing while owned and
// 4 bytes per run once freed.
//
// Invariants: share count > 0 only for active pages; share count -> 0 drops one reference; reference count 0 puts the
// page on a list; every frame is in exactly one of: reserved, never used, run, list, active, transition. The counts
// always add up.
#pragma once

#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "mm/pte.h"
#include "ram/guest_ram.h"

namespace vitrine::mm {

// NT: MMLISTS; the numbers are PFN.u3.e1.PageLocation [VOL].
enum class PageLocation : u8 { zeroed, free, standby, modified, modified_no_write, bad, active, transition };
inline constexpr u32 kPageLists = 6;

// What an owned frame is for, for the books only.
enum class FrameUse : u8 { none, process_private, shared, page_table, kernel_stack, shadow, pool, system, count };

// Which PTE maps (or remembers) a frame: an entry of a page-table page, or of a segment's prototype array. 48 bits.
struct PteLocation {
  u64 bits = 0;
  bool operator==(const PteLocation&) const = default;
  [[nodiscard]] static constexpr PteLocation in_table(Pfn table, u32 index) { return {table.value << 9 | index}; }
  [[nodiscard]] static constexpr PteLocation in_segment(u32 segment, u64 index) { return {u64{segment} << 28 | index}; }
  [[nodiscard]] constexpr Pfn table() const { return Pfn{bits >> 9}; }
  [[nodiscard]] constexpr u32 index() const { return static_cast<u32>(bits & 511); }
  [[nodiscard]] constexpr u32 segment() const { return static_cast<u32>(bits >> 28); }
  [[nodiscard]] constexpr u64 segment_index() const { return bits & ((1ull << 28) - 1); }
};
inline constexpr u32 kMaximumSegments = 1u << 20;
inline constexpr u64 kMaximumSegmentPages = 1ull << 28;  // 1 TB

// Frames that belong together and have no bytes. One word: the first frame, or a name of a scattered set (only when
// memory is nearly full). The owner remembers how many.
struct FrameRun {
  u32 bits = 0;
  bool operator==(const FrameRun&) const = default;
};

// Who must forget a standby frame that is taken for something else (its PTE goes back to its original form).
class FrameOwner {
 public:
  virtual ~FrameOwner() = default;
  virtual void repurpose(PteLocation location, Pfn pfn) = 0;
  // No frame is left: may make standby pages out of modified ones. False: nothing could be done.
  virtual bool reclaim() = 0;
};

enum class Contents : u8 { zeroed, any };

class PfnDatabase {
 public:
  // `ram` outlives this. `entry_bytes`: of NT's array, booked as reserved frames.
  PfnDatabase(ram::GuestRam& ram, u32 entry_bytes);
  ~PfnDatabase();
  PfnDatabase(const PfnDatabase&) = delete;
  PfnDatabase& operator=(const PfnDatabase&) = delete;
  void set_owner(FrameOwner* owner) { owner_ = owner; }

  struct Frame {
    Pfn pfn;
    bool was_zeroed_now = false;  // 4 KB were cleared: the caller charges the time
    bool had_bytes = false;       // used before: translations of its old bytes may exist
  };
  // An active frame, reference count 1, share count 1. NT's order of supply [WI6p2 p. 149]: zeroed: zeroed list, free
  // list, standby; any: free list, zeroed list, standby. Never-used frames are the tail of the free list, and cost no
  // clearing. Error: no_memory.
  [[nodiscard]] Result<Frame> allocate(FrameUse use, Contents contents);
  // Frames without bytes; contiguous unless memory is nearly full. 0 < count <= 64. Error: no_memory.
  [[nodiscard]] Result<FrameRun> allocate_run(u32 count, FrameUse use);
  void free_run(FrameRun run, u32 count, FrameUse use);
  [[nodiscard]] Pfn frame_of_run(FrameRun run, u32 index) const;
  // A one-frame run gets bytes: it becomes an active frame (reference 1, share 1) of `use`. Returns that frame, which
  // reads zero.
  [[nodiscard]] Frame activate(FrameRun run, FrameUse from, FrameUse use);

  // Where the frame's PTE is, and what goes back there when the frame is taken away.
  void set_pte(Pfn pfn, PteLocation location, Pte original, bool is_prototype);
  [[nodiscard]] PteLocation pte_location(Pfn pfn) const;
  [[nodiscard]] Pte original_pte(Pfn pfn) const;
  [[nodiscard]] bool is_prototype(Pfn pfn) const;
  [[nodiscard]] PageLocation location(Pfn pfn) const;
  [[nodiscard]] FrameUse use(Pfn pfn) const;

  // Active pages. share_count counts valid PTEs that map the frame.
  void add_share(Pfn pfn);
  // Returns the new count. At 0 the frame loses one reference and, without another (a lock), goes to Modified if it is
  // marked so, else to Standby.
  u32 drop_share(Pfn pfn);
  [[nodiscard]] u32 share_count(Pfn pfn) const;
  void add_reference(Pfn pfn);   // locked, I/O
  void drop_reference(Pfn pfn);  // at 0 as above
  [[nodiscard]] u32 reference_count(Pfn pfn) const;
  void mark_modified(Pfn pfn, bool modified);
  [[nodiscard]] bool is_modified(Pfn pfn) const;
  // Standby, modified or modified-no-write: off its list, active with share count 1 (a soft fault).
  void reactivate(Pfn pfn);
  // Whatever state it is in: the page is gone, the frame goes to the free list (or, while referenced, when that ends).
  void free(Pfn pfn);
  // A written-back page: modified -> standby.
  void written(Pfn pfn);
  void mark_bad(Pfn pfn);

  // Page-table pages: non-empty entries in them.
  void add_used_entry(Pfn table);
  // Returns how many are left.
  u32 drop_used_entry(Pfn table);
  [[nodiscard]] u32 used_entries(Pfn table) const;

  // The zero-page thread's work: moves one page from the free to the zeroed list. False: no such page with bytes.
  bool zero_one_free_page();
  [[nodiscard]] u64 list_length(PageLocation list) const { return lists_[static_cast<u8>(list)].count; }
  // Head of a list, and the next one; u32 max ends it.
  [[nodiscard]] u32 list_head(PageLocation list) const { return lists_[static_cast<u8>(list)].head; }
  [[nodiscard]] u32 list_next(Pfn pfn) const;

  [[nodiscard]] u64 total() const { return total_; }
  [[nodiscard]] u64 reserved() const { return reserved_; }
  [[nodiscard]] u64 never_used() const { return (high_ - low_) + freed_run_frames_; }
  // NT: MmAvailablePages = zeroed + free + standby.
  [[nodiscard]] u64 available() const;
  [[nodiscard]] u64 used_for(FrameUse use) const { return uses_[static_cast<u8>(use)]; }
  [[nodiscard]] u64 host_bytes() const;
  // Host bytes behind the frames that ever held some.
  [[nodiscard]] u64 resident_bytes() const;
  // Requests that found no frame.
  [[nodiscard]] u64 failures() const { return failures_; }
  [[nodiscard]] ram::GuestRam& ram() { return ram_; }
  [[nodiscard]] const ram::GuestRam& ram() const { return ram_; }

 private:
  struct Entry;
  static constexpr u32 kChunkFrames = 256;
  static constexpr u32 kMaximumRun = 64;
  struct List {
    u32 head = ~0u, tail = ~0u;
    u64 count = 0;
  };

  [[nodiscard]] Entry& entry(Pfn pfn);
  [[nodiscard]] const Entry* find(Pfn pfn) const;
  [[nodiscard]] const Entry& existing(Pfn pfn) const;
  [[nodiscard]] Entry& existing(Pfn pfn);
  void push_back(PageLocation list, Pfn pfn);
  void unlink(Pfn pfn);
  [[nodiscard]] bool take_listed(PageLocation list, u32& frame);
  [[nodiscard]] bool take_never_used(u32& frame);
  [[nodiscard]] bool take_any(Contents contents, u32& frame, PageLocation& from);
  void release_to_list(Pfn pfn);
  void begin_active(Pfn pfn, FrameUse use);
  [[nodiscard]] Result<FrameRun> allocate_scattered(u32 count, FrameUse use);
  void return_single(u32 frame);

  ram::GuestRam& ram_;
  FrameOwner* owner_ = nullptr;
  u64 total_;
  u64 reserved_ = 0;
  u64 low_, high_;  // never used: [low_, high_); frames are taken from below, runs from above
  u64 dense_end_;   // up to here the RAM knows that frames are taken one after the other
  // Pointers to chunks, null until the first use; an array that the host zeroes page by page, so that a large machine costs
  // nothing.
  struct FreeMemory {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<Entry*[], FreeMemory> chunks_;
  std::vector<u32> made_chunks_;  // in order of their first use
  u64 failures_ = 0;
  std::array<std::vector<u32>, kMaximumRun + 1> freed_runs_;  // by length
  u64 freed_run_frames_ = 0;
  std::map<u32, std::vector<u32>> scattered_;
  u32 next_scattered_ = 0;
  std::array<List, kPageLists> lists_{};
  std::array<u64, static_cast<u8>(FrameUse::count)> uses_{};
};

}  // namespace vitrine::mm
