// Tokens, privileges and access checks; local ids and UUIDs. [WI6 ch. 6]
#include <algorithm>

#include "abi/token_information.h"
#include "nt/capture_security.h"
#include "nt/executive_state.h"
#include "nt/families.h"
#include "nt/guest_record.h"
#include "nt/token_information.h"
#include "nt/token_reference.h"
#include "se/access_check.h"

namespace vitrine::nt {

Result<ob::Ref<ps::TokenObject>> reference_token(Call call, Handle handle, u32 access) {
  constexpr u64 kProcessToken = ~u64{0} - 3, kThreadToken = ~u64{0} - 4, kEffectiveToken = ~u64{0} - 5;
  if (handle.value == kThreadToken) return Failure(Status::no_token);
  if (handle.value == kProcessToken || handle.value == kEffectiveToken) {
    // NT: the pseudo handles grant TOKEN_QUERY and TOKEN_QUERY_SOURCE only.
    constexpr u32 kGranted = abi::token_access::kQuery | abi::token_access::kQuerySource;
    if ((access & ~kGranted) != 0) return Failure(Status::access_denied);
    if (!call.process().token) return Failure(Status::no_token);
    return call.process().token;
  }
  return reference<ps::TokenObject>(call, handle, call->processes.token_type(), access);
}

Result<Handle> create_token(Call call, se::TokenData data, const ob::ObjectAttributes& attributes, u32 access) {
  const u32 extra = data.booked_variable_bytes();
  auto token = call->objects.create<ps::TokenObject>(call->processes.token_type(),
                                                     {attributes, extra, call.process().quota.get(), false});
  if (!token) return Failure(token.error());
  (*token)->data = std::move(data);
  const auto created = call.process().handles->insert_new(std::move(*token), attributes, access, user_access(call));
  if (!created) return Failure(created.error());
  return created->handle;
}

namespace {

namespace token_access = abi::token_access;

constexpr u32 kProcessQueryLimited = 0x1000, kThreadQueryLimited = 0x800;  // [facts 10.3]
constexpr u32 kMaximumPrivileges = 0x400;                                  // more than exist
constexpr u32 kMaximumGroups = 0x1000;

se::Luid host(abi::Luid luid) { return {luid.low, luid.high}; }

se::Luid allocate_luid(Call call) {
  const u64 value = call->state->next_luid++;
  return {static_cast<u32>(value), static_cast<i32>(value >> 32)};
}

// --- open and make
// -----------------------------------------------------------------------------------------------------

Status nt_open_process_token_ex(Call call, Handle process_handle, u32 access, u32 attributes, UserPtr<Handle> handle) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto process = reference_process(call, process_handle, kProcessQueryLimited);
  if (!process) return process.error();
  if (!(*process)->token) return Status::no_token;
  const auto opened =
      call.process().handles->open(*(*process)->token, access, attributes & abi::obj::kInherit, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

Status nt_open_process_token(Call call, Handle process, u32 access, UserPtr<Handle> handle) {
  return nt_open_process_token_ex(call, process, access, 0, handle);
}

// No thread impersonates: NtSetInformationThread refuses an impersonation token.
Status nt_open_thread_token_ex(Call call, Handle thread_handle, u32 /*access*/, bool /*open_as_self*/,
                               u32 /*attributes*/, UserPtr<Handle> handle) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto thread = reference_thread(call, thread_handle, kThreadQueryLimited);
  return thread ? Status::no_token : thread.error();
}

Status nt_open_thread_token(Call call, Handle thread, u32 access, bool open_as_self, UserPtr<Handle> handle) {
  return nt_open_thread_token_ex(call, thread, access, open_as_self, 0, handle);
}

// The level of OBJECT_ATTRIBUTES' quality of service; absent: anonymous.
Result<se::ImpersonationLevel> capture_level(Call call, UserPtr<ObjectAttributes> attributes) {
  if (attributes.is_null()) return se::ImpersonationLevel::anonymous;
  const auto raw = attributes.read(call.space());
  if (!raw) return Failure(raw.error());
  if (raw->security_quality_of_service == 0) return se::ImpersonationLevel::anonymous;
  const auto quality = UserPtr<abi::SecurityQualityOfService>{raw->security_quality_of_service}.read(call.space());
  if (!quality) return Failure(quality.error());
  if (quality->impersonation_level > static_cast<u32>(se::ImpersonationLevel::delegation)) {
    return Failure(Status::bad_impersonation_level);
  }
  return static_cast<se::ImpersonationLevel>(quality->impersonation_level);
}

Status nt_duplicate_token(Call call, Handle existing, u32 access, UserPtr<ObjectAttributes> attributes,
                          bool effective_only, u32 type, UserPtr<Handle> handle) {
  if (type != static_cast<u32>(se::TokenType::primary) && type != static_cast<u32>(se::TokenType::impersonation)) {
    return Status::invalid_parameter;
  }
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto level = capture_level(call, attributes);
  if (!level) return level.error();
  ob::HandleInformation information{};
  const auto token =
      ob::reference_by_handle<ps::TokenObject>(*call.process().handles, existing, call->processes.token_type(),
                                               token_access::kDuplicate, se::Mode::user, &information);
  if (!token) return token.error();
  const se::TokenData& source = (*token)->data;
  // NT: an impersonation token cannot gain a level, nor become primary below the level impersonation.
  if (source.type == se::TokenType::impersonation) {
    const bool becomes_primary = type == static_cast<u32>(se::TokenType::primary);
    if (becomes_primary ? source.impersonation_level < se::ImpersonationLevel::impersonation
                        : *level > source.impersonation_level) {
      return Status::bad_impersonation_level;
    }
  }
  se::TokenData copy = source;
  copy.id = allocate_luid(call);
  copy.type = static_cast<se::TokenType>(type);
  copy.impersonation_level = copy.type == se::TokenType::primary ? se::ImpersonationLevel::anonymous : *level;
  if (effective_only) {
    std::erase_if(copy.privileges,
                  [](const se::TokenPrivilege& p) { return (p.attributes & se::privilege_attributes::kEnabled) == 0; });
    std::erase_if(copy.groups,
                  [](const se::TokenGroup& g) { return (g.attributes & se::group_attributes::kEnabled) == 0; });
  }
  const auto created =
      create_token(call, std::move(copy), *captured, access != 0 ? access : information.granted_access);
  if (!created) return created.error();
  return return_handle(call, handle, *created);
}

// TOKEN_GROUPS: a count and SID_AND_ATTRIBUTES. Null: empty.
Result<std::vector<se::Sid>> capture_groups(Call call, Buffer buffer) {
  std::vector<se::Sid> sids;
  if (buffer.is_null()) return sids;
  const auto count = buffer.as<u32>().read(call.space());
  if (!count) return Failure(count.error());
  if (*count > kMaximumGroups) return Failure(Status::invalid_parameter);
  const UserPtr<abi::SidAndAttributes> array{buffer.address + sizeof(u64)};
  for (u32 i = 0; i < *count; ++i) {
    const auto entry = array.element(i).read(call.space());
    if (!entry) return Failure(entry.error());
    auto sid = capture_sid(call, entry->sid);
    if (!sid) return Failure(sid.error());
    sids.push_back(*sid);
  }
  return sids;
}

// `at` points to LUID_AND_ATTRIBUTES.
Result<std::vector<abi::LuidAndAttributes>> capture_privileges(Call call, Va at, u32 count) {
  if (count > kMaximumPrivileges) return Failure(Status::invalid_parameter);
  std::vector<abi::LuidAndAttributes> privileges(count);
  const Status status = call.space().read(at, std::as_writable_bytes(std::span(privileges)));
  if (!is_success(status)) return Failure(status);
  return privileges;
}

Status nt_filter_token(Call call, Handle existing, u32 flags, Buffer disabled_sids, Buffer deleted_privileges,
                       Buffer restricting_sids, UserPtr<Handle> handle) {
  constexpr u32 kDisableMaximumPrivilege = 1, kSandboxInert = 2, kLuaToken = 4, kWriteRestricted = 8;
  if ((flags & ~(kDisableMaximumPrivilege | kSandboxInert | kLuaToken | kWriteRestricted)) != 0)
    return Status::invalid_parameter;
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto disabled = capture_groups(call, disabled_sids);
  if (!disabled) return disabled.error();
  std::vector<abi::LuidAndAttributes> deleted;
  if (deleted_privileges) {
    const auto count = deleted_privileges.as<u32>().read(call.space());
    if (!count) return count.error();
    auto captured = capture_privileges(call, deleted_privileges.address + sizeof(u32), *count);
    if (!captured) return captured.error();
    deleted = std::move(*captured);
  }
  const auto restricting = capture_groups(call, restricting_sids);
  if (!restricting) return restricting.error();
  if (!restricting->empty() || (flags & kWriteRestricted) != 0) return Status::not_supported;
  ob::HandleInformation information{};
  const auto token =
      ob::reference_by_handle<ps::TokenObject>(*call.process().handles, existing, call->processes.token_type(),
                                               token_access::kDuplicate, se::Mode::user, &information);
  if (!token) return token.error();
  se::TokenData copy = (*token)->data;
  copy.id = allocate_luid(call);
  for (se::TokenGroup& group : copy.groups) {
    if (std::ranges::find(*disabled, group.sid) == disabled->end()) continue;
    using namespace se::group_attributes;
    group.attributes = (group.attributes & ~(kEnabled | kEnabledByDefault | kOwner)) | kUseForDenyOnly;
  }
  std::erase_if(copy.privileges, [&](const se::TokenPrivilege& p) {
    const bool change_notify = p.luid == se::Luid{static_cast<u32>(se::Privilege::change_notify), 0};
    if ((flags & kDisableMaximumPrivilege) != 0 && !change_notify) return true;
    return std::ranges::any_of(deleted, [&](const abi::LuidAndAttributes& d) { return host(d.luid) == p.luid; });
  });
  const auto created = create_token(call, std::move(copy), {}, information.granted_access);
  if (!created) return created.error();
  return return_handle(call, handle, *created);
}

// --- privileges
// --------------------------------------------------------------------------------------------------------

struct PrivilegeChange {
  se::Luid luid;
  u32 attributes;
};

// What the program asks for: the list, or every privilege switched off.
Result<std::vector<PrivilegeChange>> capture_changes(Call call, const se::TokenData& token, bool disable_all,
                                                     Buffer wanted) {
  std::vector<PrivilegeChange> changes;
  if (disable_all) {
    for (const se::TokenPrivilege& p : token.privileges) changes.push_back({p.luid, 0});
    return changes;
  }
  const auto count = wanted.as<u32>().read(call.space());
  if (!count) return Failure(count.error());
  const auto list = capture_privileges(call, wanted.address + sizeof(u32), *count);
  if (!list) return Failure(list.error());
  for (const abi::LuidAndAttributes& entry : *list) {
    using namespace se::privilege_attributes;
    changes.push_back({host(entry.luid), entry.attributes & (kEnabled | kRemoved)});
  }
  return changes;
}

// NT: the previous state holds only the privileges whose state really changes, and nothing changes when it does not
// fit.
Status nt_adjust_privileges_token(Call call, Handle handle, bool disable_all, Buffer wanted, u32 length,
                                  Buffer previous, UserPtr<u32> return_length) {
  const auto token =
      reference_token(call, handle, token_access::kAdjustPrivileges | (previous ? token_access::kQuery : 0));
  if (!token) return token.error();
  if (!disable_all && wanted.is_null()) return Status::invalid_parameter;
  se::TokenData& data = (*token)->data;
  const auto changes = capture_changes(call, data, disable_all, wanted);
  if (!changes) return changes.error();
  using namespace se::privilege_attributes;
  GuestRecord record;
  record.add(u32{0});
  u32 changed = 0;
  for (const PrivilegeChange& change : *changes) {
    const se::TokenPrivilege* held = data.find_privilege(change.luid);
    if (held == nullptr) continue;
    const bool was = (held->attributes & kEnabled) != 0, becomes = (change.attributes & kEnabled) != 0;
    if (was == becomes && (change.attributes & kRemoved) == 0) continue;
    record.add(abi::LuidAndAttributes{{held->luid.low, held->luid.high}, held->attributes});
    ++changed;
  }
  record.put(0, changed);
  if (previous) VITRINE_TRY(record.deliver(call, previous, length, return_length, Status::buffer_too_small));
  Status result = Status::success;
  for (const PrivilegeChange& change : *changes) {
    if (!data.adjust_privilege(change.luid, change.attributes)) result = Status::not_all_assigned;
  }
  if (changed != 0) data.modified_id = allocate_luid(call);
  return result;
}

Status nt_privilege_check(Call call, Handle handle, UserPtr<abi::PrivilegeSet> required, UserPtr<u8> result) {
  const auto set = required.read(call.space());
  if (!set) return set.error();
  const Va array = required.address + sizeof(abi::PrivilegeSet);
  auto privileges = capture_privileges(call, array, set->count);
  if (!privileges) return privileges.error();
  const auto token = reference_token(call, handle, token_access::kQuery);
  if (!token) return token.error();
  const se::TokenData& data = (*token)->data;
  if (data.type == se::TokenType::impersonation && data.impersonation_level < se::ImpersonationLevel::identification) {
    return Status::bad_impersonation_level;
  }
  u32 held = 0;
  for (abi::LuidAndAttributes& entry : *privileges) {
    const se::TokenPrivilege* found = data.find_privilege(host(entry.luid));
    if (found == nullptr || (found->attributes & se::privilege_attributes::kEnabled) == 0) continue;
    entry.attributes |= se::privilege_attributes::kUsedForAccess;
    ++held;
  }
  VITRINE_TRY(call.space().write(array, std::as_bytes(std::span(*privileges))));
  const bool all = (set->control & abi::kPrivilegeSetAllNecessary) != 0;
  return result.write(call.space(), all ? held == set->count : held != 0);
}

// --- access check
// ------------------------------------------------------------------------------------------------------

Status nt_access_check(Call call, Buffer descriptor, Handle client, u32 desired, UserPtr<se::GenericMapping> mapping,
                       UserPtr<abi::PrivilegeSet> privileges, UserPtr<u32> privileges_length, UserPtr<u32> granted,
                       UserPtr<u32> access_status) {
  const auto generic = mapping.read(call.space());
  if (!generic) return generic.error();
  const auto captured = capture_descriptor(call, descriptor.address);
  if (!captured) return captured.error();
  const auto token = reference_token(call, client, token_access::kQuery);
  if (!token) return token.error();
  const se::TokenData& data = (*token)->data;
  if (data.type != se::TokenType::impersonation) return Status::no_impersonation_token;
  if (data.impersonation_level < se::ImpersonationLevel::identification) return Status::bad_impersonation_level;
  if ((desired & se::access::kGenericBits) != 0)
    return Status::invalid_parameter;  // NT: STATUS_GENERIC_NOT_MAPPED's family
  if (!captured->owner || !captured->group) return Status::invalid_security_descr;
  if (privileges_length) {
    const auto length = privileges_length.read(call.space());
    if (!length) return length.error();
    if (*length < sizeof(abi::PrivilegeSet)) {
      VITRINE_TRY(privileges_length.write(call.space(), sizeof(abi::PrivilegeSet)));
      return Status::buffer_too_small;
    }
    VITRINE_TRY(privileges.write(call.space(), {0, 0}));
  }
  const auto rights = se::access_check(&*captured, data, desired, *generic, se::Mode::user);
  VITRINE_TRY(granted.write(call.space(), rights.value_or(0)));
  return access_status.write(call.space(), static_cast<u32>(rights ? Status::success : rights.error()));
}

// NT: needs SeAuditPrivilege, which no token here has.
Status nt_access_check_and_audit_alarm(Call, UserPtr<UnicodeString>, Handle, UserPtr<UnicodeString>,
                                       UserPtr<UnicodeString>, Buffer, u32, UserPtr<se::GenericMapping>, bool,
                                       UserPtr<u32>, UserPtr<u32>, UserPtr<u8>) {
  return Status::privilege_not_held;
}

Status nt_adjust_groups_token(Call call, Handle handle, bool, Buffer, u32, Buffer, UserPtr<u32>) {
  const auto token = reference_token(call, handle, token_access::kAdjustGroups);
  return token ? Status::cant_disable_mandatory : token.error();  // every group of these tokens is mandatory
}

Status nt_create_low_box_token(Call, UserPtr<Handle>, Handle, u32, UserPtr<ObjectAttributes>, Buffer, u32, Buffer, u32,
                               Buffer) {
  return Status::not_supported;
}

Status nt_impersonate_anonymous_token(Call, Handle) { return Status::not_supported; }

// --- ids
// ---------------------------------------------------------------------------------------------------------------

Status nt_allocate_locally_unique_id(Call call, UserPtr<abi::Luid> luid) {
  VITRINE_TRY(call.space().probe(luid.address, sizeof(abi::Luid), 4, true));
  const se::Luid id = allocate_luid(call);
  return luid.write(call.space(), {id.low, id.high});
}

// NT: a time range to make UUIDs from, and the node's seed. The time is the machine's, the rest its seeded random
// numbers.
Status nt_allocate_uuids(Call call, UserPtr<u64> time, UserPtr<u32> range, UserPtr<u32> sequence, UserPtr<u64> seed) {
  constexpr u32 kRange = 10'000'000;  // one second of ticks
  VITRINE_TRY(time.write(call.space(), static_cast<u64>(call->kernel.system_time().value)));
  VITRINE_TRY(range.write(call.space(), kRange));
  VITRINE_TRY(sequence.write(call.space(), static_cast<u32>(call->random.below(1 << 14))));
  if (!seed) return Status::success;
  const u64 node = call->random.next() | 1;  // a multicast address, as for made-up nodes [RFC 4122 4.5]
  return call.space().write(seed.address, std::as_bytes(std::span(&node, 1)).first(6));
}

using enum SupportLevel;
constexpr Service kServices[] = {
    service<&nt_access_check>("NtAccessCheck", complete,
                              "descriptor, client, desired, mapping, privileges, privileges_length, granted, status"),
    service<&nt_access_check_and_audit_alarm>(
        "NtAccessCheckAndAuditAlarm", refused,
        "subsystem, handle, type, name, descriptor, desired, mapping, creation, granted, status, generate",
        "nothing is audited"),
    service<&nt_adjust_groups_token>("NtAdjustGroupsToken", refused,
                                     "token, reset, groups, length, previous, return_length",
                                     "all groups are mandatory"),
    service<&nt_adjust_privileges_token>("NtAdjustPrivilegesToken", complete,
                                         "token, disable_all, privileges, length, previous, return_length"),
    service<&nt_allocate_locally_unique_id>("NtAllocateLocallyUniqueId", complete, "luid"),
    service<&nt_allocate_uuids>("NtAllocateUuids", complete, "time, range, sequence, seed"),
    service<&nt_create_low_box_token>(
        "NtCreateLowBoxToken", refused,
        "token, existing, access, attributes, package_sid, capability_count, capabilities, handle_count, handles",
        "there are no app containers"),
    service<&nt_duplicate_token>("NtDuplicateToken", complete,
                                 "existing, access, attributes, effective_only, type, token"),
    service<&nt_filter_token>("NtFilterToken", partial,
                              "existing, flags, disabled_sids, deleted_privileges, restricting_sids, token",
                              "restricting SIDs are refused"),
    service<&nt_impersonate_anonymous_token>("NtImpersonateAnonymousToken", refused, "thread",
                                             "threads do not impersonate"),
    service<&nt_open_process_token>("NtOpenProcessToken", complete, "process, access, token"),
    service<&nt_open_process_token_ex>("NtOpenProcessTokenEx", complete, "process, access, attributes, token"),
    service<&nt_open_thread_token>("NtOpenThreadToken", partial, "thread, access, open_as_self, token",
                                   "threads do not impersonate"),
    service<&nt_open_thread_token_ex>("NtOpenThreadTokenEx", partial, "thread, access, open_as_self, attributes, token",
                                      "threads do not impersonate"),
    service<&nt_privilege_check>("NtPrivilegeCheck", complete, "token, required, result"),
    service<&nt_query_information_token>("NtQueryInformationToken", partial,
                                         "token, class, buffer, length, return_length",
                                         "classes 13, 14, 16, 22 and those above 32 are refused"),
    service<&nt_set_information_token>("NtSetInformationToken", partial, "token, class, buffer, length",
                                       "classes 4, 5, 6 and 25"),
};

}  // namespace

std::span<const Service> token_services() { return kServices; }

}  // namespace vitrine::nt
