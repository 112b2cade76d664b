// What a machine can run out of: each limited resource with its use, its capacity and how often it refused a request.
// Which one stopped a program follows from two looks: the resource that refused in between.
#pragma once

#include <string_view>
#include <vector>

#include "vitrine/machine.h"

namespace vitrine {

enum class Resource : u8 {
  user_address_space,  // of one process
  system_ptes,         // kernel address space for kernel stacks and mappings
  ids,                 // of processes and threads together
  commit,
  resident_available,  // memory that may still become nonpageable
  frames,              // free page frames
  nonpaged_pool,
  paged_pool,
  session_pool,
  system_cache,   // kernel address space for views of files
  csrss_handles,  // CSRSS's handle table
};

struct ResourceUse {
  Resource resource{};
  std::string_view name;  // for people, as in "system PTEs"
  std::string_view unit;  // "pages", "entries"
  u64 used = 0, capacity = 0;
  u64 refusals = 0;  // requests since the machine was made that it had no room for
};

// All of them, in the order of `Resource`. The user address space is `process`'s; its refusals are those of all
// processes.
[[nodiscard]] std::vector<ResourceUse> resource_uses(const Machine& machine, const ps::Process& process);

// The resource that refused a request between two looks; null when none did. Where one refusal led to another (no
// commit, so no pool), the first cause is the one that counts: only it refuses.
[[nodiscard]] const ResourceUse* what_refused(const std::vector<ResourceUse>& before,
                                              const std::vector<ResourceUse>& after);

}  // namespace vitrine
