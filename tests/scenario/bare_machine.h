// A bare machine for scenario tests: the whole kernel under scripted programs.
#pragma once

#include <memory>

#include "nt/service_table.h"
#include "vitrine/machine.h"
#include "vitrine/run_loop.h"

namespace vitrine::testing {

class BareMachine {
 public:
  struct Options {
    u32 processors = 1;
    u64 ram_bytes = 1ull << 30;
    u64 seed = 0;
    std::string_view profile = sim::kDefaultProfile;
    const sim::Profile* scaled_profile = nullptr;  // not null: instead of `profile`
    std::optional<csr::Strategy> csrss = {};  // absent: the process is none of CSRSS's
    u64 system_pte_bytes = 0;
    std::string registry = {};  // text of its registry; empty: a fresh one
  };
  explicit BareMachine(const Options& options) {
    Machine::Options machine_options;
    machine_options.profile = options.scaled_profile != nullptr ? options.scaled_profile : sim::find_profile(options.profile);
    machine_options.processors = options.processors;
    machine_options.ram_bytes = options.ram_bytes;
    machine_options.seed = options.seed;
    machine_options.csrss = options.csrss;
    machine_options.system_pte_bytes = options.system_pte_bytes;
    machine_options.registry = options.registry;
    tells_csrss_ = options.csrss.has_value();
    machine_options.show_output = false;
    machine_options.processor_kind = ProcessorKind::scripted;
    auto made = Machine::create(std::move(machine_options));
    VITRINE_CHECK(made.has_value());
    machine = std::move(*made);
    auto created = machine->processes->create_process({.parent = &machine->processes->system_process(), .image_path = u"script"});
    VITRINE_CHECK(created.has_value());
    process = std::move(*created);
  }

  [[nodiscard]] static u32 number(std::string_view service) {
    const auto all = nt::all_services();
    for (u32 i = 0; i < all.size(); ++i) {
      if (all[i]->name == service) return i;
    }
    VITRINE_CHECK(!"no such service");
    return 0;
  }

  // A thread of the process that runs `program`.
  Va start(cpu::Scripted::Program program, u64 argument = 0) {
    const Va entry = machine->scripted->register_program(std::move(program));
    const auto thread = machine->processes->create_thread(*process, {.start_address = entry, .argument = argument});
    VITRINE_CHECK(thread.has_value());
    if (tells_csrss_ && !machine->csrss->serves(*process)) {
      VITRINE_CHECK(is_success(machine->csrss->create_process(nullptr, *process, **thread)));
    } else if (tells_csrss_) {
      VITRINE_CHECK(is_success(machine->csrss->create_thread(nullptr, **thread)));
    }
    return entry;
  }

  RunEnd run() {
    RunLoop loop(*machine, {});
    return loop.run(*process);
  }

  std::unique_ptr<Machine> machine;
  ob::Ref<ps::Process> process;

 private:
  bool tells_csrss_ = false;
};

}  // namespace vitrine::testing
