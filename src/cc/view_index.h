// ViewIndex: what NT allocates to find a file's views by offset [WI6p2 ch. 11 "Per-File Cache Data Structures"]: up to
// 1 MB the four pointers in the shared cache map itself; up to 32 MB one array as long as the file has views; beyond, a
// tree of arrays of 128 pointers, each made when a view below it is mapped and freed with the last.
//
// Owns the pool of these arrays. The pointers themselves are the shared cache map's own table.
#pragma once

#include <map>

#include "ex/pool.h"

namespace vitrine::cc {

struct Vacb;

class ViewIndex {
 public:
  struct Sites {
    ex::PoolSite array, level;
    u32 pointer_size = 8;
  };
  ViewIndex(ex::Pool& pool, const Sites& sites) : pool_(pool), sites_(sites) {}
  ~ViewIndex();
  ViewIndex(const ViewIndex&) = delete;
  ViewIndex& operator=(const ViewIndex&) = delete;

  // Makes the arrays for a file of so many views, `view` among them. Error: insufficient_resources; nothing is kept
  // then. A file that grew past a limit gets arrays of the new shape, for `views` as well.
  [[nodiscard]] Status add(u64 file_views, u64 view, const std::map<u64, Vacb*>& views);
  void remove(u64 view);

  // Levels of the tree; 0: no tree. Exposed for tests.
  [[nodiscard]] static u32 levels_for(u64 file_views);

 private:
  struct Node {
    ex::PoolBlock block;
    u32 used = 0;
  };
  [[nodiscard]] Status add_path(u64 view);
  void swap(ViewIndex& other);

  ex::Pool& pool_;
  const Sites& sites_;
  u32 levels_ = 0;
  u64 array_entries_ = 0;
  ex::PoolBlock array_;
  std::map<std::pair<u32, u64>, Node> nodes_;  // by level (leaves are 0) and position in it
};

}  // namespace vitrine::cc
