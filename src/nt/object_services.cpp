// Services of the object manager: handles, names, types, directories, symbolic links, security. [WI6 ch. 3]
#include "abi/object_information.h"
#include "nt/capture_security.h"
#include "nt/families.h"
#include "nt/guest_record.h"

namespace vitrine::nt {
namespace {

using abi::ObjectInformationClass;

constexpr u32 kProcessDupHandle = 0x40;  // PROCESS_DUP_HANDLE [facts 10.3]

Status nt_close(Call call, Handle handle) { return call.process().handles->close(handle, se::Mode::user); }

Status nt_duplicate_object(Call call, Handle source_process, Handle source, Handle target_process,
                           UserPtr<Handle> target, u32 access, u32 attributes, u32 options) {
  if (target) VITRINE_TRY(call.space().probe(target.address, sizeof(Handle), 1, true));
  const auto from = reference_process(call, source_process, kProcessDupHandle);
  if (!from) return from.error();
  if (!(*from)->handles || (*from)->exiting) return Status::process_is_terminating;
  ob::Ref<ps::Process> to;
  if (target_process) {
    auto found = reference_process(call, target_process, kProcessDupHandle);
    if (!found) return found.error();
    to = std::move(*found);
    if (!to->handles || to->exiting) return Status::process_is_terminating;
  } else if ((options & abi::duplicate::kCloseSource) == 0) {
    return Status::invalid_parameter;
  }
  const auto duplicated = (*from)->handles->duplicate(source, to ? to->handles.get() : nullptr, access,
                                                      static_cast<u8>(attributes & ex::handle_attributes::kAll),
                                                      options, user_access(call));
  if (!duplicated) return duplicated.error();
  if (!to || !target) return Status::success;
  const Status written = target.write(call.space(), *duplicated);
  if (!is_success(written)) (void)to->handles->close(*duplicated, se::Mode::kernel);
  return written;
}

Status nt_make_temporary_object(Call call, Handle handle) {
  const auto object = reference_any(call, handle, se::access::kDelete);
  if (!object) return object.error();
  call->objects.make_temporary(**object);
  return Status::success;
}

Status nt_compare_objects(Call call, Handle first, Handle second) {
  const auto one = reference_any(call, first, 0);
  if (!one) return one.error();
  const auto other = reference_any(call, second, 0);
  if (!other) return other.error();
  return *one == *other ? Status::success : Status::not_same_object;
}

// --- queries
// -----------------------------------------------------------------------------------------------------------

abi::ObjectTypeInformation type_information(const ob::ObjectType& type) {
  const ob::TypeTraits& traits = type.traits;
  abi::ObjectTypeInformation information{};
  information.total_objects = type.object_count;
  information.total_handles = type.handle_count;
  information.high_water_objects = type.peak_object_count;
  information.high_water_handles = type.peak_handle_count;
  information.invalid_attributes = traits.invalid_attributes;
  information.generic_mapping = {traits.mapping.read, traits.mapping.write, traits.mapping.execute, traits.mapping.all};
  information.valid_access_mask = traits.valid_access;
  information.security_required = traits.security_required;
  information.maintain_handle_count = traits.maintains_handle_count;
  information.type_index = type.index;
  information.pool_type = static_cast<u32>(traits.pool) == static_cast<u32>(ex::PoolType::paged) ? 1 : 0;  // POOL_TYPE
  information.default_paged_pool_charge = traits.paged_charge;
  information.default_nonpaged_pool_charge = traits.nonpaged_charge;
  return information;
}

// Appends the record with its name behind it, 8-aligned as NT does.
void add_type(GuestRecord& record, const ob::ObjectType& type) {
  const u64 at = record.add(type_information(type));
  const u16 bytes = static_cast<u16>(type.type_name.size() * 2);
  const u64 text = record.add_text(type.type_name);
  record.add(char16_t{0});
  record.align(8);
  record.put(at, UnicodeString{bytes, static_cast<u16>(bytes + 2), 0, record.address(text)});
}

Status query_basic(Call call, ob::Object& object, const ob::HandleInformation& handle, Buffer buffer, u32 length,
                   UserPtr<u32> return_length) {
  const ob::TypeTraits& traits = object.type().traits;
  abi::ObjectBasicInformation information{};
  information.attributes = ((handle.attributes & ex::handle_attributes::kInherit) != 0 ? abi::obj::kInherit : 0) |
                           (object.is_permanent() ? abi::obj::kPermanent : 0) |
                           (object.has_flag(ob::object_flags::kExclusive) ? abi::obj::kExclusive : 0);
  information.granted_access = handle.granted_access;
  information.handle_count = static_cast<u32>(object.handle_count());
  // NT takes back the reference of this very query.
  information.pointer_count = static_cast<u32>(object.pointer_count() - 1);
  const u32 charge = static_cast<u32>(call->pool.charged_bytes(object.block()));
  (traits.pool == ex::PoolType::paged ? information.paged_pool_usage : information.nonpaged_pool_usage) = charge;
  if (const auto name = call->objects.query_name(object); name && !name->empty()) {
    information.name_information_size = static_cast<u32>(sizeof(UnicodeString) + name->size() * 2 + 2);
  }
  information.type_information_size =
      static_cast<u32>(sizeof(abi::ObjectTypeInformation) + object.type().type_name.size() * 2 + 2);
  if (const se::SecurityDescriptor* descriptor = call->objects.security(object)) {
    information.security_descriptor_size = descriptor->booked_bytes();
  }
  return return_value(call, buffer, length, information, return_length);
}

Status query_all_types(Call call, Buffer buffer, u32 length, UserPtr<u32> return_length) {
  GuestRecord record(buffer.address);
  const u64 count_at = record.add(u64{0});  // a count of 32 bits and padding
  u32 count = 0;
  for (const ob::ObjectType* type : call->objects.types()) {
    if (type == nullptr) continue;
    add_type(record, *type);
    ++count;
  }
  record.put(count_at, count);
  return record.deliver(call, buffer, length, return_length);
}

Status nt_query_object(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                       UserPtr<u32> return_length) {
  if (information_class > static_cast<u32>(ObjectInformationClass::handle_flags)) return Status::invalid_info_class;
  const auto wanted = static_cast<ObjectInformationClass>(information_class);
  if (wanted == ObjectInformationClass::all_types) return query_all_types(call, buffer, length, return_length);
  ob::HandleInformation information{};
  const auto object = call.process().handles->reference(handle, nullptr, 0, se::Mode::user, &information);
  if (!object) return object.error();
  switch (wanted) {
    case ObjectInformationClass::basic:
      return query_basic(call, **object, information, buffer, length, return_length);
    case ObjectInformationClass::name: {
      const auto name = call->objects.query_name(**object);
      if (!name) return name.error();
      // NT: a buffer that cannot hold the UNICODE_STRING itself is a mismatch, a longer one that cannot hold the text
      // an overflow.
      const Status too_short = length < sizeof(UnicodeString) ? Status::info_length_mismatch : Status::buffer_overflow;
      return return_string(call, buffer, length, *name, return_length, too_short);
    }
    case ObjectInformationClass::type: {
      GuestRecord record(buffer.address);
      add_type(record, (*object)->type());
      return record.deliver(call, buffer, length, return_length);
    }
    default:
      break;
  }
  using namespace ex::handle_attributes;
  return return_value(call, buffer, length,
                      abi::ObjectHandleFlagInformation{(information.attributes & kInherit) != 0,
                                                       (information.attributes & kProtectFromClose) != 0},
                      return_length);
}

Status nt_set_information_object(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length) {
  if (static_cast<ObjectInformationClass>(information_class) != ObjectInformationClass::handle_flags) {
    return Status::invalid_info_class;
  }
  const auto flags = capture_value<abi::ObjectHandleFlagInformation>(call, buffer, length);
  if (!flags) return flags.error();
  using namespace ex::handle_attributes;
  const u8 attributes =
      static_cast<u8>((flags->inherit != 0 ? kInherit : 0) | (flags->protect_from_close != 0 ? kProtectFromClose : 0));
  return call.process().handles->set_attributes(handle, attributes, se::Mode::user);
}

// --- directories and symbolic links
// ------------------------------------------------------------------------------------

template <typename T>
Status insert_created(Call call, Result<ob::Ref<T>> object, const ob::ObjectAttributes& attributes, u32 access,
                      UserPtr<Handle> handle) {
  if (!object) return object.error();
  const auto created = call.process().handles->insert_new(std::move(*object), attributes, access, user_access(call));
  if (!created) return created.error();
  VITRINE_TRY(return_handle(call, handle, created->handle));
  return created->status;
}

Status open_named(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                  const ob::ObjectType& type, u32 more_attributes = 0) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  captured->attributes |= more_attributes;
  const auto opened = call.process().handles->open_by_name(*captured, &type, access, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

Status nt_create_directory_object(Call call, UserPtr<Handle> directory, u32 access,
                                  UserPtr<ObjectAttributes> attributes) {
  VITRINE_TRY(call.space().probe(directory.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  return insert_created(call,
                        call->objects.create<ob::DirectoryObject>(call->objects.directory_type(),
                                                                  {*captured, 0, call.process().quota.get(), false}),
                        *captured, access, directory);
}

Status nt_open_directory_object(Call call, UserPtr<Handle> directory, u32 access,
                                UserPtr<ObjectAttributes> attributes) {
  return open_named(call, directory, access, attributes, call->objects.directory_type());
}

// NT: an array of entries ended by an empty one, then the texts. `context` counts the entries given so far.
Status nt_query_directory_object(Call call, Handle directory, Buffer buffer, u32 length, bool single_entry,
                                 bool restart, UserPtr<u32> context, UserPtr<u32> return_length) {
  u32 position = 0;
  if (!restart) {
    const auto saved = context.read(call.space());
    if (!saved) return saved.error();
    position = *saved;
  }
  const auto object =
      reference<ob::DirectoryObject>(call, directory, call->objects.directory_type(), abi::directory_access::kQuery);
  if (!object) return object.error();

  constexpr u64 kEntryBytes = sizeof(abi::ObjectDirectoryInformation);
  std::vector<const ob::Object*> chosen;
  u64 needed = kEntryBytes;  // the empty entry at the end
  bool more = false;
  u32 index = 0;
  for (const auto& [key, entry] : (*object)->entries) {
    if (index++ < position) continue;
    const u64 with_entry = needed + kEntryBytes + (entry->name().size() + 1 + entry->type().type_name.size() + 1) * 2;
    if (with_entry > length || (single_entry && !chosen.empty())) {
      if (chosen.empty()) {
        if (return_length) VITRINE_TRY(return_length.write(call.space(), static_cast<u32>(with_entry)));
        return Status::buffer_too_small;
      }
      more = true;
      break;
    }
    needed = with_entry;
    chosen.push_back(entry);
  }
  if (chosen.empty()) return Status::no_more_entries;

  GuestRecord record(buffer.address);
  record.add_zeros((chosen.size() + 1) * kEntryBytes);
  auto place_text = [&record](std::u16string_view text) {
    const u16 bytes = static_cast<u16>(text.size() * 2);
    const u64 at = record.add_text(text);
    record.add(char16_t{0});
    return UnicodeString{bytes, static_cast<u16>(bytes + 2), 0, record.address(at)};
  };
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const abi::ObjectDirectoryInformation entry{place_text(chosen[i]->name()), place_text(chosen[i]->type().type_name)};
    record.put(i * kEntryBytes, entry);
  }
  VITRINE_TRY(record.deliver(call, buffer, length, return_length));
  VITRINE_TRY(context.write(call.space(), position + static_cast<u32>(chosen.size())));
  return more && !single_entry ? Status::more_entries : Status::success;
}

Status nt_create_symbolic_link_object(Call call, UserPtr<Handle> link, u32 access, UserPtr<ObjectAttributes> attributes,
                                      UserPtr<UnicodeString> target) {
  VITRINE_TRY(call.space().probe(link.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto text = capture_string(call, target);
  if (!text) return text.error();
  return insert_created(call,
                        call->objects.create_symbolic_link({*captured, 0, call.process().quota.get(), false}, *text),
                        *captured, access, link);
}

Status nt_open_symbolic_link_object(Call call, UserPtr<Handle> link, u32 access, UserPtr<ObjectAttributes> attributes) {
  return open_named(call, link, access, attributes, call->objects.symbolic_link_type(), abi::obj::kOpenLink);
}

Status nt_query_symbolic_link_object(Call call, Handle link, UserPtr<UnicodeString> target,
                                     UserPtr<u32> return_length) {
  auto header = target.read(call.space());
  if (!header) return header.error();
  const auto object = reference<ob::SymbolicLinkObject>(call, link, call->objects.symbolic_link_type(),
                                                        abi::symbolic_link_access::kQuery);
  if (!object) return object.error();
  const std::u16string& text = (*object)->target;
  const u32 bytes = static_cast<u32>(text.size() * 2);
  if (return_length) VITRINE_TRY(return_length.write(call.space(), bytes + 2));
  // NT: a caller that asks for the length also wants the terminator.
  const u32 copied = return_length ? bytes + 2 : bytes;
  if (copied > header->maximum_length) return Status::buffer_too_small;
  VITRINE_TRY(call.space().write(header->buffer, std::as_bytes(std::span(text.c_str(), copied / 2))));
  header->length = static_cast<u16>(bytes);
  return target.write(call.space(), *header);
}

// --- security
// ----------------------------------------------------------------------------------------------------------

bool is_file(Call call, const ob::Object& object) { return &object.type() == call->objects.find_type(u"File"); }

// NT: what a file system without security makes the I/O manager answer, SePublicDefaultUnrestrictedDescriptor
// [behaviour of IopGetSetSecurityObject]: everyone may read, write and execute; system and administrators everything.
se::SecurityDescriptor public_unrestricted() {
  using se::access::kGenericAll;
  se::SecurityDescriptor descriptor;
  const u32 world = se::access::kGenericRead | se::access::kGenericWrite | se::access::kGenericExecute;
  descriptor.dacl = std::vector<se::Ace>{{se::AceType::allowed, 0, world, se::well_known::everyone()},
                                         {se::AceType::allowed, 0, kGenericAll, se::well_known::local_system()},
                                         {se::AceType::allowed, 0, kGenericAll, se::well_known::administrators()}};
  return descriptor;
}

u32 query_right(u32 information) {
  using namespace se::security_information;
  u32 right = 0;
  if ((information & (kOwner | kGroup | kDacl | kLabel)) != 0) right |= se::access::kReadControl;
  if ((information & kSacl) != 0) right |= se::access::kAccessSystemSecurity;
  return right;
}

u32 set_right(u32 information) {
  using namespace se::security_information;
  u32 right = 0;
  if ((information & (kOwner | kGroup | kLabel)) != 0) right |= se::access::kWriteOwner;
  if ((information & kDacl) != 0) right |= se::access::kWriteDac;
  if ((information & kSacl) != 0) right |= se::access::kAccessSystemSecurity;
  return right;
}

Status nt_query_security_object(Call call, Handle handle, u32 information, Buffer buffer, u32 length,
                                UserPtr<u32> needed) {
  const auto object = reference_any(call, handle, query_right(information));
  if (!object) return object.error();
  // NT: an object without a descriptor of its own answers with an empty one.
  se::SecurityDescriptor answer = is_file(call, **object) ? public_unrestricted() : se::SecurityDescriptor{};
  if (const se::SecurityDescriptor* own = call->objects.security(**object)) answer = *own;
  GuestRecord record;
  record.add_bytes(se::serialize_self_relative(answer, information));
  return record.deliver(call, buffer, length, needed, Status::buffer_too_small);
}

Status nt_set_security_object(Call call, Handle handle, u32 information, Buffer descriptor) {
  if (descriptor.is_null()) return Status::access_violation;
  const auto captured = capture_descriptor(call, descriptor.address);
  if (!captured) return captured.error();
  using namespace se::security_information;
  if (((information & kOwner) != 0 && !captured->owner) || ((information & kGroup) != 0 && !captured->group)) {
    return Status::invalid_security_descr;
  }
  const auto object = reference_any(call, handle, set_right(information));
  if (!object) return object.error();
  if (is_file(call, **object)) return Status::success;  // NT: a file system without security takes it and keeps nothing
  return call->objects.set_security(**object, *captured, information);
}

using enum SupportLevel;
constexpr Service kServices[] = {
    service<&nt_close>("NtClose", complete, "handle"),
    service<&nt_compare_objects>("NtCompareObjects", complete, "first, second"),
    service<&nt_create_directory_object>("NtCreateDirectoryObject", complete, "directory, access, attributes"),
    service<&nt_create_symbolic_link_object>("NtCreateSymbolicLinkObject", complete,
                                             "link, access, attributes, target"),
    service<&nt_duplicate_object>("NtDuplicateObject", complete,
                                  "source_process, source, target_process, target, access, attributes, options"),
    service<&nt_make_temporary_object>("NtMakeTemporaryObject", complete, "handle"),
    service<&nt_open_directory_object>("NtOpenDirectoryObject", complete, "directory, access, attributes"),
    service<&nt_open_symbolic_link_object>("NtOpenSymbolicLinkObject", complete, "link, access, attributes"),
    service<&nt_query_directory_object>("NtQueryDirectoryObject", complete,
                                        "directory, buffer, length, single_entry, restart, context, return_length"),
    service<&nt_query_object>("NtQueryObject", complete, "handle, class, buffer, length, return_length"),
    service<&nt_query_security_object>("NtQuerySecurityObject", partial, "handle, information, buffer, length, needed",
                                       "files answer as on a volume without security"),
    service<&nt_query_symbolic_link_object>("NtQuerySymbolicLinkObject", complete, "link, target, return_length"),
    service<&nt_set_information_object>("NtSetInformationObject", complete, "handle, class, buffer, length"),
    service<&nt_set_security_object>("NtSetSecurityObject", partial, "handle, information, descriptor",
                                     "files answer as on a volume without security"),
};

}  // namespace

std::span<const Service> object_services() { return kServices; }

}  // namespace vitrine::nt
