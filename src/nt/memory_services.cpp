// Virtual memory: allocate, free, protect, lock, flush, copy between processes. What the calls do is mm's; here are the
// handle, the rights, the captured arguments and the order of checks. [facts 10.5] Queries are in memory_queries.cpp.
#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "abi/memory_information.h"
#include "nt/capture.h"
#include "nt/families.h"
#include "nt/memory_queries.h"
#include "nt/memory_target.h"
#include "nt/placement.h"

namespace vitrine::nt {
namespace {

namespace process_access = ps::process_access;

struct RangeArguments {
  Va base;
  u64 size;
};

Result<RangeArguments> capture_range(Call call, UserPtr<Va> base, UserPtr<u64> size) {
  const auto base_value = base.read(call.space());
  if (!base_value) return Failure(base_value.error());
  const auto size_value = size.read(call.space());
  if (!size_value) return Failure(size_value.error());
  return RangeArguments{*base_value, *size_value};
}

Status return_range(Call call, UserPtr<Va> base, UserPtr<u64> size, const mm::Range& range) {
  VITRINE_TRY(base.write(call.space(), range.base));
  return size.write(call.space(), range.size);
}

// ---- allocation
// ----------------------------------------------------------------------------------------------------------

constexpr u32 kMaximumZeroBits = 21;  // below this a count, from 32 up a mask
constexpr u32 kFirstZeroBitsMask = 32;

// NT: a mask stands for "no bit above its highest one". Returns the exclusive bound, 0 for none.
Va bound_of_mask(u64 mask) { return mask >= (1ull << 47) ? 0 : std::bit_ceil(mask + 1); }

Result<mm::Range> allocate_placed(mm::AddressSpace& space, mm::AllocateRequest request, const Placement& placement) {
  if (placement.is_anywhere() || request.base != 0) return space.allocate(request);
  if (request.size == 0 || request.size > space.vads().highest_plus_one()) return Failure(Status::invalid_parameter_4);
  const auto base = find_place(space, request.size, placement, (request.type & mm::mem::kTopDown) != 0);
  if (!base) return Failure(base.error());
  request.base = *base;
  request.type = (request.type & ~mm::mem::kTopDown) | mm::mem::kReserve;
  return space.allocate(request);
}

Status nt_allocate_virtual_memory(Call call, Handle process_handle, UserPtr<Va> base, u64 zero_bits, UserPtr<u64> size,
                                  u32 type, u32 protect) {
  if (zero_bits > kMaximumZeroBits && zero_bits < kFirstZeroBitsMask) return Status::invalid_parameter_3;
  const auto arguments = capture_range(call, base, size);
  if (!arguments) return arguments.error();
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  mm::AllocateRequest request{arguments->base, arguments->size, 0, type, protect};
  Placement placement;
  if (zero_bits >= kFirstZeroBitsMask) {
    placement.ceiling = bound_of_mask(zero_bits);
  } else {
    request.zero_bits = static_cast<u32>(zero_bits);
  }
  const auto range = allocate_placed(*(*process)->space, request, placement);
  if (!range) return range.error();
  return return_range(call, base, size, *range);
}

Status nt_allocate_virtual_memory_ex(Call call, Handle process_handle, UserPtr<Va> base, UserPtr<u64> size, u32 type,
                                     u32 protect, UserPtr<abi::MemExtendedParameter> parameters, u32 count) {
  if (count != 0 && !parameters) return Status::invalid_parameter;
  const auto arguments = capture_range(call, base, size);
  if (!arguments) return arguments.error();
  const auto placement = capture_placement(call, parameters, count, arguments->base != 0);
  if (!placement) return placement.error();
  if (arguments->size == 0) return Status::invalid_parameter;
  constexpr u32 kPlaceholderTypes = abi::kMemReplacePlaceholder | abi::kMemReservePlaceholder;
  mm::AllocateRequest request{arguments->base, arguments->size, 0, type & ~kPlaceholderTypes, protect};
  if ((type & kPlaceholderTypes) != 0) {
    const bool reserves = (type & abi::kMemReservePlaceholder) != 0;
    const bool fits = reserves ? (type & ~mm::mem::kTopDown) == (mm::mem::kReserve | abi::kMemReservePlaceholder) &&
                                     protect == mm::page::kNoAccess
                               : (type & mm::mem::kReserve) != 0 && arguments->base != 0;
    if (!fits || (type & kPlaceholderTypes) == kPlaceholderTypes) return Status::invalid_parameter;
    request.placeholder = reserves ? mm::Placeholder::reserve : mm::Placeholder::replace;
  }
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  const auto range = allocate_placed(*(*process)->space, request, *placement);
  if (!range) return range.error();
  return return_range(call, base, size, *range);
}

Status nt_free_virtual_memory(Call call, Handle process_handle, UserPtr<Va> base, UserPtr<u64> size, u32 type) {
  constexpr u32 kPreserve = mm::mem::kRelease | abi::kMemPreservePlaceholder;
  constexpr u32 kCoalesce = mm::mem::kRelease | abi::kMemCoalescePlaceholders;
  const bool placeholder = type == kPreserve || type == kCoalesce;
  if (type != mm::mem::kDecommit && type != mm::mem::kRelease && !placeholder) return Status::invalid_parameter_4;
  const auto arguments = capture_range(call, base, size);
  if (!arguments) return arguments.error();
  // NT releases a part of an allocation (mm does); Windows' kernelbase refuses a size with MEM_RELEASE before it gets
  // here. Wine 8.0's kernelbase leaves that to its own NtFreeVirtualMemory, so the guest gets the refusal from ours
  // (DESIGN 3.3).
  if (type == mm::mem::kRelease && arguments->size != 0) return Status::invalid_parameter;
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  mm::AddressSpace& space = *(*process)->space;
  const auto range = type == kPreserve   ? space.preserve_placeholder(arguments->base, arguments->size)
                     : type == kCoalesce ? space.coalesce_placeholders(arguments->base, arguments->size)
                                         : space.free(arguments->base, arguments->size, type);
  if (!range) return range.error();
  return return_range(call, base, size, *range);
}

Status nt_protect_virtual_memory(Call call, Handle process_handle, UserPtr<Va> base, UserPtr<u64> size, u32 protect,
                                 UserPtr<u32> old_protect) {
  if (!mm::protection_from_win32(protect)) return Status::invalid_page_protection;
  const auto arguments = capture_range(call, base, size);
  if (!arguments) return arguments.error();
  VITRINE_TRY(call.space().probe(old_protect.address, sizeof(u32), 1, true));
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  const auto outcome = (*process)->space->protect(arguments->base, arguments->size, protect);
  if (!outcome) return outcome.error();
  VITRINE_TRY(return_range(call, base, size, outcome->range));
  return old_protect.write(call.space(), outcome->old_protect);
}

// ---- lock, flush
// -----------------------------------------------------------------------------------------------------------

enum class LockDirection : u8 { lock, unlock };

Status change_lock(Call call, Handle process_handle, UserPtr<Va> base, UserPtr<u64> size, u32 map_type,
                   LockDirection direction) {
  if (map_type != 1 && map_type != 2) return Status::invalid_parameter;
  const auto arguments = capture_range(call, base, size);
  if (!arguments) return arguments.error();
  if (map_type == 2 && !call.process().token->data.has_privilege(se::Privilege::lock_memory)) {
    return Status::privilege_not_held;
  }
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  if (arguments->size == 0 || arguments->base + arguments->size < arguments->base) return Status::invalid_parameter_3;
  mm::AddressSpace& space = *(*process)->space;
  const auto kind = static_cast<mm::LockKind>(map_type);
  const Status status = direction == LockDirection::lock ? space.lock(arguments->base, arguments->size, kind)
                                                         : space.unlock(arguments->base, arguments->size, kind);
  if (!is_success(status)) return status;
  const Va start = page_floor(arguments->base);
  VITRINE_TRY(return_range(call, base, size, {start, page_ceil(arguments->base + arguments->size) - start}));
  return status;
}

Status nt_lock_virtual_memory(Call call, Handle process, UserPtr<Va> base, UserPtr<u64> size, u32 map_type) {
  return change_lock(call, process, base, size, map_type, LockDirection::lock);
}
Status nt_unlock_virtual_memory(Call call, Handle process, UserPtr<Va> base, UserPtr<u64> size, u32 map_type) {
  return change_lock(call, process, base, size, map_type, LockDirection::unlock);
}

Status nt_flush_virtual_memory(Call call, Handle process_handle, UserPtr<Va> base, UserPtr<u64> size,
                               UserPtr<abi::IoStatusBlock> io_status) {
  const auto arguments = capture_range(call, base, size);
  if (!arguments) return arguments.error();
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  const auto range = (*process)->space->flush(arguments->base, arguments->size);
  if (!range) return range.error();
  VITRINE_TRY(return_range(call, base, size, *range));
  // Wine's kernelbase passes none, which NT would refuse.
  if (!io_status) return Status::success;
  return io_status.write(call.space(), {static_cast<u32>(Status::success), 0, range->size});
}

Status nt_flush_instruction_cache(Call call, Handle process_handle, Va base, u64 size) {
  const auto process = reference_space(call, process_handle, process_access::kVmWrite);
  if (!process) return process.error();
  mm::AddressSpace& space = *(*process)->space;
  constexpr u64 kLargestByPage = 64 * kPageSize;
  if (base == 0 || size > kLargestByPage || base + size < base) {
    call->processor.flush(space.cpu_space());
    return Status::success;
  }
  for (Va page = page_floor(base); page < base + size; page += kPageSize) {
    if (const mm::Pte pte = space.page_table().get(page); pte.is_valid()) call->processor.code_written(pte.pfn());
  }
  return Status::success;
}

// Stores of one processor are seen by the others at their next window edge, which has come when this returns.
Status nt_flush_process_write_buffers(Call) { return Status::success; }

// ---- copies between processes
// --------------------------------------------------------------------------------------------

constexpr u64 kCopyChunk = 16 * kPageSize;

bool in_user_range(const mm::AddressSpace& space, Va start, u64 size) {
  const Va end = space.vads().highest_plus_one();
  return start <= end && size <= end - start;
}

Status nt_read_virtual_memory(Call call, Handle process_handle, Va base, Va buffer, u64 size, UserPtr<u64> done) {
  if (!in_user_range(call.space(), base, size) || !in_user_range(call.space(), buffer, size))
    return Status::access_violation;
  u64 copied = 0;
  Status status = Status::success;
  if (size != 0) {
    const auto process = reference_space(call, process_handle, process_access::kVmRead);
    if (!process) return process.error();
    std::vector<std::byte> chunk(std::min(size, kCopyChunk));
    while (copied < size && status == Status::success) {
      const auto part = std::span(chunk).first(std::min(size - copied, kCopyChunk));
      u64 read = 0;
      if (!is_success((*process)->space->read(base + copied, part, &read))) status = Status::partial_copy;
      if (const Status stored = call.space().write(buffer + copied, part.first(read)); !is_success(stored))
        return stored;
      copied += read;
    }
  }
  if (done) VITRINE_TRY(done.write(call.space(), copied));
  return status;
}

// Writes inside one page, through its protection when that allows reading: Wine's WriteProcessMemory relies on this
// service to change code and read-only data, which Windows's own kernelbase does by changing the protection around the
// call.
Status write_like_a_debugger(mm::AddressSpace& space, Va va, std::span<const std::byte> from) {
  const Status status = space.write(va, from);
  if (status != Status::access_violation) return status;
  const auto page = space.query_basic(va);
  constexpr u32 kReadable = mm::page::kReadOnly | mm::page::kExecute | mm::page::kExecuteRead;
  if (!page || page->state != mm::mem::kCommit || (page->protect & kReadable) == 0) return status;
  const bool executes = (page->protect & mm::page::kReadOnly) == 0;
  const bool is_private = page->type == mm::mem::kPrivate;
  const u32 writable = executes ? (is_private ? mm::page::kExecuteReadWrite : mm::page::kExecuteWriteCopy)
                                : (is_private ? mm::page::kReadWrite : mm::page::kWriteCopy);
  const auto changed = space.protect(va, from.size(), writable);
  if (!changed) return status;
  const Status written = space.write(va, from);
  const auto restored = space.protect(va, from.size(), changed->old_protect);
  return restored ? written : restored.error();
}

Status nt_write_virtual_memory(Call call, Handle process_handle, Va base, Va buffer, u64 size, UserPtr<u64> done) {
  if (!in_user_range(call.space(), base, size) || !in_user_range(call.space(), buffer, size))
    return Status::access_violation;
  u64 copied = 0;
  Status status = Status::success;
  if (size != 0) {
    const auto process = reference_space(call, process_handle, process_access::kVmWrite);
    if (!process) return process.error();
    std::array<std::byte, kPageSize> page;
    while (copied < size) {
      const u64 room = kPageSize - ((base + copied) & kPageMask);
      const auto part = std::span(page).first(std::min(size - copied, room));
      VITRINE_TRY(call.space().read(buffer + copied, part));
      if (!is_success(write_like_a_debugger(*(*process)->space, base + copied, part))) {
        status = Status::partial_copy;
        break;
      }
      copied += part.size();
    }
  }
  if (done) VITRINE_TRY(done.write(call.space(), copied));
  return status;
}

// ---- the rest
// ------------------------------------------------------------------------------------------------------------

// NT: at most this many addresses at once: the array is locked in memory. [assumed; the count is the caller's
// otherwise]
constexpr u64 kMaximumWritten = 1ull << 20;

Status nt_get_write_watch(Call call, Handle process_handle, u32 flags, Va base, u64 size, UserPtr<Va> addresses,
                          UserPtr<u64> count, UserPtr<u32> granularity) {
  constexpr u32 kReset = 1;  // WRITE_WATCH_FLAG_RESET
  if ((flags & ~kReset) != 0) return Status::invalid_parameter_2;
  const auto capacity = count.read(call.space());
  if (!capacity) return capacity.error();
  if (*capacity == 0) return Status::invalid_parameter_6;
  const u64 limit = std::min(*capacity, kMaximumWritten);
  VITRINE_TRY(call.space().probe(addresses.address, limit * sizeof(Va), sizeof(Va), true));
  VITRINE_TRY(call.space().probe(count.address, sizeof(u64), 1, true));
  VITRINE_TRY(call.space().probe(granularity.address, sizeof(u32), 1, true));
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  const auto pages = (*process)->space->written_pages(base, size, limit, (flags & kReset) != 0);
  if (!pages) return pages.error();
  VITRINE_TRY(call.space().write(addresses.address, std::as_bytes(std::span(*pages))));
  VITRINE_TRY(count.write(call.space(), pages->size()));
  return granularity.write(call.space(), static_cast<u32>(kPageSize));
}

Status nt_reset_write_watch(Call call, Handle process_handle, Va base, u64 size) {
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  const auto pages = (*process)->space->written_pages(base, size, ~0ull, true);
  return pages ? Status::success : pages.error();
}

// Prefetching is advice: the ranges are checked as NT checks them and pages come in when they are touched.
Status nt_set_information_virtual_memory(Call call, Handle process_handle, u32 information_class, u64 count,
                                         UserPtr<abi::MemoryRangeEntry> entries, UserPtr<u32> information, u32 length) {
  if (information_class != static_cast<u32>(abi::VirtualMemoryInformationClass::prefetch)) {
    return Status::invalid_parameter_2;
  }
  constexpr u64 kMostEntries = 0x1'0000;
  if (!information) return Status::invalid_parameter_5;
  if (length != sizeof(u32)) return Status::invalid_parameter_6;
  if (count == 0 || count > kMostEntries) return Status::invalid_parameter_3;
  const auto flags = information.read(call.space());
  if (!flags) return flags.error();
  if (*flags != 0) return Status::invalid_parameter_5;
  const auto process = reference_space(call, process_handle, process_access::kVmOperation);
  if (!process) return process.error();
  for (u64 i = 0; i < count; ++i) {
    const auto entry = entries.element(i).read(call.space());
    if (!entry) return entry.error();
    if (entry->number_of_bytes == 0) return Status::invalid_parameter_4;
  }
  return Status::success;
}

}  // namespace

std::span<const Service> memory_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_allocate_virtual_memory>("NtAllocateVirtualMemory", partial,
                                           "process, base, zero bits, size, type, protect",
                                           "no large pages or physical memory"),
      service<&nt_allocate_virtual_memory_ex>("NtAllocateVirtualMemoryEx", partial,
                                              "process, base, size, type, protect, parameters, count",
                                              "address requirements only; no NUMA nodes, partitions or attributes"),
      service<&nt_free_virtual_memory>("NtFreeVirtualMemory", complete, "process, base, size, type"),
      service<&nt_protect_virtual_memory>("NtProtectVirtualMemory", complete,
                                          "process, base, size, protect, old protect"),
      service<&nt_query_virtual_memory>("NtQueryVirtualMemory", partial,
                                        "process, address, class, buffer, length, return length",
                                        "classes 0, 2, 3, 4 and Wine's 1000"),
      service<&nt_lock_virtual_memory>("NtLockVirtualMemory", complete, "process, base, size, type"),
      service<&nt_unlock_virtual_memory>("NtUnlockVirtualMemory", complete, "process, base, size, type"),
      service<&nt_flush_virtual_memory>("NtFlushVirtualMemory", complete, "process, base, size, io status"),
      service<&nt_read_virtual_memory>("NtReadVirtualMemory", complete, "process, base, buffer, size, done"),
      service<&nt_write_virtual_memory>("NtWriteVirtualMemory", complete, "process, base, buffer, size, done"),
      service<&nt_flush_instruction_cache>("NtFlushInstructionCache", complete, "process, base, size"),
      service<&nt_flush_process_write_buffers>("NtFlushProcessWriteBuffers", complete, ""),
      service<&nt_get_write_watch>("NtGetWriteWatch", complete,
                                   "process, flags, base, size, addresses, count, granularity"),
      service<&nt_reset_write_watch>("NtResetWriteWatch", complete, "process, base, size"),
      service<&nt_set_information_virtual_memory>("NtSetInformationVirtualMemory", partial,
                                                  "process, class, count, entries, information, length",
                                                  "prefetch only"),
      service<&nt_are_mapped_files_the_same>("NtAreMappedFilesTheSame", complete, "first, second"),
  };
  return table;
}

}  // namespace vitrine::nt
