// Events, semaphores, mutants, keyed events and event pairs: create, open, change, query. Waiting for the first four is
// in wait_services.cpp. NT's order of checks: type and counts, probing, name, access. [facts 7.2, 10.2]
#include <array>

#include "abi/object_constants.h"
#include "nt/capture.h"
#include "nt/families.h"
#include "nt/new_object.h"
#include "ob/event_pair_object.h"

namespace vitrine::nt {
namespace {

// EVENT_BASIC_INFORMATION, SEMAPHORE_BASIC_INFORMATION, MUTANT_BASIC_INFORMATION, MUTANT_OWNER_INFORMATION. [ntexapi.h]
struct EventBasicInformation {
  u32 type;
  i32 state;
};
struct SemaphoreBasicInformation {
  i32 current_count;
  i32 maximum_count;
};
struct MutantBasicInformation {
  i32 current_count;
  u8 owned_by_caller;
  u8 abandoned;
  u16 padding;
};
constexpr u32 kBasicClass = 0;
constexpr u32 kMutantOwnerClass = 1;

Status open_named(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                  const ob::ObjectType& type) {
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto opened = call.process().handles->open_by_name(*captured, &type, access, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

Status return_previous(Call call, UserPtr<i32> address, i32 value) {
  return address ? address.write(call.space(), value) : Status::success;
}

// ---- events
// --------------------------------------------------------------------------------------------------------------

Status nt_create_event(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes, u32 type,
                       bool signalled) {
  if (type > 1) return Status::invalid_parameter;
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto kind = type == 0 ? ke::EventKind::notification : ke::EventKind::synchronization;
  auto event = call->sync.create_event(request_for(call, *captured), kind, signalled);
  if (!event) return event.error();
  return insert_and_return(call, std::move(*event), *captured, access, handle);
}

Status nt_open_event(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  return open_named(call, handle, access, attributes, call->sync.event());
}

Result<ob::Ref<ob::EventObject>> modifiable_event(Call call, Handle handle) {
  return reference<ob::EventObject>(call, handle, call->sync.event(), abi::event_access::kModifyState);
}

Status nt_set_event(Call call, Handle handle, UserPtr<i32> previous) {
  const auto event = modifiable_event(call, handle);
  if (!event) return event.error();
  return return_previous(call, previous, call->kernel.set_event((*event)->event));
}

Status nt_reset_event(Call call, Handle handle, UserPtr<i32> previous) {
  const auto event = modifiable_event(call, handle);
  if (!event) return event.error();
  return return_previous(call, previous, call->kernel.reset_event((*event)->event));
}

Status nt_clear_event(Call call, Handle handle) {
  const auto event = modifiable_event(call, handle);
  if (!event) return event.error();
  (void)call->kernel.reset_event((*event)->event);
  return Status::success;
}

Status nt_pulse_event(Call call, Handle handle, UserPtr<i32> previous) {
  const auto event = modifiable_event(call, handle);
  if (!event) return event.error();
  return return_previous(call, previous, call->kernel.pulse_event((*event)->event));
}

Status nt_query_event(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                      UserPtr<u32> return_length) {
  if (information_class != kBasicClass) return Status::invalid_info_class;
  if (length != sizeof(EventBasicInformation)) return Status::info_length_mismatch;
  const auto event = reference<ob::EventObject>(call, handle, call->sync.event(), abi::event_access::kQueryState);
  if (!event) return event.error();
  const ke::DispatcherHeader& header = (*event)->event.header;
  const u32 type = header.type == ke::DispatcherType::notification_event ? 0 : 1;
  return return_value(call, buffer, length, EventBasicInformation{type, ke::Kernel::read_state(header)}, return_length);
}

// ---- semaphores
// ------------------------------------------------------------------------------------------------------------

Status nt_create_semaphore(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                           i32 count, i32 limit) {
  if (limit <= 0 || count < 0 || count > limit) return Status::invalid_parameter;
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  auto semaphore = call->sync.create_semaphore(request_for(call, *captured), count, limit);
  if (!semaphore) return semaphore.error();
  return insert_and_return(call, std::move(*semaphore), *captured, access, handle);
}

Status nt_open_semaphore(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  return open_named(call, handle, access, attributes, call->sync.semaphore());
}

Status nt_release_semaphore(Call call, Handle handle, i32 count, UserPtr<i32> previous) {
  if (count <= 0) return Status::invalid_parameter;
  const auto semaphore =
      reference<ob::SemaphoreObject>(call, handle, call->sync.semaphore(), abi::semaphore_access::kModifyState);
  if (!semaphore) return semaphore.error();
  const auto before = call->kernel.release_semaphore((*semaphore)->semaphore, count);
  if (!before) return before.error();
  return return_previous(call, previous, *before);
}

Status nt_query_semaphore(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                          UserPtr<u32> return_length) {
  if (information_class != kBasicClass) return Status::invalid_info_class;
  if (length != sizeof(SemaphoreBasicInformation)) return Status::info_length_mismatch;
  const auto semaphore =
      reference<ob::SemaphoreObject>(call, handle, call->sync.semaphore(), abi::semaphore_access::kQueryState);
  if (!semaphore) return semaphore.error();
  const ke::Semaphore& state = (*semaphore)->semaphore;
  return return_value(call, buffer, length,
                      SemaphoreBasicInformation{ke::Kernel::read_state(state.header), state.limit}, return_length);
}

// ---- mutants
// ---------------------------------------------------------------------------------------------------------------

Status nt_create_mutant(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                        bool owned) {
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  auto mutant = call->sync.create_mutant(request_for(call, *captured), nullptr);
  if (!mutant) return mutant.error();
  // Acquired only once it is known that no mutant of this name existed, so that the new one never goes away while
  // owned.
  ke::Mutant& state = (*mutant)->mutant;
  const ob::Ref<ob::MutantObject> made = *mutant;
  auto created = call.process().handles->insert_new(std::move(*mutant), *captured, access, user_access(call));
  if (!created) return created.error();
  if (owned && created->object.get() == made.get()) call->kernel.initialize_owned_mutant(state, call.thread->tcb);
  VITRINE_TRY(return_handle(call, handle, created->handle));
  return created->status;
}

Status nt_open_mutant(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  return open_named(call, handle, access, attributes, call->sync.mutant());
}

Status nt_release_mutant(Call call, Handle handle, UserPtr<i32> previous) {
  const auto mutant = reference<ob::MutantObject>(call, handle, call->sync.mutant(), 0);
  if (!mutant) return mutant.error();
  const auto before = call->kernel.release_mutant((*mutant)->mutant, call.thread->tcb);
  if (!before) return before.error();
  return return_previous(call, previous, *before);
}

Status nt_query_mutant(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                       UserPtr<u32> return_length) {
  if (information_class != kBasicClass && information_class != kMutantOwnerClass) return Status::invalid_info_class;
  const u32 size = information_class == kBasicClass ? sizeof(MutantBasicInformation) : sizeof(abi::ClientId);
  if (length != size) return Status::info_length_mismatch;
  const auto mutant = reference<ob::MutantObject>(call, handle, call->sync.mutant(), abi::mutant_access::kQueryState);
  if (!mutant) return mutant.error();
  const ke::Mutant& state = (*mutant)->mutant;
  if (information_class == kMutantOwnerClass) {
    abi::ClientId owner{};
    if (ps::Thread* thread = ps::Thread::from(state.owner)) owner = {thread->process->id, thread->id};
    return return_value(call, buffer, length, owner, return_length);
  }
  MutantBasicInformation information{};
  information.current_count = ke::Kernel::read_state(state.header);
  information.owned_by_caller = state.owner == &call.thread->tcb ? 1 : 0;
  information.abandoned = state.abandoned ? 1 : 0;
  return return_value(call, buffer, length, information, return_length);
}

// ---- keyed events
// ------------------------------------------------------------------------------------------------------------

Status nt_create_keyed_event(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                             u32 flags) {
  if (flags != 0) return Status::invalid_parameter_4;
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  auto event = call->sync.create_keyed_event(request_for(call, *captured));
  if (!event) return event.error();
  return insert_and_return(call, std::move(*event), *captured, access, handle);
}

Status nt_open_keyed_event(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  return open_named(call, handle, access, attributes, call->sync.keyed_event());
}

// ---- event pairs [facts 7.1]
// ------------------------------------------------------------------------------------------------------------------

ob::ObjectType& event_pair_type(Call call) { return *call->objects.find_type(ob::kEventPairType); }

Status nt_create_event_pair(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  auto pair = call->objects.create<ob::EventPairObject>(event_pair_type(call), request_for(call, *captured));
  if (!pair) return pair.error();
  return insert_and_return(call, std::move(*pair), *captured, access, handle);
}

Status nt_open_event_pair(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  return open_named(call, handle, access, attributes, event_pair_type(call));
}

using Side = ke::EventPairSide;

// SYNCHRONIZE is the right for both sides, setting and waiting [ROS].
Result<ob::Ref<ob::EventPairObject>> event_pair(Call call, Handle handle) {
  return reference<ob::EventPairObject>(call, handle, event_pair_type(call), se::access::kSynchronize);
}

Status set_side(Call call, Handle handle, Side side) {
  const auto pair = event_pair(call, handle);
  if (!pair) return pair.error();
  (void)call->kernel.set_event(ke::side_of((*pair)->pair, side));
  return Status::success;
}

Task<Status> wait_side(Call call, ob::Ref<ob::EventPairObject> pair, Side side) {
  co_return co_await ke::wait_event_pair(&call->kernel, &call.thread->tcb, &pair->pair, side, ke::Mode::user);
}
Task<Status> set_and_wait_side(Call call, ob::Ref<ob::EventPairObject> pair, Side side) {
  co_return co_await ke::set_and_wait_event_pair(&call->kernel, &call.thread->tcb, &pair->pair, side, ke::Mode::user);
}

Status nt_set_low_event_pair(Call call, Handle handle) { return set_side(call, handle, Side::low); }
Status nt_set_high_event_pair(Call call, Handle handle) { return set_side(call, handle, Side::high); }
template <Side side>
Outcome nt_wait_event_pair(Call call, Handle handle) {
  auto pair = event_pair(call, handle);
  if (!pair) return pair.error();
  return wait_side(call, std::move(*pair), side);
}
// Sets `side` and waits for the other one in one step.
template <Side side>
Outcome nt_set_and_wait_event_pair(Call call, Handle handle) {
  auto pair = event_pair(call, handle);
  if (!pair) return pair.error();
  return set_and_wait_side(call, std::move(*pair), side);
}

}  // namespace

std::span<const Service> sync_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_create_event>("NtCreateEvent", complete, "handle, access, attributes, type, signalled"),
      service<&nt_open_event>("NtOpenEvent", complete, "handle, access, attributes"),
      service<&nt_set_event>("NtSetEvent", complete, "handle, previous"),
      service<&nt_reset_event>("NtResetEvent", complete, "handle, previous"),
      service<&nt_clear_event>("NtClearEvent", complete, "handle"),
      service<&nt_pulse_event>("NtPulseEvent", complete, "handle, previous"),
      service<&nt_query_event>("NtQueryEvent", complete, "handle, class, buffer, length, return length"),
      service<&nt_create_semaphore>("NtCreateSemaphore", complete, "handle, access, attributes, count, limit"),
      service<&nt_open_semaphore>("NtOpenSemaphore", complete, "handle, access, attributes"),
      service<&nt_release_semaphore>("NtReleaseSemaphore", complete, "handle, count, previous"),
      service<&nt_query_semaphore>("NtQuerySemaphore", complete, "handle, class, buffer, length, return length"),
      service<&nt_create_mutant>("NtCreateMutant", complete, "handle, access, attributes, owned"),
      service<&nt_open_mutant>("NtOpenMutant", complete, "handle, access, attributes"),
      service<&nt_release_mutant>("NtReleaseMutant", complete, "handle, previous"),
      service<&nt_query_mutant>("NtQueryMutant", complete, "handle, class, buffer, length, return length"),
      service<&nt_create_keyed_event>("NtCreateKeyedEvent", complete, "handle, access, attributes, flags"),
      service<&nt_open_keyed_event>("NtOpenKeyedEvent", complete, "handle, access, attributes"),
      service<&nt_create_event_pair>("NtCreateEventPair", complete, "handle, access, attributes"),
      service<&nt_open_event_pair>("NtOpenEventPair", complete, "handle, access, attributes"),
      service<&nt_set_low_event_pair>("NtSetLowEventPair", complete, "handle"),
      service<&nt_set_high_event_pair>("NtSetHighEventPair", complete, "handle"),
      service<&nt_wait_event_pair<Side::low>>("NtWaitLowEventPair", complete, "handle"),
      service<&nt_wait_event_pair<Side::high>>("NtWaitHighEventPair", complete, "handle"),
      service<&nt_set_and_wait_event_pair<Side::low>>("NtSetLowWaitHighEventPair", complete, "handle"),
      service<&nt_set_and_wait_event_pair<Side::high>>("NtSetHighWaitLowEventPair", complete, "handle"),
  };
  return table;
}

}  // namespace vitrine::nt
