#include "ob/sync_objects.h"

#include <utility>

#include "base/check.h"
#include "ob/event_pair_object.h"

namespace vitrine::ob {
namespace {

namespace sa = se::access;

ke::DispatcherHeader* event_header(Object& object) { return &static_cast<EventObject&>(object).event.header; }
ke::DispatcherHeader* semaphore_header(Object& object) {
  return &static_cast<SemaphoreObject&>(object).semaphore.header;
}
ke::DispatcherHeader* mutant_header(Object& object) { return &static_cast<MutantObject&>(object).mutant.header; }
ke::DispatcherHeader* timer_header(Object& object) { return &static_cast<TimerObject&>(object).timer.header; }

// NT: ExpDeleteMutant: a mutant that is deleted while owned leaves its owner's list.
void delete_mutant(Object& object) {
  auto& mutant = static_cast<MutantObject&>(object);
  if (mutant.mutant.owner == nullptr) return;
  auto& kernel = *static_cast<ke::Kernel*>(object.type().traits.context);
  (void)kernel.release_mutant(mutant.mutant, *mutant.mutant.owner, true);
}

// NT: ExpDeleteTimer. An associated APC would hold a reference, so there is none.
void delete_timer(Object& object) {
  auto& timer = static_cast<TimerObject&>(object);
  auto& kernel = *static_cast<ke::Kernel*>(object.type().traits.context);
  kernel.cancel_timer(timer.timer);
  kernel.remove_dpc(timer.dpc);
}

}  // namespace

TimerObject::TimerObject(ke::TimerKind kind, SyncTypes& owner_)
    : timer(kind), dpc(&SyncTypes::timer_expired, this), owner(owner_) {
  apc.timer = this;
}

const ke::ApcOperations SyncTypes::kTimerApc{
    .kernel_routine = &SyncTypes::apc_delivered, .rundown_routine = &SyncTypes::apc_rundown, .normal_routine = nullptr};

SyncTypes::SyncTypes(ObjectManager& objects, ke::Kernel& kernel) : objects_(objects), kernel_(kernel) {
  const sim::StructureSizes& sizes = objects.profile().sizes;
  const auto traits = [&](std::u16string_view name, u32 bytes, u32 valid_access, u32 query, u32 modify) {
    TypeTraits made{.name = name, .pool = ex::PoolType::nonpaged, .body_bytes = bytes, .valid_access = valid_access};
    made.mapping = {sa::kReadControl | query, sa::kReadControl | modify, sa::kReadControl | sa::kSynchronize,
                    valid_access};
    made.nonpaged_charge = bytes;
    made.context = &kernel;
    return made;
  };
  TypeTraits event = traits(u"Event", sizes.event, abi::event_access::kAll, 1, 2);
  event.dispatcher = event_header;
  event_ = &objects.register_type(event);

  TypeTraits semaphore = traits(u"Semaphore", sizes.semaphore, abi::semaphore_access::kAll, 1, 2);
  semaphore.dispatcher = semaphore_header;
  semaphore_ = &objects.register_type(semaphore);

  TypeTraits mutant = traits(u"Mutant", sizes.mutant, abi::mutant_access::kAll, 1, 0);
  mutant.dispatcher = mutant_header;
  mutant.delete_object = delete_mutant;
  mutant_ = &objects.register_type(mutant);

  // NT: ETIMER is KTIMER with an APC, a DPC, a list entry and a lock: 0x98 bytes on x86, 0x108 to 0x110 on x64 [VOL].
  const u32 timer_bytes = objects.profile().pointer_size == 4 ? 0x98u : 0x110u;
  TypeTraits timer = traits(u"Timer", timer_bytes, abi::timer_access::kAll, 1, 2);
  timer.dispatcher = timer_header;
  timer.delete_object = delete_timer;
  timer_ = &objects.register_type(timer);

  // NT: one pointer of body in 5.2; 6.x keeps the waiters in it. Paged pool: it is never touched at raised IRQL [ROS].
  TypeTraits keyed = traits(u"KeyedEvent", sizes.keyed_event, abi::keyed_event_access::kAll,
                            abi::keyed_event_access::kWait, abi::keyed_event_access::kWake);
  keyed.pool = ex::PoolType::paged;
  keyed.nonpaged_charge = 0;
  keyed.paged_charge = sizes.keyed_event;
  keyed_event_ = &objects.register_type(keyed);

  // NT: KEVENT_PAIR is a type and size word and two events: 0x24 bytes on x86, 0x38 on x64 [WRK-era public headers]. It has no
  // access rights of its own: SYNCHRONIZE is enough for everything, and it cannot be waited for as a whole [ROS].
  const u32 pair_bytes = objects.profile().pointer_size == 4 ? 0x24u : 0x38u;
  TypeTraits pair = traits(kEventPairType, pair_bytes, sa::kStandardRightsRequired | sa::kSynchronize, 0, 0);
  objects.register_type(pair);
}

Result<Ref<EventObject>> SyncTypes::create_event(const CreateRequest& request, ke::EventKind kind, bool signalled) {
  return objects_.create<EventObject>(*event_, request, kind, signalled);
}

Result<Ref<SemaphoreObject>> SyncTypes::create_semaphore(const CreateRequest& request, i32 count, i32 limit) {
  if (limit <= 0 || count < 0 || count > limit) return Failure(Status::invalid_parameter);
  return objects_.create<SemaphoreObject>(*semaphore_, request, count, limit);
}

Result<Ref<MutantObject>> SyncTypes::create_mutant(const CreateRequest& request, ke::Thread* owner) {
  Result<Ref<MutantObject>> mutant = objects_.create<MutantObject>(*mutant_, request);
  if (mutant && owner != nullptr) kernel_.initialize_owned_mutant((*mutant)->mutant, *owner);
  return mutant;
}

Result<Ref<TimerObject>> SyncTypes::create_timer(const CreateRequest& request, ke::TimerKind kind) {
  return objects_.create<TimerObject>(*timer_, request, kind, *this);
}

Result<Ref<KeyedEventObject>> SyncTypes::create_keyed_event(const CreateRequest& request) {
  return objects_.create<KeyedEventObject>(*keyed_event_, request);
}

void SyncTypes::drop_apc(TimerObject& timer) {
  if (timer.apc_thread == nullptr) return;
  timer.apc_thread = nullptr;
  timer.active_link.unlink();
  kernel_.remove_dpc(timer.dpc);
  dereference(timer);
}

bool SyncTypes::set_timer(TimerObject& timer, const TimerSetting& setting) {
  const Ref<TimerObject> keep(timer);
  const bool was_signalled = ke::Kernel::read_state(timer.timer.header) > 0;
  cancel_timer(timer);
  if (setting.apc_thread == nullptr) {
    kernel_.set_timer(timer.timer, setting.due, setting.period_ms, nullptr);
    return was_signalled;
  }
  ke::Kernel::init_apc(timer.apc, *setting.apc_thread, ke::ApcKind::user, kTimerApc);
  timer.apc_thread = setting.apc_thread;
  timer.apc_routine = setting.apc_routine;
  timer.apc_context = setting.apc_context;
  reference(timer);  // NT: the wish for an APC keeps the timer alive without handles
  active_timers_.push_back(timer);
  kernel_.set_timer(timer.timer, setting.due, setting.period_ms, &timer.dpc);
  return was_signalled;
}

bool SyncTypes::cancel_timer(TimerObject& timer) {
  const Ref<TimerObject> keep(timer);
  const bool was_set = kernel_.cancel_timer(timer.timer);
  if (timer.apc.inserted) kernel_.remove_apc(timer.apc);
  drop_apc(timer);
  return was_set;
}

void SyncTypes::rundown_thread(ke::Thread& thread) {
  TimerObject* next = nullptr;
  for (TimerObject* timer = active_timers_.front(); timer != nullptr; timer = next) {
    next = active_timers_.next(*timer);
    if (timer->apc_thread == &thread) cancel_timer(*timer);
  }
}

// NT: ExpTimerDpcRoutine. An APC that is still queued from the last period is not queued again.
void SyncTypes::timer_expired(ke::Kernel& kernel, ke::Dpc&, void* context) {
  auto& timer = *static_cast<TimerObject*>(context);
  if (timer.apc_thread == nullptr) return;
  const u64 now = static_cast<u64>(kernel.system_time().value);
  timer.apc.call = {.normal_routine = timer.apc_routine,
                    .arguments = {timer.apc_context, now & 0xFFFF'FFFF, now >> 32}};
  (void)kernel.insert_apc(timer.apc);
}

// NT: ExpTimerApcRoutine. The APC of a timer without a period is delivered once; then its association ends.
void SyncTypes::apc_delivered(ke::Kernel&, ke::Apc& apc, ke::UserApcCall*) {
  TimerObject& timer = *static_cast<TimerApc&>(apc).timer;
  if (timer.timer.period_ms == 0) timer.owner.drop_apc(timer);
}

void SyncTypes::apc_rundown(ke::Kernel& kernel, ke::Apc& apc) {
  TimerObject& timer = *static_cast<TimerApc&>(apc).timer;
  const Ref<TimerObject> keep(timer);
  kernel.cancel_timer(timer.timer);
  timer.owner.drop_apc(timer);
}

}  // namespace vitrine::ob
