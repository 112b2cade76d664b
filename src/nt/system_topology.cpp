// What the processors look like to a program that asks the system; the same that CPUID tells one that asks the
// processor.
#include <bit>
#include <cstring>

#include "hal/identity.h"
#include "nt/system_queries.h"

namespace vitrine::nt {
namespace {

using abi::ProcessorRelation;

constexpr u8 kSharedLevel = 3;   // of the caches that CPUID describes
constexpr u8 kSiblingsFlag = 1;  // LTP_PC_SMT: a core of several hardware threads

struct Cache {
  abi::CacheDescriptor descriptor;
  bool shared;  // by all processors of a node, else by those of a core
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
         level == kSharedLevel});
  }
  return found;
}

// For the processors of each node, or of each core.
template <typename Function>
void for_each_mask(Call call, bool nodes, Function&& function) {
  const hal::Topology& topology = call->machine.topology();
  const u32 count = nodes ? topology.nodes : topology.cores;
  for (u32 i = 0; i < count; ++i) function(nodes ? topology.node_mask(i) : topology.core_mask(i));
}

u8 core_flags(Call call) { return call->machine.topology().threads_per_core > 1 ? kSiblingsFlag : 0; }

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
  for_each_mask(call, false, [&](u64 mask) { add(mask, ProcessorRelation::core, {core_flags(call)}); });
  for (const Cache& cache : caches(call)) {
    std::array<u8, 16> detail{};
    std::memcpy(detail.data(), &cache.descriptor, sizeof(cache.descriptor));
    for_each_mask(call, cache.shared, [&](u64 mask) { add(mask, ProcessorRelation::cache, detail); });
  }
  for_each_mask(call, true, [&](u64 mask) { add(mask, ProcessorRelation::package); });
  u8 node = 0;
  for_each_mask(call, true, [&](u64 mask) { add(mask, ProcessorRelation::numa_node, {node++}); });
}

void fill_relations(Call call, GuestRecord& record, ProcessorRelation wanted) {
  const u64 all = call->kernel.active_processors();
  auto is_wanted = [wanted](ProcessorRelation relation) {
    return wanted == ProcessorRelation::all || wanted == relation;
  };
  if (is_wanted(ProcessorRelation::core)) {
    for_each_mask(call, false, [&](u64 mask) {
      add_relation(record, ProcessorRelation::core, abi::ProcessorRelationship{core_flags(call), 0, {}, 1, affinity(mask)});
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
    for_each_mask(call, true, [&](u64 mask) {
      add_relation(record, ProcessorRelation::package, abi::ProcessorRelationship{0, 0, {}, 1, affinity(mask)});
    });
  }
  if (is_wanted(ProcessorRelation::numa_node)) {
    u32 node = 0;
    for_each_mask(call, true, [&](u64 mask) {
      add_relation(record, ProcessorRelation::numa_node, abi::NumaNodeRelationship{node++, {}, affinity(mask)});
    });
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
    const hal::Topology& topology = call->machine.topology();
    set.logical_processor = static_cast<u8>(i);
    // The number of the first processor of its core, as Windows gives it.
    set.core = static_cast<u8>(i - i % topology.threads_per_core);
    set.last_level_cache = static_cast<u8>(i - i % topology.processors_per_node());
    set.numa_node = static_cast<u8>(topology.node_of(i));
    record.add(set);
  }
}

}  // namespace vitrine::nt
