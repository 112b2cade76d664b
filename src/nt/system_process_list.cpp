// Processes, threads and handles as NtQuerySystemInformation lists them: the real ones, in order of creation.
#include <limits>

#include "nt/system_queries.h"
#include "ps/start_address.h"

namespace vitrine::nt {
namespace {

constexpr u64 kNameTerminator = 2;

std::u16string_view last_component(std::u16string_view path) {
  const auto slash = path.rfind(u'\\');
  return slash == path.npos ? path : path.substr(slash + 1);
}

bool is_listed(const ps::Thread& thread) { return thread.tcb.state != ke::ThreadState::terminated; }

struct Sizes {
  u64 thread_bytes;
  u64 interval;  // 100 ns a clock tick
};

u64 entry_bytes(const ps::Process& process, const Sizes& sizes) {
  u64 threads = 0;
  for (const ps::Thread& thread : process.threads) threads += is_listed(thread);
  const u64 name = last_component(process.image_path).size() * 2 + kNameTerminator;
  return align_up(sizeof(abi::SystemProcessInformation) + threads * sizes.thread_bytes + name, 8);
}

abi::SystemThreadInformation describe(const ke::Thread& thread, u64 interval) {
  abi::SystemThreadInformation information{};
  information.kernel_time = static_cast<i64>(thread.kernel_time * interval);
  information.user_time = static_cast<i64>(thread.user_time * interval);
  information.wait_time = thread.wait_time;
  information.priority = thread.priority;
  information.base_priority = thread.base_priority;
  information.context_switches = thread.context_switches;
  information.state = static_cast<u32>(thread.state);
  information.wait_reason = static_cast<u32>(thread.wait_reason);
  return information;
}

// NT: the start routine that the program named, where it named another one (class 9).
Va win32_start_address(const ps::Thread& thread) {
  const auto extra = thread.process->thread_extras.find(thread.id);
  const bool named = extra != thread.process->thread_extras.end() && extra->second.win32_start_address != 0;
  return named ? extra->second.win32_start_address : thread.start_address;
}

void add_thread(Call call, GuestRecord& record, const abi::SystemThreadInformation& information,
                const ps::Thread* thread, bool extended) {
  if (!extended) {
    record.add(information);
    return;
  }
  abi::SystemExtendedThreadInformation more{};
  more.thread = information;
  if (thread != nullptr) {
    more.stack_base = call->memory.kernel_stack_base(thread->kernel_stack);
    more.stack_limit = call->memory.kernel_stack_limit(thread->kernel_stack);
    more.win32_start_address = win32_start_address(*thread);
    more.teb_base = thread->teb;
  }
  record.add(more);
}

// NT: the idle process comes first; it has id 0, no name and one thread for each processor.
void add_idle_process(Call call, GuestRecord& record, const Sizes& sizes, bool extended) {
  abi::SystemProcessInformation information{};
  information.thread_count = call->kernel.processor_count();
  information.next_entry_offset = static_cast<u32>(sizeof(information) + information.thread_count * sizes.thread_bytes);
  for (u32 i = 0; i < information.thread_count; ++i) {
    information.kernel_time += static_cast<i64>(call->kernel.processor(i).idle_ticks * sizes.interval);
  }
  record.add(information);
  for (u32 i = 0; i < information.thread_count; ++i) {
    const ke::Processor& processor = call->kernel.processor(i);
    abi::SystemThreadInformation thread = describe(processor.idle_thread, sizes.interval);
    thread.kernel_time = static_cast<i64>(processor.idle_ticks * sizes.interval);
    add_thread(call, record, thread, nullptr, extended);
  }
}

void fill_memory(const ps::Process& process, abi::SystemProcessInformation& information) {
  abi::SystemVmCounters& memory = information.memory;
  if (process.quota) {
    memory.paged_pool = process.quota->use(ex::PoolType::paged).usage;
    memory.peak_paged_pool = process.quota->use(ex::PoolType::paged).peak;
    memory.nonpaged_pool = process.quota->use(ex::PoolType::nonpaged).usage;
    memory.peak_nonpaged_pool = process.quota->use(ex::PoolType::nonpaged).peak;
  }
  if (!process.space) return;
  const mm::AddressSpace& space = *process.space;
  memory.virtual_size = space.virtual_bytes();
  memory.peak_virtual_size = space.peak_virtual_bytes();
  memory.page_fault_count = static_cast<u32>(space.fault_count());
  memory.working_set_size = space.working_set_pages() << kPageShift;
  memory.peak_working_set_size = space.peak_working_set_pages() << kPageShift;
  memory.pagefile_usage = memory.private_usage = space.commit_charge() << kPageShift;
  memory.peak_pagefile_usage = space.peak_commit_charge() << kPageShift;
}

void add_process(Call call, GuestRecord& record, const ps::Process& process, const Sizes& sizes, bool extended,
                 bool last) {
  const u64 start = record.size();
  abi::SystemProcessInformation information{};
  information.create_time = process.create_time.value;
  information.base_priority = process.pcb.base_priority;
  information.process_id = process.id;
  information.parent_process_id = process.parent_id;
  information.handle_count = process.handles ? process.handles->count() : 0;
  information.session_id = process.session_id;
  information.unique_key = process.id;
  fill_memory(process, information);
  record.add(information);
  for (const ps::Thread& thread : process.threads) {
    if (!is_listed(thread)) continue;
    abi::SystemThreadInformation entry = describe(thread.tcb, sizes.interval);
    entry.create_time = thread.create_time.value;
    entry.start_address = ps::start_address_of(thread);
    entry.client_id = {process.id, thread.id};
    add_thread(call, record, entry, &thread, extended);
    ++information.thread_count;
    information.cycle_time += thread.tcb.cycle_time;
  }
  information.peak_thread_count = information.thread_count;
  information.kernel_time = static_cast<i64>(process.pcb.kernel_time * sizes.interval);
  information.user_time = static_cast<i64>(process.pcb.user_time * sizes.interval);
  const std::u16string_view name = last_component(process.image_path);
  const u64 text = record.add_text(name);
  record.add_zeros(kNameTerminator);
  record.align(8);
  const u16 bytes = static_cast<u16>(std::min<std::size_t>(name.size() * 2, 0xFFFC));
  information.image_name = {bytes, static_cast<u16>(bytes + kNameTerminator), 0, record.address(text)};
  information.next_entry_offset = last ? 0 : static_cast<u32>(record.size() - start);
  record.put(start, information);
}

struct HandleSource {
  const ps::Process* process;
  ob::ObjectHandles* table;
};
std::vector<HandleSource> handle_tables(Call call) {
  std::vector<HandleSource> tables;
  for (ps::Process& process : call->processes.active_processes()) {
    if (process.handles) tables.push_back({&process, process.handles.get()});
  }
  return tables;
}

void add_handle(Call call, GuestRecord& record, u64 process_id, Handle handle, const ex::HandleEntry& entry,
                bool extended) {
  const auto& object = *static_cast<const ob::Object*>(entry.object());
  const Va address = call->pool.address(object.block());
  if (extended) {
    record.add(abi::SystemHandleEntryEx{address, process_id, handle.value, entry.granted_access(), 0,
                                        object.type().index, entry.attributes(), 0});
  } else {
    record.add(abi::SystemHandleEntry{static_cast<u32>(process_id), object.type().index, entry.attributes(),
                                      static_cast<u16>(handle.value), address, entry.granted_access(), 0});
  }
}

}  // namespace

Status fill_process_list(Call call, GuestRecord& record, bool extended, u32 length, u64* needed) {
  const Sizes sizes{extended ? sizeof(abi::SystemExtendedThreadInformation) : sizeof(abi::SystemThreadInformation),
                    call->machine.clock_interval_100ns()};
  auto& processes = call->processes.active_processes();
  *needed = sizeof(abi::SystemProcessInformation) + call->kernel.processor_count() * sizes.thread_bytes;
  for (const ps::Process& process : processes) *needed += entry_bytes(process, sizes);
  if (*needed > std::numeric_limits<u32>::max()) return Status::insufficient_resources;
  if (length < *needed) return Status::info_length_mismatch;
  add_idle_process(call, record, sizes, extended);
  for (const ps::Process& process : processes) {
    add_process(call, record, process, sizes, extended, processes.next(process) == nullptr);
  }
  return Status::success;
}

Status fill_handle_list(Call call, GuestRecord& record, bool extended, u32 length, u64* needed) {
  const u64 header = extended ? 2 * sizeof(u64) : sizeof(u64);
  const u64 entry_size = extended ? sizeof(abi::SystemHandleEntryEx) : sizeof(abi::SystemHandleEntry);
  const std::vector<HandleSource> tables = handle_tables(call);
  u64 count = 0;
  for (const HandleSource& source : tables) count += source.table->count();
  *needed = header + count * entry_size;
  if (*needed > std::numeric_limits<u32>::max()) return Status::insufficient_resources;
  if (length < *needed) return Status::info_length_mismatch;
  record.add(count);
  if (extended) record.add(u64{0});
  for (const HandleSource& source : tables) {
    for (Handle h = source.table->next({0}); h; h = source.table->next(h)) {
      add_handle(call, record, source.process->id, h, *source.table->table().find(h), extended);
    }
  }
  return Status::success;
}

}  // namespace vitrine::nt
