// MemoryManager: what all address spaces of a machine share: frames and commit (PhysicalMemory), sections, system PTEs,
// kernel stacks, and the wiring to the processor, the pool and the trace. NT: Mm.
//
// Owns Segments and the regions of system PTEs and of the system cache. Refuses: files (FileBacking), threads (it knows
// a kernel stack and a TEB only as ranges), anything that suspends.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "cpu/backend.h"
#include "ex/pool.h"
#include "mm/books.h"
#include "mm/kernel_region.h"
#include "mm/physical_memory.h"
#include "mm/section.h"
#include "trace/recorder.h"

namespace vitrine::mm {

struct SpaceOptions;

// Who runs now, for stack growth and for stamping events. Implemented by the run loop.
struct ExecutionContext {
  u64 time_ns = 0;
  u16 processor = 0;
  u32 thread_id = 0;
  AddressSpace* space = nullptr;  // of the current thread; null when idle
  Va teb = 0;                     // of the current thread, 0 for system threads
};
class ExecutionSource {
 public:
  virtual ~ExecutionSource() = default;
  [[nodiscard]] virtual ExecutionContext current() const = 0;
};

// Gives the first bytes of a page of a TEB or PEB, from the state that the block has now. `cookie` is what the block
// was created with (a thread or process id). Must fill all 4,096 bytes (they are zero before) and must not touch guest
// memory.
class PageInitializer {
 public:
  virtual ~PageInitializer() = default;
  virtual void fill(AddressSpace& space, Va block, u32 page_index, u64 cookie,
                    std::span<std::byte, kPageSize> into) = 0;
};

// A kernel stack: guard PTE and stack PTEs of the system PTE region, resident frames without bytes, their charges. 8
// bytes.
struct KernelStack {
  u32 system_pte = 0;  // index of the guard PTE in the region; top bit: a large stack
  FrameRun frames;
  bool operator==(const KernelStack&) const = default;
};

class MemoryManager final : public FrameOwner {
 public:
  struct Wiring {
    const sim::Profile& profile;
    PhysicalMemory& memory;
    ex::Pool& pool;
    cpu::Backend& backend;
    trace::Recorder& recorder;
    ExecutionSource* execution = nullptr;    // null: nobody runs (tests)
    PageInitializer* initializer = nullptr;  // null: shadow blocks read as zero
  };
  // Everything in `wiring` outlives the manager.
  explicit MemoryManager(const Wiring& wiring);
  ~MemoryManager() override;
  MemoryManager(const MemoryManager&) = delete;
  MemoryManager& operator=(const MemoryManager&) = delete;
  void set_execution_source(ExecutionSource* source) { wiring_.execution = source; }
  void set_page_initializer(PageInitializer* initializer) { wiring_.initializer = initializer; }

  // An empty address space. Errors: no_memory, commitment_limit.
  [[nodiscard]] Result<std::unique_ptr<AddressSpace>> create_space(const SpaceOptions& options);

  // NtCreateSection. Errors, in order: invalid_parameter_6 (attributes), invalid_page_protection, invalid_parameter_4
  // (no file and no size), mapped_file_size_zero, section_too_big, the image statuses of pe::to_status,
  // commitment_limit, insufficient_resources.
  [[nodiscard]] Result<Section> create_section(const SectionRequest& request);

  // --- files and their sections (called by io)
  // --------------------------------------------------------------------------- After `into` was filled from the store:
  // replaces what resident pages of the data section know better.
  void overlay_file_read(const FileIdentity& file, u64 offset, std::span<std::byte> into) const;
  // After the store was written: the same bytes into resident pages of the data section.
  void apply_file_write(const FileIdentity& file, u64 offset, std::span<const std::byte> from);
  // Whether the file may be cut to `bytes`: not while a view or an image shows more [NT: MmCanFileBeTruncated].
  [[nodiscard]] bool can_truncate(const FileIdentity& file, u64 bytes) const;
  // The file was cut to `bytes` (can_truncate said yes): pages behind the end are forgotten.
  void file_truncated(const FileIdentity& file, u64 bytes);
  [[nodiscard]] bool has_image_section(const FileIdentity& file) const;
  // Writes the dirty pages of the data section, if there is one. Errors: the file's.
  Status flush_file(const FileIdentity& file);

  // --- kernel stacks -------------------------------------------------------------------------------------------------
  // Errors: insufficient_resources (system PTEs or resident memory), commitment_limit, no_memory. Nothing is kept on
  // failure.
  [[nodiscard]] Result<KernelStack> create_kernel_stack(bool large = false);
  void delete_kernel_stack(KernelStack stack);
  // Highest address (exclusive) and lowest of the stack proper.
  [[nodiscard]] Va kernel_stack_base(KernelStack stack) const;
  [[nodiscard]] Va kernel_stack_limit(KernelStack stack) const;
  [[nodiscard]] Pfn kernel_stack_frame(KernelStack stack, u32 page) const;

  // A frame of the machine's own that views may show (shared user data). Errors: no_memory, commitment_limit.
  [[nodiscard]] Result<Pfn> allocate_shared_frame();
  void free_shared_frame(Pfn pfn);

  [[nodiscard]] Books books() const;
  [[nodiscard]] PhysicalMemory& memory() const { return wiring_.memory; }
  [[nodiscard]] KernelRegion& system_ptes() { return system_ptes_; }
  [[nodiscard]] const KernelRegion& system_ptes() const { return system_ptes_; }
  // Where the cache manager's views lie [facts 8.12: dynamic kernel address space].
  [[nodiscard]] KernelRegion& system_cache() { return system_cache_; }
  [[nodiscard]] const KernelRegion& system_cache() const { return system_cache_; }
  // Requests that found no room in a user address space.
  [[nodiscard]] u64 address_failures() const { return address_failures_; }
  [[nodiscard]] const sim::Profile& profile() const { return wiring_.profile; }
  [[nodiscard]] cpu::Backend& backend() const { return wiring_.backend; }
  [[nodiscard]] Segment* segment(u32 id) const { return id < segments_.size() ? segments_[id].get() : nullptr; }

  // FrameOwner. `reclaim` writes one modified page of a data file back.
  void repurpose(PteLocation location, Pfn pfn) override;
  bool reclaim() override;

 private:
  friend class AddressSpace;
  friend class Section;

  // The pool sites of this folder; tags are NT's [facts 8.6, 8.8].
  struct Sites {
    ex::PoolSite vad_short, vad, vad_long, segment, control_area, prototypes;
  };
  using FileKey = std::pair<FileIdentity, SectionKind>;

  // segments: segment.cpp, image_segment.cpp
  [[nodiscard]] Result<Segment*> open_segment(const SectionRequest& request, Protection protection, u64& size);
  [[nodiscard]] Result<Segment*> new_segment(SectionKind kind, FileBacking* backing, u64 page_count, u32 subsections);
  [[nodiscard]] Result<Segment*> make_image_segment(FileBacking& file);
  [[nodiscard]] Result<Segment*> make_file_segment(FileBacking& file, u64 bytes);
  [[nodiscard]] Result<Segment*> make_page_file_segment(u64 bytes, bool commits_all);
  Status grow_segment(Segment& segment, u64 bytes);
  void release_segment(Segment& segment);  // deletes it when nothing refers to it
  void delete_segment(Segment& segment);
  [[nodiscard]] Segment* find_segment(const FileIdentity& file, SectionKind kind) const;
  // prototype PTEs
  [[nodiscard]] Pte prototype(const Segment& segment, u64 page) const;
  void set_prototype(Segment& segment, u64 page, Pte pte);
  [[nodiscard]] Pte original_prototype(const Segment& segment, u64 page) const;
  struct Resident {
    Pfn pfn;
    bool was_read = false;
    bool zeroed = false;
  };
  [[nodiscard]] Result<Resident> make_resident(Segment& segment, u64 page);
  void drop_resident(Pfn pfn, bool dirty);
  Status write_page(Segment& segment, u64 page, Pfn pfn);
  Status write_dirty_pages(Segment& segment, u64 first, u64 count);

  Wiring wiring_;
  KernelRegion system_ptes_, system_cache_;
  u64 hyperspace_pages_ = 0;  // of all processes, tables included
  Sites sites_;
  std::vector<std::unique_ptr<Segment>> segments_;  // by id
  std::vector<u32> free_segment_ids_;
  std::map<FileKey, u32> file_segments_;
  u64 segment_count_ = 0, view_count_ = 0, vad_count_ = 0, space_count_ = 0, kernel_stacks_ = 0;
  u64 address_failures_ = 0;
  u64 faults_ = 0, demand_zero_ = 0, soft_ = 0, hard_ = 0, copies_ = 0;
};

}  // namespace vitrine::mm
