// AddressSpace: the user half of one process: its Vads, page table, charges and counters, and every operation on them
// that the virtual-memory services offer. NT: the mm part of EPROCESS [facts 8, 10.5].
//
// Owns the VadTree, the PageTable, private frames. Refuses: handles and access rights (nt checks them before), captured
// user pointers of the caller, suspension: every function here runs to its end. Where an in-page read of a slow device
// will suspend, `handle_fault` returns instead and is called again; that point is marked in fault.cpp.
//
// Addresses, sizes and flags may come from a guest unchecked: all arithmetic is guarded. Statuses are NT's, in NT's
// order.
#pragma once

#include <map>
#include <span>
#include <type_traits>
#include <vector>

#include "ex/quota.h"
#include "ke/types.h"
#include "mm/hyperspace.h"
#include "mm/memory_manager.h"
#include "mm/page_table.h"
#include "mm/section.h"
#include "mm/vad.h"

namespace vitrine::sim {
class Random;
}

namespace vitrine::mm {

struct Range {
  Va base = 0;
  u64 size = 0;  // bytes
};

// MEM_RESERVE_PLACEHOLDER and MEM_REPLACE_PLACEHOLDER [Microsoft: VirtualAlloc2].
enum class Placeholder : u8 { none, reserve, replace };

struct AllocateRequest {
  Va base = 0;  // 0: anywhere
  u64 size = 0;
  u32 zero_bits =
      0;         // high bits of the address that must be zero: 1..20, or from 32 up a mask (as 64-bit callers pass it)
  u32 type = 0;  // MEM_*
  u32 protect = 0;  // PAGE_*
  Placeholder placeholder = Placeholder::none;
};

struct ProtectOutcome {
  Range range;
  u32 old_protect = 0;  // of the first page
};

struct MapRequest {
  Va base = 0;
  u32 zero_bits = 0;
  u64 commit_size = 0;
  u64 offset = 0;     // bytes into the section
  u64 view_size = 0;  // 0: to the section's end
  u32 inherit = 2;    // ViewShare 1, ViewUnmap 2
  u32 type = 0;       // MEM_RESERVE, MEM_TOP_DOWN, ...
  u32 protect = 0;
  Placeholder placeholder = Placeholder::none;  // not `reserve`
};
struct MapOutcome {
  Status status = Status::success;  // success or image_not_at_base
  Range range;
};

class AddressSpace;

enum class LockKind : u8 { working_set = 1, physical = 2 };  // NtLockVirtualMemory's map type

enum class FaultResolution : u8 {
  none,  // an exception; see status
  already_valid,
  demand_zero,
  stack_growth,  // demand zero of a guard page of the current thread's stack
  shadow_fill,   // an untouched TEB or PEB got its bytes
  soft,          // transition or resident prototype page
  file_read,     // hard: read from the file
  copy_on_write,
};

struct FaultResult {
  Status status = Status::success;  // success: run again; else the exception's code
  FaultResolution resolution{};
  bool zeroed_page = false;  // 4 KB were cleared or copied: the caller charges the time
  Pfn pfn{};
};

enum class SharedFrameUse : u8 { data, code };

struct UserStack {
  Va allocation_base = 0;  // TEB.DeallocationStack
  Va limit = 0;            // lowest committed byte above the guard
  Va base = 0;             // above the highest byte
};

// Who is asked before a process commits more: its job. Both functions are called before anything changed.
class CommitGuard {
 public:
  virtual ~CommitGuard() = default;
  // False: the job as a whole may not have that many more.
  [[nodiscard]] virtual bool admit(const AddressSpace& space, u64 pages) = 0;
  // The process met its own limit (set_commit_limit).
  virtual void refused(const AddressSpace& space) = 0;
};

struct SpaceOptions {
  Va lowest = 0x1'0000;
  // NT 6.3 and later give user mode 128 TB; Wine's PE DLLs expect that [abi::kHighestUserAddress].
  Va highest_plus_one = 0x7FFF'FFFF'0000;
  // Layout randomisation: not null moves the bottom of the search up and its top down by up to 255 x 64 KB each.
  sim::Random* random = nullptr;
  // Who pays for the Vads; null: nobody.
  ex::QuotaCharger* quota = nullptr;
};

class AddressSpace {
 public:
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  [[nodiscard]] cpu::Space& cpu_space() const { return *page_table_.space(); }
  [[nodiscard]] const VadTree& vads() const { return vads_; }
  [[nodiscard]] const PageTable& page_table() const { return page_table_; }
  [[nodiscard]] MemoryManager& manager() const { return manager_; }

  // --- virtual-memory services (NT: NtXxxVirtualMemory) --------------------------------------------------------------
  [[nodiscard]] Result<Range> allocate(const AllocateRequest& request);
  [[nodiscard]] Result<Range> free(Va base, u64 size, u32 type);
  [[nodiscard]] Result<ProtectOutcome> protect(Va base, u64 size, u32 protect);
  // Errors: invalid_parameter above the user range.
  [[nodiscard]] Result<MemoryBasicInformation> query_basic(Va va) const;
  // The file of the view at `va`. Errors: invalid_address (no view, or one without a file).
  [[nodiscard]] Result<FileBacking*> query_mapped_file(Va va) const;
  // Errors: access_violation (no Vad), working_set_quota; was_locked (success) when every page was.
  Status lock(Va base, u64 size, LockKind kind);
  Status unlock(Va base, u64 size, LockKind kind);
  // NtFlushVirtualMemory: writes the dirty pages of a data view to its file. Errors: not_mapped_view, not_mapped_data,
  // the file's.
  [[nodiscard]] Result<Range> flush(Va base, u64 size);

  // --- views
  // -----------------------------------------------------------------------------------------------------------
  [[nodiscard]] Result<MapOutcome> map_view(const Section& section, const MapRequest& request);
  // Any address in the view. Errors: not_mapped_view, invalid_page_protection (secured). `leaves` reserve: a
  // placeholder takes its place.
  Status unmap_view(Va va, Placeholder leaves = Placeholder::none);

  // --- placeholders [Microsoft: VirtualFree]. Errors of both: memory_not_allocated, conflicting_addresses.
  // MEM_PRESERVE_PLACEHOLDER: a part of a placeholder becomes one of its own, memory that replaced one is a placeholder
  // again.
  [[nodiscard]] Result<Range> preserve_placeholder(Va base, u64 size);
  // MEM_COALESCE_PLACEHOLDERS: the placeholders that make up the range become one.
  [[nodiscard]] Result<Range> coalesce_placeholders(Va base, u64 size);

  // --- write watch: what was written in a region allocated with MEM_WRITE_WATCH, told by the dirty bits of its
  // entries. The first `capacity` such pages in order of address; `forget` makes them unwritten. Error:
  // invalid_parameter_1 (not inside one such region).
  [[nodiscard]] Result<std::vector<Va>> written_pages(Va base, u64 size, u64 capacity, bool forget);

  // --- faults
  // ------------------------------------------------------------------------------------------------------------
  // Resolves one page fault of user mode (`error_code` as the processor gives it) or of the kernel on a user's behalf.
  // Failing statuses: access_violation, guard_page_violation, stack_overflow, in_page_error, no_memory. Records a
  // page_fault event. For EXCEPTION_RECORD: information[0] is 0 read, 1 write, 8 execute; information[1] is `va`.
  [[nodiscard]] FaultResult handle_fault(Va va, u32 error_code, ke::Mode mode);

  // --- the kernel's own access to user memory ------------------------------------------------------------------------
  // Bytes go through the page table as a user access would, faulting pages in. On failure the bytes before the bad page
  // are done and `done` (optional) says how many. Errors: those of handle_fault; access_violation for a range that
  // wraps or leaves user space. `size` 0 succeeds.
  Status read(Va va, std::span<std::byte> into, u64* done = nullptr);
  Status write(Va va, std::span<const std::byte> from, u64* done = nullptr);
  Status fill(Va va, u64 size, std::byte value);
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<T> read_value(Va va) {
    T value;
    if (const Status status = read(va, std::as_writable_bytes(std::span(&value, 1))); !is_success(status))
      return Failure(status);
    return value;
  }
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  Status write_value(Va va, const T& value) {
    return write(va, std::as_bytes(std::span(&value, 1)));
  }
  // NT: ProbeForRead / ProbeForWrite. Alignment: datatype_misalignment; range: access_violation. ProbeForWrite touches
  // each page.
  Status probe(Va va, u64 size, u64 alignment, bool for_write);

  // --- thread and process blocks
  // --------------------------------------------------------------------------------------- MiCreatePebOrTeb: a secured
  // MMVAD_LONG of `pages` committed read-write pages, page-granular, top-down; the bytes come from the machine's
  // PageInitializer with `cookie` at the first touch. Errors: no_memory, commitment_limit, insufficient_resources.
  [[nodiscard]] Result<Va> create_shadow_block(u32 pages, u64 cookie);
  // Precondition: made by create_shadow_block.
  void delete_shadow_block(Va va);
  // RtlCreateUserStack: reserves `reserve` bytes (64 KB granular), commits `commit` at the top, guard pages below.
  // Errors: those of `allocate`.
  [[nodiscard]] Result<UserStack> create_user_stack(u64 reserve, u64 commit, u32 zero_bits = 0);
  // Commits one page of a private reservation and takes its frame at once, as its first touch would, without bytes: for
  // memory of a process whose contents the host keeps elsewhere (CSRSS's heap). Precondition: reserved, not committed.
  // Errors: commitment_limit, no_memory. `free` with MEM_DECOMMIT takes it back.
  Status commit_shadow_page(Va va);
  // A view of one frame that the machine owns (shared user data at 0x7FFE0000): read-only (executable too when `use` is
  // code), not charged, secured.
  Status map_shared_frame(Va va, Pfn pfn, SharedFrameUse use = SharedFrameUse::data);

  // Gives everything back: views, private pages, tables. Called by the destructor too; ends with all charges at 0.
  void clear();

  // --- counters (NT: VM_COUNTERS)
  // --------------------------------------------------------------------------------------
  [[nodiscard]] u64 commit_charge() const { return commit_charge_; }  // pages, page tables included
  [[nodiscard]] u64 peak_commit_charge() const { return peak_commit_charge_; }
  [[nodiscard]] u64 working_set_pages() const { return hyperspace_.entries(); }
  [[nodiscard]] u64 peak_working_set_pages() const { return hyperspace_.peak_entries(); }
  // The process's part of kernel address space.
  [[nodiscard]] const Hyperspace& hyperspace() const { return hyperspace_; }
  [[nodiscard]] u64 virtual_bytes() const { return virtual_bytes_; }
  [[nodiscard]] u64 peak_virtual_bytes() const { return peak_virtual_bytes_; }
  [[nodiscard]] u64 fault_count() const { return fault_count_; }
  [[nodiscard]] u64 locked_pages() const { return locked_pages_; }
  // Pages that may be locked are those below the minimum working set (NtSetInformationProcess quota limits).
  void set_working_set_minimum(u64 pages) { working_set_minimum_ = pages; }
  // Pages that this process may commit, tables excluded; a job's or quota's limit. Error beyond it: commitment_limit.
  void set_commit_limit(u64 pages) { own_commit_limit_ = pages; }
  // Null: nobody. It outlives the space or is taken back before.
  void set_commit_guard(CommitGuard* guard) { commit_guard_ = guard; }

 private:
  friend class MemoryManager;
  AddressSpace(MemoryManager& manager, const SpaceOptions& options);

  struct Fault;  // the arguments and outcome of one fault under way: fault.cpp

  // vad bookkeeping
  [[nodiscard]] Result<Vad*> new_vad(Va start, Va end, bool is_mapped, bool is_long);
  void delete_vad(Vad& vad);
  void drop_private(Vad& vad);
  [[nodiscard]] Result<Va> find_room(u64 size, u64 alignment, u32 zero_bits, bool top_down) const;
  Status check_room(Va start, Va end) const;
  // commit: the machine's and this process's at once
  Status charge(Vad& vad, u64 pages);
  void uncharge(Vad& vad, u64 pages);
  Status charge_pages(u64 pages);
  void return_pages(u64 pages);
  void note_tables();
  // entries
  [[nodiscard]] bool is_committed(const Vad& vad, Va va, Pte pte) const;
  [[nodiscard]] Protection protection_of(const Vad& vad, Va va, Pte pte) const;
  [[nodiscard]] bool is_charged_copy(const Vad& vad, Va va, Pte pte) const;
  [[nodiscard]] u64 committed_pages(const Vad& vad, Va start, Va end) const;
  void delete_entry(Va va, Pte pte);
  void delete_entries(Va start, Va end);
  void finish();  // commits edits to the back end
  // services in parts
  [[nodiscard]] Result<Range> reserve(const AllocateRequest& request, Protection protection);
  [[nodiscard]] Result<Range> replace_placeholder(const AllocateRequest& request, Protection protection);
  [[nodiscard]] Vad* placeholder_at(Va start, Va end) const;
  Status make_placeholder(Va start, Va end);
  [[nodiscard]] Result<Range> commit(Va start, Va end, Protection protection);
  Status commit_private(Vad& vad, Va start, Va end, Protection protection);
  Status commit_section(Vad& vad, Va start, Va end, Protection protection);
  Status reset_pages(Va start, Va end);
  Status decommit(Vad& vad, Va start, Va end);
  Status release(Vad& vad, Va start, Va end);
  Status protect_pages(Vad& vad, Va start, Va end, Protection protection);
  Status protect_private(Vad& vad, Va start, Va end, Protection protection);
  Status protect_view(Vad& vad, Va start, Va end, Protection protection);
  Status set_entry_protection(Va va, Pte old, Protection protection);
  Status set_view_protection(Va va, Pte old, Protection protection);
  [[nodiscard]] Va uniform_end(const Vad& vad, Va start) const;
  // The end of the run of pages at `va` that mean the same: one page, or up to where entries or the Vad's source
  // change.
  [[nodiscard]] Va alike_until(const Vad& vad, Va va, Pte pte) const;
  [[nodiscard]] u64 charged_copies(const Vad& vad, Va start, Va end) const;
  [[nodiscard]] Va same_by_vad(const Vad& vad, Va va) const;
  [[nodiscard]] Result<Range> checked_range(Va base, u64 size, Status bad_base, Status bad_size) const;
  Status lock_page(Va va, LockKind kind);
  void release_lock(Va va);
  // views in parts
  [[nodiscard]] Result<MapOutcome> map_image(const Section& section, const MapRequest& request);
  [[nodiscard]] Result<MapOutcome> map_data(const Section& section, const MapRequest& request, Protection protection);
  [[nodiscard]] Result<Vad*> add_view(const Section& section, Va start, Va end, u64 first_page, Protection maximum);
  void remove_view(Vad& vad);
  // Moves dirty bits of valid PTEs of [first, first + count) of the view's segment into the PFN database.
  void collect_dirty(View& view, u64 first, u64 count);
  // faults
  Status resolve(Fault& fault);
  Status resolve_valid(Fault& fault, Pte pte);
  Status resolve_guard(Fault& fault, Vad& vad, Pte pte, Protection protection);
  Status grow_stack(Fault& fault, Vad& vad, bool& is_stack);
  void make_valid(Fault& fault, Pfn pfn, Protection protection, bool is_prototype);
  Status make_demand_zero(Fault& fault, Protection protection);
  Status make_shadow(Fault& fault, const Vad& vad, Pte pte);
  Status resolve_prototype(Fault& fault, const Vad& vad, Protection protection);
  Status copy_on_write(Fault& fault, Pfn source, Protection protection);
  [[nodiscard]] std::byte* access_page(Va va, bool for_write, Status& status);
  void drop_guard(Vad& vad, Va va);
  void record_fault(const Fault& fault, const FaultResult& result, ke::Mode mode);

  MemoryManager& manager_;
  PageTable page_table_;
  Hyperspace hyperspace_;
  VadTree vads_;
  ex::QuotaCharger* quota_;
  Va search_floor_, search_ceiling_;  // where searches start, after randomisation
  u64 commit_charge_ = 0, peak_commit_charge_ = 0;
  u64 charged_tables_ = 0;  // table pages already counted in commit_charge_
  u64 own_commit_limit_ = ~0ull;
  CommitGuard* commit_guard_ = nullptr;
  u64 virtual_bytes_ = 0, peak_virtual_bytes_ = 0;
  u64 fault_count_ = 0;
  u64 locked_pages_ = 0;
  u64 working_set_minimum_ = 50;  // NT: default minimum [facts 8.9]; what may be locked is below it
  // Locked pages, in address order: few, so they are not in the Vads. Value: 1 working set, 2 physical, 3 both.
  std::map<Va, u8> locks_;
};

}  // namespace vitrine::mm
