// What the processors look like to a program that asks the system; the same that CPUID tells one that asks the
// processor.
#include <bit>
#include <cstring>

#include "hal/identity.h"
#include "nt/system_queries.h"

namespace vitrine::nt {
namespace {

using abi::ProcessorRelation;

struct Cache {
  abi::CacheDescriptor descriptor;
  bool shared;  // by all processors
};

// CPUID leaf 4 until it says "no more" [SDM vol. 2A].
std::vector<Cache> caches(Call call) {
  const hal::Identity identity(call->machine, 1);
  std::vector<Cache> found;
  for (u32 i = 0; i < 16; ++i) {
    const auto leaf = identity.cpuid(4, i);
    const u32 type = leaf.eax & 31;
    if (type == 0) break;
    const u32 line = (leaf.ebx & 0xFFF) + 1, partitions = ((leaf.ebx >> 12) & 0x3FF) + 1, ways = (leaf.ebx >> 22) + 1;
    const u32 kind = type == 1 ? 2 : type == 2 ? 1 : 0;  // CPUID: 1 data, 2 instruction, 3 unified
    const u8 level = static_cast<u8>((leaf.eax >> 5) & 7);
    found.push_back(
        {{level, static_cast<u8>(ways), static_cast<u16>(line), line * partitions * ways * (leaf.ecx + 1), kind},
         ((leaf.eax >> 14) & 0xFFF) != 0});
  }
  return found;
}

// For one processor, or for all of them where something is shared.
template <typename Function>
void for_each_mask(Call call, bool shared, Function&& function) {
  const u64 all = call->kernel.active_processors();
  if (shared) return function(all);
  for (u64 rest = all; rest != 0; rest &= rest - 1) function(rest & ~(rest - 1));
}

abi::GroupAffinity affinity(u64 mask) { return {mask, 0, {}}; }

template <typename T>
void add_relation(GuestRecord& record, ProcessorRelation relation, const T& body) {
  record.add(
      abi::RelationHeader{static_cast<u32>(relation), static_cast<u32>(sizeof(abi::RelationHeader) + sizeof(T))});
  record.add(body);
}

}  // namespace

void fill_logical_processors(Call call, GuestRecord& record) {
  auto add = [&record](u64 mask, ProcessorRelation relation, std::array<u8, 16> detail = {}) {
    record.add(abi::LogicalProcessor{mask, static_cast<u32>(relation), 0, detail});
  };
  for_each_mask(call, false, [&](u64 mask) { add(mask, ProcessorRelation::core); });
  for (const Cache& cache : caches(call)) {
    std::array<u8, 16> detail{};
    std::memcpy(detail.data(), &cache.descriptor, sizeof(cache.descriptor));
    for_each_mask(call, cache.shared, [&](u64 mask) { add(mask, ProcessorRelation::cache, detail); });
  }
  add(call->kernel.active_processors(), ProcessorRelation::package);
  add(call->kernel.active_processors(), ProcessorRelation::numa_node);
}

void fill_relations(Call call, GuestRecord& record, ProcessorRelation wanted) {
  const u64 all = call->kernel.active_processors();
  auto is_wanted = [wanted](ProcessorRelation relation) {
    return wanted == ProcessorRelation::all || wanted == relation;
  };
  if (is_wanted(ProcessorRelation::core)) {
    for_each_mask(call, false, [&](u64 mask) {
      add_relation(record, ProcessorRelation::core, abi::ProcessorRelationship{0, 0, {}, 1, affinity(mask)});
    });
  }
  if (is_wanted(ProcessorRelation::cache)) {
    for (const Cache& cache : caches(call)) {
      for_each_mask(call, cache.shared, [&](u64 mask) {
        add_relation(record, ProcessorRelation::cache, abi::CacheRelationship{cache.descriptor, {}, affinity(mask)});
      });
    }
  }
  if (is_wanted(ProcessorRelation::package)) {
    add_relation(record, ProcessorRelation::package, abi::ProcessorRelationship{0, 0, {}, 1, affinity(all)});
  }
  if (is_wanted(ProcessorRelation::numa_node)) {
    add_relation(record, ProcessorRelation::numa_node, abi::NumaNodeRelationship{0, {}, affinity(all)});
  }
  if (is_wanted(ProcessorRelation::group)) {
    const u8 count = static_cast<u8>(call->kernel.processor_count());
    add_relation(record, ProcessorRelation::group, abi::GroupRelationship{1, 1, {}, count, count, {}, all});
  }
}

void fill_cpu_sets(Call call, GuestRecord& record) {
  for (u32 i = 0; i < call->kernel.processor_count(); ++i) {
    abi::CpuSetInformation set{};
    set.size = sizeof(set);
    set.id = abi::kFirstCpuSetId + i;
    set.logical_processor = set.core = static_cast<u8>(i);
    record.add(set);
  }
}

}  // namespace vitrine::nt
