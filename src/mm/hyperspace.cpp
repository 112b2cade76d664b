#include "mm/hyperspace.h"

#include "mm/physical_memory.h"

namespace vitrine::mm {
namespace {

// NT x64: a process has a page-directory-pointer and a page-directory page of its own for hyperspace; on x86 without
// PAE the page table lies in the page directory itself.
constexpr u32 tables_above(u32 pointer_size) { return pointer_size == 8 ? 2 : 0; }

}  // namespace

Hyperspace::Hyperspace(PhysicalMemory& memory, const sim::Profile& profile, u64& pages_of_all)
    : memory_(memory),
      profile_(profile),
      pages_of_all_(pages_of_all),
      list_start_((profile.layout.working_set_list - profile.layout.hyperspace.start) >> kPageShift),
      tables_(memory, profile.pointer_size) {
  VITRINE_CHECK(list_start_ > 0 && profile.layout.working_set_list % kPageSize == 0);
}

Hyperspace::~Hyperspace() {
  pages_of_all_ -= pages();
  const u64 above = tables_above(profile_.pointer_size);
  if (frames_.size() > above) tables_.release(list_start_ - 1, frames_.size() - above);
  for (const FrameRun frame : frames_) memory_.free_system_page(frame);
}

Pfn Hyperspace::list_frame() const {
  VITRINE_CHECK(list_pages_ > 0);
  return memory_.pfn().frame_of_run(frames_[tables_above(profile_.pointer_size) + 1], 0);
}

Status Hyperspace::create() {
  VITRINE_CHECK(frames_.empty());
  for (u32 i = 0; i < tables_above(profile_.pointer_size); ++i) VITRINE_TRY(take_frame());
  VITRINE_TRY(take_page(list_start_ - 1));  // the VAD bitmap; its place beside the list: assumed
  return grow();
}

Status Hyperspace::grow() {
  if (list_start_ + list_pages_ >= profile_.layout.hyperspace.bytes >> kPageShift) return Status::no_memory;
  VITRINE_TRY(take_page(list_start_ + list_pages_));
  const u64 bytes = ++list_pages_ * kPageSize - profile_.sizes.working_set_list;
  capacity_ = bytes / profile_.sizes.working_set_entry;
  return Status::success;
}

Status Hyperspace::take_page(u64 region_page) {
  VITRINE_TRY(take_frame());
  const u64 tables = tables_.pages();
  if (!is_success(tables_.use(region_page, 1))) {
    memory_.free_system_page(frames_.back());
    frames_.pop_back();
    --pages_of_all_;
    return Status::no_memory;
  }
  pages_of_all_ += tables_.pages() - tables;
  return Status::success;
}

Status Hyperspace::take_frame() {
  const auto frame = memory_.allocate_system_page();
  if (!frame) return Status::no_memory;
  frames_.push_back(*frame);
  ++pages_of_all_;
  return Status::success;
}

}  // namespace vitrine::mm
