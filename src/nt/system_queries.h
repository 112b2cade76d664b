// The answers of NtQuerySystemInformation that are more than a few numbers. Each fills a record and says nothing of its delivery.
#pragma once

#include "abi/system_information.h"
#include "nt/guest_record.h"

namespace vitrine::nt {

// Classes 5 and 57: every process with its threads (system_process_list.cpp). The record is built only when `length` can hold it;
// *needed is its size in any case. Errors: insufficient_resources (more than 4 GB of threads).
[[nodiscard]] Status fill_process_list(Call call, GuestRecord& record, bool extended, u32 length, u64* needed);
// Classes 16 and 64: every handle of every process.
[[nodiscard]] Status fill_handle_list(Call call, GuestRecord& record, bool extended, u32 length, u64* needed);

// Processor topology (system_topology.cpp): one core a processor, one package, one node, one group; caches as CPUID describes them.
void fill_logical_processors(Call call, GuestRecord& record);
// Class 107: the records of one relation, or all.
void fill_relations(Call call, GuestRecord& record, abi::ProcessorRelation wanted);
void fill_cpu_sets(Call call, GuestRecord& record);

}  // namespace vitrine::nt
