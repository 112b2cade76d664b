#include "cpu/scripted/scripted.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>

#include "cpu/page_walk.h"

namespace vitrine::cpu {
namespace {

// Programs live in the last megabytes of user space, where NT maps nothing (the 64 KB below the end are a no-access
// region). One page per program: the first byte is the entry, the second the address at which its thread stays while it
// runs.
constexpr Va kFirstEntry = 0x7FFF'FF00'0000;
constexpr u64 kInitialStackArguments = 0x28;

class ScriptedSpace final : public Space {
 public:
  explicit ScriptedSpace(Pfn root) : root_(root) {}
  [[nodiscard]] Pfn root() const override { return root_; }

 private:
  Pfn root_;
};

}  // namespace

// One thread's run of a program.
struct ScriptInstance {
  explicit ScriptInstance(const Scripted::Program& program) : script(program(view)) {}
  ScriptContext view;
  Script script;
  u64 computed = 0;     // instructions of the pending Compute already done
  bool raised = false;  // the pending Raise has been reported
};

class ScriptedCpu final : public Scripted {
 public:
  explicit ScriptedCpu(ram::GuestRam& ram) : ram_(ram) {}

  Va register_program(Program program) override {
    programs_.push_back(std::move(program));
    return kFirstEntry + (programs_.size() - 1) * kPageSize;
  }
  void forget(const GuestContext& context) override { instances_.erase(&context); }
  u64 live_instances() const override { return instances_.size(); }
  std::unique_ptr<Space> create_space(Pfn root) override { return std::make_unique<ScriptedSpace>(root); }
  void commit(std::span<const PteEdit>) override {}
  void flush(Space&) override {}
  void code_written(Pfn) override {}
  void kick(u32 processor) override { kicked_.fetch_or(1ull << (processor & 63), std::memory_order_release); }
  Exit run(u32 processor, Space& space, GuestContext& context, u64 budget) override;

 private:
  // What serving the pending request came to.
  enum class Progress : u8 { done, leave };

  [[nodiscard]] ScriptInstance* instance_of(GuestContext& context);
  Progress serve(ScriptInstance& instance, Space& space, GuestContext& context, u64 left, Exit& exit);
  Progress serve_call(ScriptInstance& instance, const script::SystemCall& call, Space& space, GuestContext& context,
                      Exit& exit);
  Progress serve_access(ScriptInstance& instance, const script::Access& access, Space& space, Exit& exit);
  [[nodiscard]] bool reach(Va va, void* bytes, u64 size, bool write, const Space& space, Exit& exit);

  ram::GuestRam& ram_;
  std::deque<Program> programs_;  // a running coroutine refers to its closure: it must not move
  // Keyed by the context's identity while a thread runs the script; looked up only, so that host addresses decide
  // nothing.
  std::map<const GuestContext*, std::unique_ptr<ScriptInstance>> instances_;
  std::atomic<u64> kicked_{0};
};

ScriptInstance* ScriptedCpu::instance_of(GuestContext& context) {
  const u64 page = (context.rip - kFirstEntry) >> kPageShift;
  if (context.rip < kFirstEntry || page >= programs_.size()) return nullptr;
  const u64 offset = context.rip & kPageMask;
  auto found = instances_.find(&context);
  if (offset == 0) {  // a new thread (possibly in the record of one that ended without running its script to the end)
    if (found != instances_.end()) instances_.erase(found);
    auto made = std::make_unique<ScriptInstance>(programs_[page]);
    made->view.initial_ = context.gpr;
    made->view.initial_gs_base_ = context.gs_base;
    context.rip += 1;
    return (instances_[&context] = std::move(made)).get();
  }
  return offset == 1 && found != instances_.end() ? found->second.get() : nullptr;
}

Exit ScriptedCpu::run(u32 processor, Space& space, GuestContext& context, u64 budget) {
  VITRINE_CHECK(budget > 0);
  Exit exit;
  const u64 bit = 1ull << (processor & 63);
  if ((kicked_.fetch_and(~bit, std::memory_order_acq_rel) & bit) != 0) {
    exit.reason = ExitReason::kicked;
    return exit;
  }
  ScriptInstance* instance = instance_of(context);
  if (instance == nullptr || instance->script.handle().done()) {
    instances_.erase(&context);
    exit.reason = ExitReason::exception;
    exit.vector = Vector::invalid_opcode;
    return exit;
  }
  while (exit.retired < budget) {
    auto handle = instance->script.handle();
    if (std::holds_alternative<std::monostate>(handle.promise().request)) {
      instance->view.current_ = &context;
      handle.resume();
      instance->view.current_ = nullptr;
      if (handle.done()) {
        instances_.erase(&context);
        exit.reason = ExitReason::exception;
        exit.vector = Vector::invalid_opcode;
        return exit;
      }
      instance->computed = 0;
      instance->raised = false;
    }
    if (serve(*instance, space, context, budget - exit.retired, exit) == Progress::leave) return exit;
  }
  exit.reason = ExitReason::budget;
  return exit;
}

ScriptedCpu::Progress ScriptedCpu::serve(ScriptInstance& instance, Space& space, GuestContext& context, u64 left,
                                         Exit& exit) {
  auto& promise = instance.script.handle().promise();
  if (auto* compute = std::get_if<script::Compute>(&promise.request)) {
    const u64 now = std::min(left, compute->instructions - instance.computed);
    instance.computed += now;
    exit.retired += now;
    if (instance.computed == compute->instructions) promise.request = {};
    return Progress::done;
  }
  if (const auto* call = std::get_if<script::SystemCall>(&promise.request))
    return serve_call(instance, *call, space, context, exit);
  if (const auto* access = std::get_if<script::Access>(&promise.request))
    return serve_access(instance, *access, space, exit);
  if (const auto* raise = std::get_if<script::Raise>(&promise.request)) {
    if (instance.raised) {  // resumed after the exception
      ++exit.retired;
      promise.request = {};
      return Progress::done;
    }
    instance.raised = true;
    exit.reason = ExitReason::exception;
    exit.vector = raise->vector;
    exit.error_code = raise->error_code;
    return Progress::leave;
  }
  ++exit.retired;
  promise.request = {};
  exit.reason = ExitReason::pause;
  return Progress::leave;
}

// The first visit leaves with the call; the next run finds the answer in RAX.
ScriptedCpu::Progress ScriptedCpu::serve_call(ScriptInstance& instance, const script::SystemCall& call, Space& space,
                                              GuestContext& context, Exit& exit) {
  auto& promise = instance.script.handle().promise();
  if (instance.raised) {
    promise.result = context[Gpr::rax];
    promise.request = {};
    return Progress::done;
  }
  constexpr Gpr kInRegisters[] = {Gpr::r10, Gpr::rdx, Gpr::r8, Gpr::r9};
  for (std::size_t n = 4; n < call.arguments.size(); ++n) {
    u64 value = call.arguments[n];
    const Va slot = context[Gpr::rsp] + kInitialStackArguments + 8 * (n - 4);
    if (!reach(slot, &value, 8, true, space, exit)) return Progress::leave;
  }
  for (std::size_t n = 0; n < std::min<std::size_t>(4, call.arguments.size()); ++n)
    context[kInRegisters[n]] = call.arguments[n];
  context[Gpr::rax] = call.number;
  context[Gpr::rcx] = context.rip;
  context[Gpr::r11] = context.rflags;
  instance.raised = true;
  ++exit.retired;
  exit.reason = ExitReason::system_call;
  return Progress::leave;
}

ScriptedCpu::Progress ScriptedCpu::serve_access(ScriptInstance& instance, const script::Access& access, Space& space,
                                                Exit& exit) {
  auto& promise = instance.script.handle().promise();
  u64 value = access.write ? access.data : 0;
  const u64 size = std::clamp<u64>(access.size, 1, 8);
  if (!reach(access.address, &value, size, access.write, space, exit)) return Progress::leave;
  promise.result = value;
  promise.request = {};
  ++exit.retired;
  return Progress::done;
}

// Both pages of an access are checked before either is touched. On failure `exit` says which exception.
bool ScriptedCpu::reach(Va va, void* bytes, u64 size, bool write, const Space& space, Exit& exit) {
  const u64 head = std::min(size, kPageSize - (va & kPageMask));
  std::byte* hosts[2] = {};
  for (int n = 0; n < (head < size ? 2 : 1); ++n) {
    const Va at = n == 0 ? va : va + head;
    const Translation walked = walk_page_tables(ram_, space.root(), at, write ? AccessKind::write : AccessKind::read);
    if (walked.ok()) {
      hosts[n] = walked.host;
      continue;
    }
    exit.reason = ExitReason::exception;
    const bool page = walked.outcome == Translation::Outcome::page_fault;
    exit.vector = page ? Vector::page_fault : Vector::general_protection;
    exit.error_code = walked.error_code;
    exit.fault_address = page ? at : 0;
    return false;
  }
  auto* const data = static_cast<std::byte*>(bytes);
  std::byte* const first = hosts[0] + (va & kPageMask);
  std::memcpy(write ? first : data, write ? data : first, head);
  if (head < size) std::memcpy(write ? hosts[1] : data + head, write ? data + head : hosts[1], size - head);
  return true;
}

std::unique_ptr<Scripted> make_scripted(ram::GuestRam& ram) { return std::make_unique<ScriptedCpu>(ram); }

}  // namespace vitrine::cpu
