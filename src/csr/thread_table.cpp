#include "csr/thread_table.h"

#include "csr/counted_table.h"
#include "csr/resizing_table.h"

namespace vitrine::csr {

std::unique_ptr<ThreadTable> make_thread_table(const Strategy& strategy, ThreadRecords& records) {
  switch (strategy.kind) {
    case TableKind::resizing:
      return std::make_unique<ResizingTable>(records);
    case TableKind::bypass:
      return std::make_unique<ChainedTable>(records, 1024);
    case TableKind::chained:
    case TableKind::constant:
      break;
  }
  if (strategy.walk == Walk::counted) return std::make_unique<CountedTable>(records, strategy.buckets);
  return std::make_unique<ChainedTable>(records, strategy.buckets);
}

}  // namespace vitrine::csr
