#include "lab/lab_machine.h"

#include "base/check.h"
#include "nt/service_table.h"

namespace vitrine::lab {

std::expected<std::unique_ptr<LabMachine>, std::string> LabMachine::create(const Options& options) {
  Machine::Options machine_options;
  machine_options.profile = options.profile;
  machine_options.processors = options.processors;
  machine_options.ram_bytes = options.ram_bytes;
  machine_options.system_pte_bytes = options.system_pte_bytes;
  machine_options.csrss = options.csrss;
  machine_options.seed = options.seed;
  machine_options.show_output = false;
  machine_options.processor_kind = ProcessorKind::scripted;
  auto made = Machine::create(std::move(machine_options));
  if (!made) return std::unexpected(made.error());
  auto lab = std::make_unique<LabMachine>();
  lab->machine_ = std::move(*made);
  return lab;
}

Result<ob::Ref<ps::Process>> LabMachine::new_process() const {
  ps::ProcessManager& processes = *machine_->processes;
  return processes.create_process({.parent = &processes.system_process(), .image_path = u"lab"});
}

Result<ob::Ref<ps::Thread>> LabMachine::start(ps::Process& process, Va entry, u64 argument) const {
  return machine_->processes->create_thread(process, {.start_address = entry, .argument = argument});
}

Result<ob::Ref<ps::Thread>> LabMachine::start_windows(ps::Process& process, Va entry) const {
  auto thread = start(process, entry);
  if (!thread) return thread;
  csr::Subsystem& csrss = *machine_->csrss;
  const Status status =
      csrss.serves(process) ? csrss.create_thread(nullptr, **thread) : csrss.create_process(nullptr, process, **thread);
  if (is_success(status)) return thread;
  machine_->processes->terminate_thread(**thread, status);
  return Failure(status);
}

u32 LabMachine::service(std::string_view name) {
  const auto all = nt::all_services();
  for (u32 i = 0; i < all.size(); ++i) {
    if (all[i]->name == name) return i;
  }
  VITRINE_CHECK(false && "no such service");
  return 0;
}

}  // namespace vitrine::lab
