// Ledger: everything that a machine counts as held, at one moment, by name. Two of them say whether an experiment has
// given everything back, and what it kept if not. The pages of the id table and of CSRSS's handle table are not in it:
// NT's handle tables never shrink.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace vitrine {
class Machine;
}

namespace vitrine::lab {

struct LedgerLine {
  std::string name;
  i64 value = 0;
};
using Ledger = std::vector<LedgerLine>;

[[nodiscard]] Ledger take_ledger(const Machine& machine);
// Pages of those two tables.
[[nodiscard]] u64 lasting_table_pages(const Machine& machine);

struct LedgerDifference {
  std::string name;
  i64 before = 0, after = 0;
};
// Empty: the same. Precondition: both are of one machine.
[[nodiscard]] std::vector<LedgerDifference> compare(const Ledger& before, const Ledger& after);

}  // namespace vitrine::lab
