// Topology: how the virtual processors are laid out: nodes, cores, hardware threads. Processors are numbered node by
// node, in a node core by core, in a core thread by thread. One thread per core and one node unless somebody asks for
// more.
#pragma once

#include "base/types.h"

namespace vitrine::hal {

struct Topology {
  u32 cores = 1;             // of the whole machine
  u32 threads_per_core = 1;  // SMT siblings
  u32 nodes = 1;             // NUMA nodes; each has as many cores as the others

  [[nodiscard]] constexpr u32 processors() const { return cores * threads_per_core; }
  [[nodiscard]] constexpr bool valid() const {
    return cores >= 1 && cores <= 64 && threads_per_core >= 1 && threads_per_core <= 64 && processors() <= 64 &&
           nodes >= 1 && cores % nodes == 0;
  }
  [[nodiscard]] constexpr u32 processors_per_node() const { return processors() / nodes; }
  [[nodiscard]] constexpr u32 core_of(u32 processor) const { return processor / threads_per_core; }
  [[nodiscard]] constexpr u32 node_of(u32 processor) const { return processor / processors_per_node(); }
  // One bit per processor of a core or a node.
  [[nodiscard]] constexpr u64 core_mask(u32 core) const { return run(core * threads_per_core, threads_per_core); }
  [[nodiscard]] constexpr u64 node_mask(u32 node) const {
    return run(node * processors_per_node(), processors_per_node());
  }

 private:
  static constexpr u64 run(u32 first, u32 count) { return (count == 64 ? ~u64{0} : (u64{1} << count) - 1) << first; }
};

}  // namespace vitrine::hal
