// IoCompletionSink: finishes asynchronous requests for the thread that made them: copies the data into its address space, writes
// the status block, lets io set the event and post the packet, queues the user APC [WI5 ch.7 "Completing an I/O Request"].
//
// Owns nothing between calls. NT does this in a special kernel APC of the requesting thread; here the address space is reached
// directly, so the effect is earlier by the time that thread needs to be scheduled.
#pragma once

#include "nt/executive.h"

namespace vitrine::nt {

class IoCompletionSink final : public io::CompletionSink {
 public:
  // `executive` outlives the sink.
  explicit IoCompletionSink(Executive& executive) : executive_(executive) {}
  void complete(io::IrpPtr irp) override;

 private:
  Executive& executive_;
};

}  // namespace vitrine::nt
