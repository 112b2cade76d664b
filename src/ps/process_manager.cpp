#include "ps/process_manager.h"

#include "ps/access.h"
#include "ps/job.h"

namespace vitrine::ps {
namespace {

constexpr u32 kSystemProcessId = 4;

}  // namespace

// NT: with no slot left the three say so in different words [WDK: PsSetCreateThreadNotifyRoutine, -Process-, PsSetLoadImageNotifyRoutine].
ProcessManager::ProcessManager(const Dependencies& dependencies)
    : thread_notify(dependencies.profile.notify_routines, Status::insufficient_resources),
      process_notify(dependencies.profile.notify_routines, Status::invalid_parameter),
      image_notify(dependencies.profile.notify_routines, Status::insufficient_resources),
      on_(dependencies),
      random_(dependencies.seed, "ps") {}

Result<std::unique_ptr<ProcessManager>> ProcessManager::create(const Dependencies& dependencies) {
  std::unique_ptr<ProcessManager> manager(new ProcessManager(dependencies));
  if (const Status status = manager->initialize(); !is_success(status)) return Failure(status);
  return manager;
}

Status ProcessManager::initialize() {
  const sim::StructureSizes& sizes = on_.profile.sizes;
  // NT: both are nonpaged and carry a descriptor; 6.1 charges them to a quota that is not the default [facts 1.3].
  process_type_ = &on_.objects.register_type({.name = u"Process", .pool = ex::PoolType::nonpaged, .tag = ex::pool_tag("Proc"),
      .body_bytes = sizes.eprocess, .valid_access = process_access::kAll, .mapping = kProcessMapping,
      .security_required = true, .carries_quota_info = sizes.quota_info_on_threads, .nonpaged_charge = sizes.eprocess,
      .delete_object = &delete_process_object,
      .dispatcher = [](ob::Object& o) { return &static_cast<Process&>(o).pcb.header; }});
  thread_type_ = &on_.objects.register_type({.name = u"Thread", .pool = ex::PoolType::nonpaged, .tag = ex::pool_tag("Thre"),
      .body_bytes = sizes.ethread, .valid_access = thread_access::kAll, .mapping = kThreadMapping,
      .security_required = true, .carries_quota_info = sizes.quota_info_on_threads, .nonpaged_charge = sizes.ethread,
      .delete_object = &delete_thread_object,
      .destroy = &destroy_thread_object,
      .dispatcher = [](ob::Object& o) { return &static_cast<Thread&>(o).tcb.header; },
      .quota_payer = [](ob::Object& o) -> ex::QuotaCharger* {
        Process* process = static_cast<Thread&>(o).process;
        return process == nullptr ? nullptr : process->quota.get();
      }});
  token_type_ = &on_.objects.register_type({.name = u"Token", .pool = ex::PoolType::paged, .tag = ex::pool_tag("Toke"),
      .body_bytes = 0, .valid_access = token_access::kAll, .mapping = kTokenMapping, .security_required = true});

  jobs_ = std::make_unique<JobManager>(on_.profile, on_.kernel, on_.objects, *this);

  auto ids = ex::HandleTable::create(on_.profile, on_.pool, ex::HandleTable::make_sites(on_.pool, "PspCidTable"),
                                     ex::HandleReuse::strict_fifo, nullptr);
  if (!ids) return ids.error();
  ids_ = std::move(*ids);
  auto system = create_process({.parent = nullptr, .image_path = u"System", .session_id = 0});
  if (!system) return system.error();
  system_ = std::move(*system);
  VITRINE_CHECK(system_->id == kSystemProcessId);  // NT: the first id of all
  return Status::success;
}

ProcessManager::~ProcessManager() { system_.reset(); }

Result<u32> ProcessManager::allocate_id(ob::Object& object) {
  const auto id = ids_->allocate(&object, 0, 0);
  // NT: no id gives STATUS_INSUFFICIENT_RESOURCES [facts 5.11 step 3].
  if (!id) return Failure(Status::insufficient_resources);
  return static_cast<u32>(id->value);
}

Result<ob::Ref<Process>> ProcessManager::create_process(const ProcessParameters& parameters) {
  Process* parent = parameters.parent;
  if (parent != nullptr && parent->deleting) return Failure(Status::process_is_terminating);
  auto created = on_.objects.create<Process>(*process_type_, {.kernel_object = parent == nullptr});
  if (!created) return created;
  ob::Ref<Process> process = std::move(*created);
  process->manager = this;
  process->image_path = parameters.image_path;
  process->session_id = parameters.session_id;
  process->priority_class = parameters.priority_class;
  process->parent_id = parent == nullptr ? 0 : parent->id;
  process->cookie = static_cast<u32>(random_.next());
  process->create_time = on_.kernel.system_time();
  process->quota = QuotaBlock::create();

  const auto id = allocate_id(*process);
  if (!id) return Failure(id.error());
  process->id = *id;
  active_.push_back(*process);

  const ke::AffinityMask affinity = parent == nullptr ? on_.kernel.active_processors() : parent->pcb.affinity;
  on_.kernel.init_process(process->pcb, kClassBasePriority[static_cast<u8>(parameters.priority_class)], affinity);
  process->pcb.process_id = process->id;

  const bool is_system = system_.get() == nullptr;
  const ob::ObjectHandles::Settings settings{is_system ? nullptr : process->quota.get(), this, process.get()};
  auto handles = parameters.inherit_handles && parent != nullptr
                     ? ob::ObjectHandles::create_inheriting(*parent->handles, settings)
                     : ob::ObjectHandles::create(on_.objects, settings);
  if (!handles) return Failure(handles.error());
  process->handles = std::move(*handles);

  auto token = on_.objects.create<TokenObject>(*token_type_, {});
  if (!token) return Failure(token.error());
  process->token = std::move(*token);
  process->token->data = parameters.token != nullptr ? *parameters.token
                         : parent != nullptr         ? parent->token->data
                                                     : se::make_system_token();
  if (!is_system) {
    mm::SpaceOptions options;
    options.random = &random_;
    if (on_.profile.pointer_size == 4 || on_.profile_user_range) {
      options.lowest = on_.profile.user.lowest;
      options.highest_plus_one = on_.profile.user.highest_plus_one;
    }
    auto space = on_.memory.create_space(options);
    if (!space) return Failure(space.error());
    process->space = std::move(*space);
  }
  ++counts_.processes_created;
  record(trace::EventType::process_create, process->id, process->parent_id);
  return process;
}

ob::Ref<Process> ProcessManager::find_process(u64 id) {
  const ex::HandleEntry* entry = ids_->find({id});
  if (entry == nullptr) return {};
  auto* object = static_cast<ob::Object*>(entry->object());
  if (&object->type() != process_type_ || object->pointer_count() == 0) return {};
  return ob::Ref<Process>(static_cast<Process*>(object));
}

ob::Ref<Thread> ProcessManager::find_thread(u64 id) {
  const ex::HandleEntry* entry = ids_->find({id});
  if (entry == nullptr) return {};
  auto* object = static_cast<ob::Object*>(entry->object());
  if (&object->type() != thread_type_ || object->pointer_count() == 0) return {};
  return ob::Ref<Thread>(static_cast<Thread*>(object));
}

ob::Object& ProcessManager::current_process() {
  VITRINE_CHECK(current_ != nullptr);
  return *current_->process;
}

ob::Object& ProcessManager::current_thread() {
  VITRINE_CHECK(current_ != nullptr);
  return *current_;
}

ob::ObjectHandles& ProcessManager::kernel_handles() { return *system_->handles; }

void ProcessManager::delete_process_object(ob::Object& object) {
  auto& process = static_cast<Process&>(object);
  if (process.manager != nullptr) process.manager->delete_process(process);
}

// NT: PspProcessDelete: the last reference is gone.
void ProcessManager::delete_process(Process& process) {
  if (process.handles) process.handles->close_all();
  process.handles.reset();
  process.section.reset();
  process.exception_port.reset();
  process.space.reset();
  process.token.reset();
  if (process.job_link.is_linked()) process.job_link.unlink();
  process.job.reset();
  if (process.active_link.is_linked()) process.active_link.unlink();
  if (process.id != 0) forget_id(process.id);
}

void ProcessManager::record(trace::EventType type, u64 a, u64 b, u64 c) {
  const u32 processor = on_.kernel.executing_processor();
  on_.trace.record({on_.machine.clock(processor).value, type, static_cast<u16>(processor),
                    current_ == nullptr ? 0 : current_->id, {a, b, c, 0}});
}

}  // namespace vitrine::ps
