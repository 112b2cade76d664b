// PageSource: where pool gets its pages from. The pool owns kernel *addresses*; whoever implements this owns frames and
// commit. Declared here because the executive lies below the memory manager, which implements it.
#pragma once

#include <array>
#include <string_view>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::ex {

// NT: POOL_TYPE. Nonpaged pages are resident for as long as they are allocated; paged ones are charged to commit only.
// `session`: the paged pool of the session that programs run in, in session space (win32k's records).
enum class PoolType : u8 { nonpaged, paged, session };
inline constexpr std::array kPoolTypes{PoolType::nonpaged, PoolType::paged, PoolType::session};
[[nodiscard]] constexpr std::string_view pool_type_name(PoolType type) {
  constexpr std::array<std::string_view, kPoolTypes.size()> kNames{"nonpaged pool", "paged pool", "session pool"};
  return kNames[static_cast<u32>(type)];
}

class PageSource {
 public:
  virtual ~PageSource() = default;
  // Charges `pages` pages at page-aligned `first`: nonpaged against resident-available memory and commit, the pageable
  // ones against commit. Error: insufficient_resources (nothing is charged then). Never suspends.
  virtual Status charge_pool_pages(PoolType type, Va first, u64 pages) = 0;
  // Precondition: exactly these pages were charged, in any grouping.
  virtual void return_pool_pages(PoolType type, Va first, u64 pages) = 0;
};

}  // namespace vitrine::ex
