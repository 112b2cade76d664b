// NtQuerySystemInformation and its Ex form. Every number is the machine's own: its processors, frames, pool, registry
// and clock.
#include "nt/system_information.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

#include "hal/identity.h"
#include "nt/system_queries.h"

namespace vitrine::nt {
namespace {

using Class = abi::SystemInformationClass;

u32 clamp32(u64 value) { return static_cast<u32>(std::min<u64>(value, std::numeric_limits<u32>::max())); }

abi::SystemBasicInformation basic_information(Call call) {
  const mm::Books books = call->memory.books();
  abi::SystemBasicInformation information{};
  information.timer_resolution = call->machine.clock_interval_100ns();
  information.page_size = kPageSize;
  information.physical_pages = clamp32(books.total_pages);
  information.lowest_physical_page = 1;
  information.highest_physical_page = clamp32(books.total_pages);
  information.allocation_granularity = mm::kAllocationGranularity;
  const mm::SpaceOptions layout;
  information.lowest_user_address = layout.lowest;
  information.highest_user_address = layout.highest_plus_one - 1;
  information.active_processors = call->kernel.active_processors();
  information.processor_count = static_cast<u8>(call->kernel.processor_count());
  return information;
}

// As CPUID leaf 1 says it [SDM vol. 2A]: level is the family, revision the model and stepping.
abi::SystemProcessorInformation processor_information(Call call, u16 architecture) {
  const hal::Identity identity(call->machine, 1);
  const auto leaf = identity.cpuid(1, 0);
  const u32 stepping = leaf.eax & 15, family = (leaf.eax >> 8) & 15;
  const u32 model = ((leaf.eax >> 4) & 15) | ((leaf.eax >> 12) & 0xF0);
  abi::SystemProcessorInformation information{};
  information.architecture = architecture;
  information.level = static_cast<u16>(family);
  information.revision = static_cast<u16>(model << 8 | stepping);
  information.maximum_processors = static_cast<u16>(call->kernel.processor_count());
  information.feature_bits = leaf.edx;
  return information;
}

abi::SystemPerformanceInformation performance_information(Call call) {
  const mm::Books books = call->memory.books();
  abi::SystemPerformanceInformation information{};
  for (u32 i = 0; i < call->kernel.processor_count(); ++i) {
    const ke::Processor& processor = call->kernel.processor(i);
    information.idle_time += static_cast<i64>(processor.idle_ticks * call->machine.clock_interval_100ns());
    information.context_switches += static_cast<u32>(processor.context_switches);
  }
  information.available_pages = clamp32(books.held.available_pages);
  information.committed_pages = clamp32(books.held.committed_pages);
  information.commit_limit = clamp32(books.commit_limit_pages);
  information.peak_commitment = clamp32(books.peak_committed_pages);
  information.page_faults = static_cast<u32>(books.page_faults);
  information.copy_on_write_faults = static_cast<u32>(books.copy_on_write_faults);
  information.transition_faults = static_cast<u32>(books.soft_faults);
  information.demand_zero_faults = static_cast<u32>(books.demand_zero_faults);
  information.pages_read = information.page_read_ios = static_cast<u32>(books.hard_faults);
  information.paged_pool_pages = clamp32(call->pool.pages(ex::PoolType::paged));
  information.nonpaged_pool_pages = clamp32(call->pool.pages(ex::PoolType::nonpaged));
  const mm::KernelRegion& ptes = call->memory.system_ptes();
  information.free_system_ptes = clamp32(ptes.total() - ptes.used());
  information.available_paged_pool_pages =
      clamp32(call->pool.page_capacity(ex::PoolType::paged) - call->pool.pages(ex::PoolType::paged));
  const cc::CacheCounters& cache = call->cache.counters();
  information.copy_read_wait = static_cast<u32>(cache.copy_reads);
  information.copy_read_wait_miss = static_cast<u32>(cache.copy_read_misses);
  for (u32 site = 1; site <= call->pool.site_count(); ++site) {
    const ex::PoolSiteInfo& info = call->pool.site_info({static_cast<u16>(site)});
    const bool paged = info.type != ex::PoolType::nonpaged;
    (paged ? information.paged_pool_allocations : information.nonpaged_pool_allocations) +=
        static_cast<u32>(info.usage.allocations);
    (paged ? information.paged_pool_frees : information.nonpaged_pool_frees) += static_cast<u32>(info.usage.frees);
  }
  for (const ps::Process& process : call->processes.active_processes()) {
    information.system_calls += static_cast<u32>(process.system_calls);
  }
  return information;
}

void fill_processor_performance(Call call, GuestRecord& record) {
  const i64 interval = call->machine.clock_interval_100ns();
  for (u32 i = 0; i < call->kernel.processor_count(); ++i) {
    const ke::Processor& processor = call->kernel.processor(i);
    abi::SystemProcessorPerformanceInformation information{};
    information.idle_time = static_cast<i64>(processor.idle_ticks) * interval;
    information.kernel_time =
        static_cast<i64>(processor.kernel_ticks + processor.idle_ticks) * interval;  // NT adds them
    information.user_time = static_cast<i64>(processor.user_ticks) * interval;
    information.interrupt_count = static_cast<u32>(processor.interrupt_count);
    record.add(information);
  }
}

// The kernel is one module. NT shows its address to privileged callers only; others read zeroes [Windows 11 24H2 and
// later].
void fill_modules(GuestRecord& record) {
  constexpr std::string_view kName = "\\SystemRoot\\system32\\ntoskrnl.exe";
  record.add(u64{1});  // a count of 32 bits and padding
  abi::SystemModule module{};
  module.load_count = 1;
  module.name_offset = static_cast<u16>(kName.rfind('\\') + 1);
  std::ranges::copy(kName, module.name.begin());
  record.add(module);
}

// Programs of Wine take their random numbers from here (advapi32's SystemFunction036), so they are the machine's seeded
// ones.
void fill_random(Call call, GuestRecord& record) {
  const u64 bytes = u64{abi::kInterruptInformationBytes} * call->kernel.processor_count();
  for (u64 done = 0; done < bytes; done += sizeof(u64)) record.add(call->random.next());
}

// The machine's time zone is UTC, wherever it runs.
abi::TimeZoneInformation time_zone() {
  abi::TimeZoneInformation zone{};
  constexpr std::u16string_view kName = u"Coordinated Universal Time", kKey = u"UTC";
  std::ranges::copy(kName, zone.standard_name.begin());
  std::ranges::copy(kName, zone.daylight_name.begin());
  std::ranges::copy(kKey, zone.key_name.begin());
  return zone;
}

// What Wine's ntdll calls its version; then the system underneath and its release.
void fill_wine_version(GuestRecord& record) {
  using namespace std::string_view_literals;
  constexpr std::string_view kText = "8.0\0wine-8.0\0Vitrine\0nt\0"sv;
  record.add_bytes(std::as_bytes(std::span(kText)));
}

Status query_time_of_day(Call call, Buffer buffer, u32 length, UserPtr<u32> return_length) {
  abi::SystemTimeOfDayInformation information{};
  if (length > sizeof(information)) return Status::info_length_mismatch;
  information.boot_time = call->machine.boot_time().value;
  information.current_time = call->kernel.system_time().value;
  if (return_length) VITRINE_TRY(return_length.write(call.space(), length));  // NT: any part of it may be asked for
  return call.space().write(buffer.address, std::as_bytes(std::span(&information, 1)).first(length));
}

Status query_list(Call call, Class wanted, Buffer buffer, u32 length, UserPtr<u32> return_length) {
  GuestRecord record(buffer.address);
  u64 needed = 0;
  Status status;
  switch (wanted) {
    case Class::process:
      status = fill_process_list(call, record, false, length, &needed);
      break;
    case Class::extended_process:
      status = fill_process_list(call, record, true, length, &needed);
      break;
    case Class::handle:
      status = fill_handle_list(call, record, false, length, &needed);
      break;
    default:
      status = fill_handle_list(call, record, true, length, &needed);
      break;
  }
  if (is_success(status)) return record.deliver(call, buffer, length, return_length);
  if (return_length) VITRINE_TRY(return_length.write(call.space(), clamp32(needed)));
  return status;
}

// Classes whose record does not depend on what the caller passes. False: another class.
bool fill(Call call, GuestRecord& record, Class wanted) {
  const u32 interval = call->machine.clock_interval_100ns();
  switch (wanted) {
    case Class::basic:
    case Class::native_basic:
    case Class::emulation_basic:
      record.add(basic_information(call));
      return true;
    case Class::processor:
      record.add(processor_information(call, abi::kArchitectureAmd64));
      return true;
    case Class::emulation_processor:
      record.add(processor_information(call, abi::kArchitectureIntel));
      return true;
    case Class::performance:
      record.add(performance_information(call));
      return true;
    case Class::processor_performance:
      fill_processor_performance(call, record);
      return true;
    case Class::module:
      fill_modules(record);
      return true;
    case Class::file_cache:
      record.add(abi::SystemCacheInformation{});
      return true;  // views make no page resident (cc)
    case Class::interrupt:
      fill_random(call, record);
      return true;
    case Class::time_adjustment:
      record.add(abi::SystemTimeAdjustment{interval, interval, 1, {}});
      return true;
    case Class::kernel_debugger:
      record.add(std::array<u8, 2>{0, 1});
      return true;  // not enabled, not present
    case Class::kernel_debugger_ex:
      record.add(std::array<u8, 3>{});
      return true;  // not allowed, enabled or present
    case Class::registry_quota:
      record.add(abi::SystemRegistryQuota{static_cast<u32>(cm::kMaximumRegistryBytes), clamp32(call->registry.bytes()),
                                          call->profile.layout.paged_pool.bytes});
      return true;
    case Class::current_time_zone: {
      const abi::TimeZoneInformation zone = time_zone();
      record.add_bytes(std::as_bytes(std::span(&zone, 1)).first(abi::kTimeZoneFirstFormBytes));
      return true;
    }
    case Class::dynamic_time_zone:
      record.add(time_zone());
      return true;
    case Class::shared_data_alignment:
      record.add(u32{64});
      return true;  // a cache line
    case Class::code_integrity:
      record.add(abi::CodeIntegrityInformation{8, abi::kCodeIntegrityEnabled});
      return true;
    case Class::logical_processor:
      fill_logical_processors(call, record);
      return true;
    case Class::cpu_set:
      fill_cpu_sets(call, record);
      return true;
    case Class::wine_version:
      fill_wine_version(record);
      return true;
    default:
      return false;
  }
}

bool needs_exact_length(Class wanted) {
  return wanted == Class::basic || wanted == Class::native_basic || wanted == Class::emulation_basic ||
         wanted == Class::time_adjustment;
}

// Class 181: which machines' programs run here. Bits 16 and up: native, kernel and user mode; 19: this process's own.
Status fill_architectures(Call call, Buffer query, u32 query_length, GuestRecord& record) {
  constexpr u32 kKernelMode = 1, kUserMode = 2, kNative = 4, kProcess = 8;
  if (query_length < sizeof(u64)) return Status::invalid_parameter;
  const auto process = query.as<Handle>().read(call.space());
  if (!process) return process.error();
  u32 flags = kKernelMode | kUserMode | kNative;
  if (*process) {
    const auto found = reference_process(call, *process, 0);
    if (!found) return found.error();
    flags |= kProcess;
  }
  record.add(u32{abi::kMachineAmd64} | flags << 16);
  record.add(u32{0});
  return Status::success;
}

}  // namespace

Status nt_query_system_information(Call call, u32 information_class, Buffer buffer, u32 length,
                                   UserPtr<u32> return_length) {
  const auto wanted = static_cast<Class>(information_class);
  switch (wanted) {
    case Class::process:
    case Class::extended_process:
    case Class::handle:
    case Class::extended_handle:
      return query_list(call, wanted, buffer, length, return_length);
    case Class::time_of_day:
      return query_time_of_day(call, buffer, length, return_length);
    case Class::firmware_table:
      return Status::not_implemented;  // NT: what a provider that does not exist gives
    default:
      break;
  }
  GuestRecord record(buffer.address);
  if (!fill(call, record, wanted)) return Status::invalid_info_class;
  if (needs_exact_length(wanted) && length > record.size()) {
    if (return_length) VITRINE_TRY(return_length.write(call.space(), static_cast<u32>(record.size())));
    return Status::info_length_mismatch;
  }
  const Status too_short = wanted == Class::cpu_set ? Status::buffer_too_small : Status::info_length_mismatch;
  return record.deliver(call, buffer, length, return_length, too_short);
}

Status nt_query_system_information_ex(Call call, u32 information_class, Buffer query, u32 query_length, Buffer buffer,
                                      u32 length, UserPtr<u32> return_length) {
  GuestRecord record(buffer.address);
  switch (static_cast<Class>(information_class)) {
    case Class::logical_processor_ex: {
      if (query.is_null() || query_length < sizeof(u32)) return Status::invalid_parameter;
      const auto relation = query.as<u32>().read(call.space());
      if (!relation) return relation.error();
      fill_relations(call, record, static_cast<abi::ProcessorRelation>(*relation));
      return record.deliver(call, buffer, length, return_length);
    }
    case Class::cpu_set:
      if (query.is_null() || query_length < sizeof(u64)) return Status::invalid_parameter;
      fill_cpu_sets(call, record);
      return record.deliver(call, buffer, length, return_length, Status::buffer_too_small);
    case Class::supported_architectures:
      VITRINE_TRY(fill_architectures(call, query, query_length, record));
      return record.deliver(call, buffer, length, return_length, Status::buffer_too_small);
    default:
      return Status::invalid_info_class;
  }
}

}  // namespace vitrine::nt
