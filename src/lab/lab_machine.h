// LabMachine: a bare machine for an experiment: the whole kernel under scripted programs, without Windows code. Its
// profile may be a changed copy of a known one, so that an experiment can ask what another size would have cost.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "csr/strategy.h"
#include "vitrine/machine.h"

namespace vitrine::lab {

class LabMachine {
 public:
  struct Options {
    const sim::Profile* profile = nullptr;  // outlives the machine
    u32 processors = 1;
    u64 ram_bytes = 4ull << 30;
    u64 system_pte_bytes = 0;                 // 0: the profile's region
    std::optional<csr::Strategy> csrss = {};  // absent: the profile's
    u64 seed = 0;
  };
  // The error is one line for the user.
  [[nodiscard]] static std::expected<std::unique_ptr<LabMachine>, std::string> create(const Options& options);

  [[nodiscard]] Machine& machine() const { return *machine_; }
  // An empty process for scripted programs. Errors: those of ProcessManager::create_process.
  [[nodiscard]] Result<ob::Ref<ps::Process>> new_process() const;
  // Starts a thread at `entry` (of cpu::Scripted::register_program). Errors: those of ProcessManager::create_thread.
  [[nodiscard]] Result<ob::Ref<ps::Thread>> start(ps::Process& process, Va entry, u64 argument = 0) const;
  // The same in a process of the Windows subsystem: CSRSS is told of the thread, with the first one of the process.
  // Errors: also those of csr::Subsystem.
  [[nodiscard]] Result<ob::Ref<ps::Thread>> start_windows(ps::Process& process, Va entry) const;
  // The number of a system service on a bare machine. Precondition: it exists.
  [[nodiscard]] static u32 service(std::string_view name);

 private:
  std::unique_ptr<Machine> machine_;
};

}  // namespace vitrine::lab
