// NtQueryInformationProcess and NtSetInformationProcess. A class that is not here gets invalid_info_class, as NT gives
// for one that it does not know. [facts 10.4]
#include "abi/process_information.h"

#include <algorithm>
#include <array>

#include "abi/peb.h"
#include "abi/thread_information.h"
#include "nt/families.h"
#include "nt/guest_record.h"
#include "ob/directory.h"
#include "ps/access.h"

namespace vitrine::nt {
namespace {

using Class = abi::ProcessInformationClass;
namespace process_access = ps::process_access;
using Priority = ps::PriorityClass;

struct Query {
  Buffer buffer;
  u32 length;
  UserPtr<u32> return_length;
};

// ---- what the classes say
// --------------------------------------------------------------------------------------------------

abi::ProcessBasicInformation basic_information(const ps::Process& process) {
  abi::ProcessBasicInformation information{};
  const bool ended = process.pcb.header.signal_state != 0;
  information.exit_status = static_cast<u32>(ended ? process.exit_status : Status::pending);
  information.peb = process.peb;
  information.affinity_mask = process.pcb.affinity;
  // NT gives the base priority (8 for normal). Wine 8.0's kernelbase takes the priority class from this field; the guest gets
  // what its own DLLs expect (DESIGN 3.3).
  information.base_priority = static_cast<i32>(process.priority_class);
  information.unique_process_id = process.id;
  information.inherited_from_unique_process_id = process.parent_id;
  return information;
}

abi::VmCounters vm_counters(const ps::Process& process) {
  abi::VmCounters counters{};
  if (process.quota != nullptr) {
    const ps::QuotaUse& paged = process.quota->use(ex::PoolType::paged);
    const ps::QuotaUse& nonpaged = process.quota->use(ex::PoolType::nonpaged);
    counters.quota_peak_paged_pool_usage = paged.peak;
    counters.quota_paged_pool_usage = paged.usage;
    counters.quota_peak_non_paged_pool_usage = nonpaged.peak;
    counters.quota_non_paged_pool_usage = nonpaged.usage;
  }
  if (process.space == nullptr) return counters;
  const mm::AddressSpace& space = *process.space;
  counters.peak_virtual_size = space.peak_virtual_bytes();
  counters.virtual_size = space.virtual_bytes();
  counters.page_fault_count = static_cast<u32>(space.fault_count());
  counters.peak_working_set_size = space.peak_working_set_pages() << kPageShift;
  counters.working_set_size = space.working_set_pages() << kPageShift;
  counters.pagefile_usage = counters.private_usage = space.commit_charge() << kPageShift;
  counters.peak_pagefile_usage = space.peak_commit_charge() << kPageShift;
  return counters;
}

abi::PooledUsageAndLimits pooled_usage(const ps::Process& process) {
  const abi::VmCounters counters = vm_counters(process);
  constexpr u64 kNoLimit = ~0ull;
  const auto limit = [&](ex::PoolType type) {
    return process.quota == nullptr ? kNoLimit : process.quota->use(type).limit;
  };
  return {counters.quota_peak_paged_pool_usage,
          counters.quota_paged_pool_usage,
          limit(ex::PoolType::paged),
          counters.quota_peak_non_paged_pool_usage,
          counters.quota_non_paged_pool_usage,
          limit(ex::PoolType::nonpaged),
          counters.peak_pagefile_usage,
          counters.pagefile_usage,
          kNoLimit};
}

abi::KernelUserTimes times(Call call, const ps::Process& process) {
  u64 kernel = process.ended_thread_kernel_time;
  u64 user = process.ended_thread_user_time;
  for (const ps::Thread& thread : process.threads) {
    if (thread.tcb.state == ke::ThreadState::terminated) continue;  // counted when it ended
    kernel += thread.tcb.kernel_time;
    user += thread.tcb.user_time;
  }
  const u64 interval = call->machine.clock_interval_100ns();
  return {process.create_time.value, process.exit_time.value, static_cast<i64>(kernel * interval),
          static_cast<i64>(user * interval)};
}

abi::ProcessCycleTime cycle_time(const ps::Process& process) {
  u64 cycles = process.ended_thread_cycles;
  for (const ps::Thread& thread : process.threads) {
    if (thread.tcb.state != ke::ThreadState::terminated) cycles += thread.tcb.cycle_time;
  }
  return {cycles, 0};
}

constexpr std::u16string_view kDosPrefix = u"\\??\\";

// "\Device\HarddiskVolume1\x.exe": the drive letter's link replaced by what it points to.
std::u16string device_path(Call call, const ps::Process& process) {
  const std::u16string_view path = process.image_path;
  if (!path.starts_with(kDosPrefix)) return std::u16string(path);
  const std::size_t drive_end = path.find(u'\\', kDosPrefix.size());
  if (drive_end == std::u16string_view::npos) return std::u16string(path);
  const auto link = call->objects.lookup({.name = path.substr(0, drive_end),
                                          .attributes = abi::obj::kCaseInsensitive | abi::obj::kOpenLink,
                                          .type = &call->objects.symbolic_link_type(),
                                          .access = {}});
  if (!link) return std::u16string(path);
  const auto& target = static_cast<const ob::SymbolicLinkObject&>(**link).target;
  return target + std::u16string(path.substr(drive_end));
}

std::u16string dos_path(const ps::Process& process) {
  const std::u16string_view path = process.image_path;
  return std::u16string(path.starts_with(kDosPrefix) ? path.substr(kDosPrefix.size()) : path);
}

// As the parameters say now: the program may have changed them.
Status query_command_line(Call call, ps::Process& process, const Query& query) {
  if (process.space == nullptr || process.exiting) return Status::process_is_terminating;
  const auto header =
      process.space->read_value<UnicodeString>(process.parameters + offsetof(abi::ProcessParameters, command_line));
  if (!header) return header.error();
  std::u16string text(header->length / 2, u'\0');
  VITRINE_TRY(process.space->read(header->buffer, std::as_writable_bytes(std::span(text))));
  return return_string(call, query.buffer, query.length, text, query.return_length);
}

Status query_image(Call call, const ps::Process& process, const Query& query) {
  if (!process.section) return Status::process_is_terminating;
  const auto& section = static_cast<const mm::SectionObject&>(*process.section).section;
  const auto information = section.image_information();
  if (!information) return information.error();
  return return_value(call, query.buffer, query.length, *information, query.return_length);
}

Status query_handles(Call call, const ps::Process& process, const Query& query) {
  if (process.handles == nullptr) return Status::process_is_terminating;
  // A table may hold millions of handles: nothing is built for a buffer that cannot take it.
  const u64 needed =
      sizeof(abi::ProcessHandleSnapshotHeader) + u64{process.handles->count()} * sizeof(abi::ProcessHandleEntry);
  if (query.length < needed) {
    if (query.return_length) VITRINE_TRY(query.return_length.write(call.space(), static_cast<u32>(needed)));
    return Status::info_length_mismatch;
  }
  GuestRecord record(query.buffer.address);
  record.add(abi::ProcessHandleSnapshotHeader{process.handles->count(), 0});
  for (Handle handle = process.handles->next({0}); handle; handle = process.handles->next(handle)) {
    const ob::Object* object = process.handles->peek(handle);
    const ex::HandleEntry* entry = process.handles->table().find(handle);
    if (object == nullptr || entry == nullptr) continue;
    record.add(abi::ProcessHandleEntry{handle.value, static_cast<u64>(object->handle_count()),
                                       static_cast<u64>(object->pointer_count()), entry->granted_access(),
                                       object->type().index, entry->attributes(), 0});
  }
  return record.deliver(call, query.buffer, query.length, query.return_length);
}

Status query_vm_counters(Call call, const ps::Process& process, const Query& query) {
  if (query.length != abi::kVmCountersFirstForm && query.length != sizeof(abi::VmCounters))
    return Status::info_length_mismatch;
  const abi::VmCounters counters = vm_counters(process);
  return return_bytes(call, query.buffer, query.length, std::as_bytes(std::span(&counters, 1)).first(query.length),
                      query.return_length, LengthRule::exact);
}

Status query_handle_count(Call call, const ps::Process& process, const Query& query) {
  abi::ProcessHandleCount count{};
  if (process.handles != nullptr) count = {process.handles->count(), process.handles->peak_count()};
  // NT 6.1: four bytes, or eight with the peak.
  if (query.length == sizeof count) return return_value(call, query.buffer, query.length, count, query.return_length);
  return return_value(call, query.buffer, query.length, count.count, query.return_length);
}

// ---- query
// -----------------------------------------------------------------------------------------------------------------

constexpr u32 kLimited = process_access::kQueryInformation | process_access::kQueryLimitedInformation;

// 0: the class cannot be queried.
u32 query_rights(Class information_class) {
  switch (information_class) {
    case Class::basic:
    case Class::vm_counters:
    case Class::times:
    case Class::priority_class:
    case Class::priority_boost:
    case Class::session:
    case Class::wow64:
    case Class::image_file_name:
    case Class::image_file_name_win32:
    case Class::image_information:
    case Class::cycle_time:
    case Class::command_line:
    case Class::protection:
    case Class::subsystem:
      return kLimited;
    case Class::debug_port:
    case Class::default_hard_error_mode:
    case Class::pooled_usage_and_limits:
    case Class::handle_count:
    case Class::affinity_mask:
    case Class::debug_object_handle:
    case Class::debug_flags:
    case Class::execute_flags:
    case Class::cookie:
    case Class::handle_information:
      return process_access::kQueryInformation;
    default:
      return 0;
  }
}

Status query_value(Call call, ps::Process& process, Class information_class, const Query& query) {
  const auto give = [&](const auto& value) {
    return return_value(call, query.buffer, query.length, value, query.return_length);
  };
  constexpr u32 kExecuteDisable = 1, kDisableThunkEmulation = 4, kPermanent = 8;  // MEM_EXECUTE_OPTION_*
  constexpr u32 kDebugInherit = 1;
  switch (information_class) {
    case Class::basic:
      return give(basic_information(process));
    case Class::vm_counters:
      return query_vm_counters(call, process, query);
    case Class::times:
      return give(times(call, process));
    case Class::debug_port:
      return give(u64{0});  // no debugger
    case Class::default_hard_error_mode:
      return give(process.default_hard_error_mode);
    case Class::pooled_usage_and_limits:
      return give(pooled_usage(process));
    case Class::priority_class:
      return give(
          abi::ProcessPriorityClass{process.pcb.foreground ? u8{1} : u8{0}, static_cast<u8>(process.priority_class)});
    case Class::handle_count:
      return query_handle_count(call, process, query);
    case Class::affinity_mask:
      return give(process.pcb.affinity);
    case Class::priority_boost:
      return give(u32{process.pcb.disable_boost});
    case Class::session:
      return give(process.session_id);
    case Class::wow64:
      return give(u64{0});  // 64-bit processes only
    case Class::image_file_name:
      return return_string(call, query.buffer, query.length, device_path(call, process), query.return_length);
    case Class::image_file_name_win32:
      return return_string(call, query.buffer, query.length, dos_path(process), query.return_length);
    case Class::debug_object_handle:
      if (query.length != sizeof(u64)) return Status::info_length_mismatch;
      VITRINE_TRY(query.buffer.as<u64>().write(call.space(), 0));
      return Status::port_not_set;  // NT's answer without a debugger
    case Class::debug_flags:
      return give(kDebugInherit);
    case Class::execute_flags:
      return give(kExecuteDisable | kDisableThunkEmulation | kPermanent);  // x64: always
    case Class::cookie:
      // NT: one may only ask for one's own.
      return &process == &call.process() ? give(process.cookie) : Status::invalid_parameter;
    case Class::image_information:
      return query_image(call, process, query);
    case Class::cycle_time:
      return give(cycle_time(process));
    case Class::handle_information:
      return query_handles(call, process, query);
    case Class::command_line:
      return query_command_line(call, process, query);
    case Class::protection:
      return give(u8{0});  // not a protected process
    case Class::subsystem:
      return give(u32{0});  // Win32
    default:
      return Status::invalid_info_class;
  }
}

Result<ob::Ref<ps::Process>> reference_with_any(Call call, Handle handle, u32 rights) {
  ob::HandleInformation information{};
  auto process = ob::reference_by_handle<ps::Process>(*call.process().handles, handle, call->processes.process_type(),
                                                      0, se::Mode::user, &information);
  if (process && (information.granted_access & rights) == 0) return Failure(Status::access_denied);
  return process;
}

Status nt_query_information_process(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                                    UserPtr<u32> return_length) {
  const Class wanted{information_class};
  const u32 rights = query_rights(wanted);
  if (rights == 0) return Status::invalid_info_class;
  const auto process = reference_with_any(call, handle, rights);
  if (!process) return process.error();
  return query_value(call, **process, wanted, {buffer, length, return_length});
}

// ---- set
// -------------------------------------------------------------------------------------------------------------------

bool may_raise_priority(Call call) {
  return call.process().token->data.has_privilege(se::Privilege::increase_base_priority);
}

Status set_priority_class(Call call, ps::Process& process, const abi::ProcessPriorityClass& value) {
  if (value.priority_class == 0 || value.priority_class >= ps::kClassBasePriority.size())
    return Status::invalid_parameter;
  const Priority wanted{value.priority_class};
  if (wanted == Priority::realtime && process.priority_class != wanted && !may_raise_priority(call)) {
    return Status::privilege_not_held;
  }
  process.priority_class = wanted;
  call->kernel.set_process_priority(process.pcb, ps::kClassBasePriority[value.priority_class],
                                    wanted == Priority::idle);
  // NT: PsSetProcessPriorityByMode: quanta and wake-up boosts of the foreground [facts 6.3, 6.5].
  call->kernel.set_process_foreground(process.pcb, value.foreground != 0);
  return Status::success;
}

Status set_base_priority(Call call, ps::Process& process, i32 priority) {
  if (priority < 1 || priority > ke::kHighPriority) return Status::invalid_parameter;
  if (priority > process.pcb.base_priority && !may_raise_priority(call)) return Status::privilege_not_held;
  call->kernel.set_process_priority(process.pcb, static_cast<ke::Priority>(priority), process.pcb.idle_class);
  return Status::success;
}

Status set_priority_boost(Call call, ps::Process& process, u32 disable) {
  process.pcb.disable_boost = disable != 0;
  for (ps::Thread& thread : process.threads) (void)call->kernel.set_disable_boost(thread.tcb, disable != 0);
  return Status::success;
}

// Reserves a stack for the caller to commit; Wine's RtlCreateUserStack (fibers) begins with it. The plain form or, 16
// bytes into the record, the extended one.
Status set_stack_allocation(Call call, ps::Process& process, Buffer buffer, u32 length) {
  const u64 offset =
      length == sizeof(abi::ProcessStackAllocationEx) ? offsetof(abi::ProcessStackAllocationEx, allocation) : 0;
  if (offset == 0 && length != sizeof(abi::ProcessStackAllocation)) return Status::info_length_mismatch;
  if (&process != &call.process()) return Status::invalid_parameter;
  const UserPtr<abi::ProcessStackAllocation> record{buffer.address + offset};
  auto allocation = record.read(call.space());
  if (!allocation) return allocation.error();
  if (allocation->zero_bits > 21) return Status::invalid_parameter;
  const auto range = call.space().allocate(
      {0, allocation->reserve_size, static_cast<u32>(allocation->zero_bits), mm::mem::kReserve, mm::page::kReadWrite});
  if (!range) return range.error();
  allocation->stack_base = range->base;
  const Status status = record.write(call.space(), *allocation);
  if (!is_success(status)) (void)call.space().free(range->base, 0, mm::mem::kRelease);
  return status;
}

Status check_power_throttling(const abi::PowerThrottlingState& state) {
  constexpr u32 kVersion = 1, kKnown = 5;  // execution speed, ignore timer resolution
  const bool valid =
      state.version == kVersion && (state.control_mask & ~kKnown) == 0 && (state.state_mask & ~state.control_mask) == 0;
  return valid ? Status::success : Status::invalid_parameter;
}

bool can_be_set(Class information_class) {
  constexpr std::array kSettable{
      Class::base_priority,  Class::default_hard_error_mode, Class::priority_class,        Class::affinity_mask,
      Class::priority_boost, Class::thread_stack_allocation, Class::power_throttling_state};
  return std::ranges::find(kSettable, information_class) != kSettable.end();
}

template <typename T, typename Apply>
Status with_value(Call call, Buffer buffer, u32 length, Apply apply) {
  const auto value = capture_value<T>(call, buffer, length);
  return value ? apply(*value) : value.error();
}

Status nt_set_information_process(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length) {
  const Class wanted{information_class};
  if (!can_be_set(wanted)) return Status::invalid_info_class;
  const auto reference = reference_process(call, handle, process_access::kSetInformation);
  if (!reference) return reference.error();
  ps::Process& process = **reference;
  if (process.exiting) return Status::process_is_terminating;
  switch (wanted) {
    case Class::base_priority:
      return with_value<i32>(call, buffer, length, [&](i32 value) { return set_base_priority(call, process, value); });
    case Class::default_hard_error_mode:
      return with_value<u32>(call, buffer, length, [&](u32 value) {
        process.default_hard_error_mode = value;
        return Status::success;
      });
    case Class::priority_class:
      return with_value<abi::ProcessPriorityClass>(call, buffer, length, [&](const abi::ProcessPriorityClass& value) {
        return set_priority_class(call, process, value);
      });
    case Class::affinity_mask:
      return with_value<u64>(call, buffer, length,
                             [&](u64 mask) { return call->kernel.set_process_affinity(process.pcb, mask); });
    case Class::priority_boost:
      return with_value<u32>(call, buffer, length, [&](u32 value) { return set_priority_boost(call, process, value); });
    case Class::thread_stack_allocation:
      return set_stack_allocation(call, process, buffer, length);
    case Class::power_throttling_state:
      return with_value<abi::PowerThrottlingState>(call, buffer, length, check_power_throttling);
    default:
      return Status::invalid_info_class;
  }
}

}  // namespace

std::span<const Service> process_information_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_query_information_process>("NtQueryInformationProcess", partial,
                                             "process, class, buffer, length, return length",
                                             "classes 0 3 4 7 12 14 18 20-22 24 26 27 30 31 34 36-38 43 51 60 61 75"),
      service<&nt_set_information_process>(
          "NtSetInformationProcess", partial, "process, class, buffer, length",
          "classes 5 12 18 21 22 41 77; power throttling changes nothing"),
  };
  return table;
}

}  // namespace vitrine::nt
