// HostSnapshot: what the guest learns of host files, from one place. It passes the host's values through; a run repeats as
// long as the files are the same, which is what `vitrine run` promises.
#pragma once

#include "hal/machine.h"
#include "io/host_volume.h"

namespace vitrine {

class HostSnapshot final : public io::HostSnapshot {
 public:
  explicit HostSnapshot(const hal::Machine& machine) : machine_(machine) {}
  void observe(io::HostMetadata&) override {}
  [[nodiscard]] i64 system_time() override { return machine_.system_time().value; }

 private:
  const hal::Machine& machine_;
};

}  // namespace vitrine
