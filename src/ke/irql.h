// RaisedIrql: a processor's IRQL, raised for one scope. It only goes up: to lower it is a bug (NT:
// IRQL_NOT_GREATER_OR_EQUAL), and so is a wait at DISPATCH_LEVEL or above, which Kernel::block_thread refuses.
#pragma once

#include "base/check.h"
#include "ke/processor.h"

namespace vitrine::ke {

class RaisedIrql {
 public:
  RaisedIrql(Processor& processor, Irql level) : processor_(processor), old_(processor.irql) {
    VITRINE_CHECK(level >= old_);
    processor_.irql = level;
  }
  ~RaisedIrql() { processor_.irql = old_; }
  RaisedIrql(const RaisedIrql&) = delete;
  RaisedIrql& operator=(const RaisedIrql&) = delete;

 private:
  Processor& processor_;
  Irql old_;
};

}  // namespace vitrine::ke
