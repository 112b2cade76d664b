// The executive's synchronisation objects: Event, Semaphore, Mutant, Timer and KeyedEvent: dispatcher objects of ke
// with an object header. SyncTypes registers their types and makes them; waiting and signalling is ke::Kernel's.
#pragma once

#include "ke/kernel.h"
#include "ob/object_manager.h"

namespace vitrine::ob {

struct EventObject : Object {
  EventObject(ke::EventKind kind, bool signalled) : event(kind, signalled) {}
  ke::Event event;
};

struct SemaphoreObject : Object {
  SemaphoreObject(i32 count, i32 limit) : semaphore(count, limit) {}
  ke::Semaphore semaphore;
};

struct MutantObject : Object {
  ke::Mutant mutant;
};

struct KeyedEventObject : Object {
  ke::KeyedEvent event;
};

class SyncTypes;
struct TimerObject;

struct TimerApc : ke::UserApc {
  TimerObject* timer = nullptr;
};

// ETIMER: a timer with an optional user APC for the thread that set it.
struct TimerObject : Object {
  TimerObject(ke::TimerKind kind, SyncTypes& owner_);
  ke::Timer timer;
  ke::Dpc dpc;  // queues the APC at expiry
  TimerApc apc;
  ListLink active_link;  // in SyncTypes while an APC is wanted; the object is then referenced
  ke::Thread* apc_thread = nullptr;
  Va apc_routine = 0;
  u64 apc_context = 0;
  SyncTypes& owner;
};

class SyncTypes {
 public:
  // Registers the five types. Both outlive this.
  SyncTypes(ObjectManager& objects, ke::Kernel& kernel);
  SyncTypes(const SyncTypes&) = delete;
  SyncTypes& operator=(const SyncTypes&) = delete;

  [[nodiscard]] ObjectType& event() const { return *event_; }
  [[nodiscard]] ObjectType& semaphore() const { return *semaphore_; }
  [[nodiscard]] ObjectType& mutant() const { return *mutant_; }
  [[nodiscard]] ObjectType& timer() const { return *timer_; }
  [[nodiscard]] ObjectType& keyed_event() const { return *keyed_event_; }

  // The caller inserts them. Errors: those of ObjectManager::create; create_semaphore: invalid_parameter (limit <= 0,
  // count < 0 or over the limit).
  [[nodiscard]] Result<Ref<EventObject>> create_event(const CreateRequest& request, ke::EventKind kind, bool signalled);
  [[nodiscard]] Result<Ref<SemaphoreObject>> create_semaphore(const CreateRequest& request, i32 count, i32 limit);
  // `owner` null: free.
  [[nodiscard]] Result<Ref<MutantObject>> create_mutant(const CreateRequest& request, ke::Thread* owner);
  [[nodiscard]] Result<Ref<TimerObject>> create_timer(const CreateRequest& request, ke::TimerKind kind);
  [[nodiscard]] Result<Ref<KeyedEventObject>> create_keyed_event(const CreateRequest& request);

  struct TimerSetting {
    Ticks due;  // 100 ns; negative: relative, else absolute system time
    u32 period_ms = 0;
    ke::Thread* apc_thread = nullptr;  // null: no APC
    Va apc_routine = 0;
    u64 apc_context = 0;
  };
  // NtSetTimer: takes back an earlier setting with its APC. Returns whether the timer was signalled before.
  bool set_timer(TimerObject& timer, const TimerSetting& setting);
  // NtCancelTimer. Returns whether the timer was set.
  bool cancel_timer(TimerObject& timer);
  // NT: ExTimerRundown. The thread is about to end: timers whose APC it would have received are cancelled.
  void rundown_thread(ke::Thread& thread);

 private:
  friend struct TimerObject;
  static void timer_expired(ke::Kernel& kernel, ke::Dpc& dpc, void* context);
  static void apc_delivered(ke::Kernel& kernel, ke::Apc& apc, ke::UserApcCall* call);
  static void apc_rundown(ke::Kernel& kernel, ke::Apc& apc);
  // Unlinks the APC association and gives back its reference.
  void drop_apc(TimerObject& timer);

  static const ke::ApcOperations kTimerApc;

  ObjectManager& objects_;
  ke::Kernel& kernel_;
  ObjectType* event_ = nullptr;
  ObjectType* semaphore_ = nullptr;
  ObjectType* mutant_ = nullptr;
  ObjectType* timer_ = nullptr;
  ObjectType* keyed_event_ = nullptr;
  IntrusiveList<TimerObject, &TimerObject::active_link> active_timers_;
};

}  // namespace vitrine::ob
