// Sections: memory that can be mapped more than once, of a file, an image or the page file. Handles, rights and
// captured arguments are here; the rest is mm's. [facts 8.8, 10.5]
#include <array>

#include "abi/file_constants.h"
#include "abi/memory_information.h"
#include "nt/capture.h"
#include "nt/families.h"
#include "nt/placement.h"
#include "nt/memory_target.h"

namespace vitrine::nt {
namespace {

// Registered once by whoever made the machine; every section of it has this type.
ob::ObjectType& section_type(Call call) { return *call->objects.find_type(u"Section"); }

// NT: what a section's protection asks of the file's handle. [WI6p2 ch. 10: MmMakeFileAccess] Wine's loader opens DLLs
// for reading only and maps them executable, so the right to read stands for the right to execute here.
bool allows_section(u32 granted, u32 protect) {
  const bool reads = (granted & abi::kFileReadData) != 0;
  switch (protect & 0xFF) {
    case mm::page::kReadWrite:
    case mm::page::kExecuteReadWrite:
      return reads && (granted & abi::kFileWriteData) != 0;
    case mm::page::kExecute:
      return reads || (granted & abi::kFileExecute) != 0;
    default:
      return reads;
  }
}

struct OpenedBacking {
  ob::Ref<io::FileObject> file;  // keeps the backing valid until mm has retained it
  mm::FileBacking* backing = nullptr;
};

// Errors: invalid_handle, object_type_mismatch, access_denied, invalid_file_for_section.
Result<OpenedBacking> reference_backing(Call call, Handle handle, u32 protect) {
  if (handle.value == 0) return OpenedBacking{};
  ob::HandleInformation information{};
  auto file = ob::reference_by_handle<io::FileObject>(*call.process().handles, handle, call->io.file_type(), 0,
                                                      se::Mode::user, &information);
  if (!file) return Failure(file.error());
  if (!allows_section(information.granted_access, protect)) return Failure(Status::access_denied);
  const auto backing = call->io.section_backing(**file);
  if (!backing) return Failure(backing.error());
  return OpenedBacking{std::move(*file), *backing};
}

Status nt_create_section(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                         UserPtr<i64> maximum_size, u32 protect, u32 section_attributes, Handle file_handle) {
  // NT leaves the handle as it is when it fails; Wine's CreateFileMappingW returns it all the same, and must return
  // none.
  VITRINE_TRY(handle.write(call.space(), Handle{}));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  i64 size = 0;
  if (maximum_size) {
    const auto value = maximum_size.read(call.space());
    if (!value) return value.error();
    if (*value < 0) return Status::section_too_big;
    size = *value;
  }
  const auto backing = reference_backing(call, file_handle, protect);
  if (!backing) return backing.error();
  auto section = call->memory.create_section({backing->backing, static_cast<u64>(size), protect, section_attributes});
  if (!section) return section.error();
  ob::CreateRequest request;
  request.attributes = *captured;
  request.payer = call.process().quota.get();
  auto object = call->objects.create<mm::SectionObject>(section_type(call), request, std::move(*section));
  if (!object) return object.error();
  auto created = call.process().handles->insert_new(std::move(*object), *captured, access, user_access(call));
  if (!created) return created.error();
  VITRINE_TRY(return_handle(call, handle, created->handle));
  return created->status;
}

Status nt_open_section(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto opened = call.process().handles->open_by_name(*captured, &section_type(call), access, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

Status nt_query_section(Call call, Handle handle, u32 information_class, Buffer buffer, u64 length,
                        UserPtr<u64> return_length) {
  if (information_class > 1) return Status::invalid_info_class;
  const u64 size = information_class == 0 ? sizeof(mm::SectionBasicInformation) : sizeof(mm::SectionImageInformation);
  if (length < size) return Status::info_length_mismatch;
  const auto object = reference<mm::SectionObject>(call, handle, section_type(call), mm::kSectionQuery);
  if (!object) return object.error();
  const mm::Section& section = (*object)->section;
  if (information_class == 0) {
    VITRINE_TRY(buffer.as<mm::SectionBasicInformation>().write(call.space(), section.basic_information()));
  } else {
    const auto information = section.image_information();
    if (!information) return information.error();
    VITRINE_TRY(buffer.as<mm::SectionImageInformation>().write(call.space(), *information));
  }
  return return_length ? return_length.write(call.space(), size) : Status::success;
}

Status nt_extend_section(Call call, Handle handle, UserPtr<i64> size) {
  const auto wanted = size.read(call.space());
  if (!wanted) return wanted.error();
  if (*wanted < 0) return Status::section_too_big;
  const auto object = reference<mm::SectionObject>(call, handle, section_type(call), mm::kSectionExtendSize);
  if (!object) return object.error();
  const auto grown = (*object)->section.extend(static_cast<u64>(*wanted));
  if (!grown) return grown.error();
  return size.write(call.space(), static_cast<i64>(*grown));
}

// NT: what a view's protection asks of the section's handle. [facts 10.5; WI6p2 ch. 10: MmMakeSectionAccess]
Result<u32> section_access_for(u32 protect) {
  if (!mm::protection_from_win32(protect)) return Failure(Status::invalid_page_protection);
  switch (protect & 0xFF) {
    case mm::page::kReadWrite:
      return mm::kSectionMapWrite;
    case mm::page::kExecute:
      return mm::kSectionMapExecute;
    case mm::page::kExecuteRead:
    case mm::page::kExecuteWriteCopy:
      return mm::kSectionMapExecute | mm::kSectionMapRead;
    case mm::page::kExecuteReadWrite:
      return mm::kSectionMapExecute | mm::kSectionMapWrite;
    default:
      return mm::kSectionMapRead;
  }
}

struct ViewArguments {
  Handle section;
  Handle process;
  UserPtr<Va> base;
  UserPtr<i64> offset;
  UserPtr<u64> size;
};

// A view of no size goes to the section's end.
Result<Va> place_view(const mm::AddressSpace& space, const mm::Section& section, const mm::MapRequest& request,
                      const Placement& placement) {
  const u64 rest = request.offset < section.size() ? section.size() - request.offset : 0;
  const u64 size = request.view_size == 0 ? rest : request.view_size;
  if (size == 0 || size > space.vads().highest_plus_one()) return Failure(Status::invalid_view_size);
  return find_place(space, size, placement, (request.type & mm::mem::kTopDown) != 0);
}

Status map_view(Call call, const ViewArguments& arguments, mm::MapRequest request, const Placement& placement = {}) {
  const auto access = section_access_for(request.protect);
  if (!access) return access.error();
  const auto base = arguments.base.read(call.space());
  if (!base) return base.error();
  const auto size = arguments.size.read(call.space());
  if (!size) return size.error();
  i64 offset = 0;
  if (arguments.offset) {
    const auto value = arguments.offset.read(call.space());
    if (!value) return value.error();
    if (*value < 0) return Status::invalid_view_size;
    offset = *value;
  }
  const auto process = reference_space(call, arguments.process, ps::process_access::kVmOperation);
  if (!process) return process.error();
  const auto section = reference<mm::SectionObject>(call, arguments.section, section_type(call), *access);
  if (!section) return section.error();
  request.base = *base;
  request.offset = static_cast<u64>(offset);
  request.view_size = *size;
  if (request.base == 0 && !placement.is_anywhere()) {
    const auto place = place_view(*(*process)->space, (*section)->section, request, placement);
    if (!place) return place.error();
    request.base = *place;
  }
  const auto mapped = (*process)->space->map_view((*section)->section, request);
  if (!mapped) return mapped.error();
  // NT: who registered with PsSetLoadImageNotifyRoutine hears of each image as it is mapped.
  if ((*section)->section.is_image()) {
    call->processes.image_notify.call(**process, (*section)->section.segment()->backing->name(), mapped->range.base,
                                      (*section)->section.size());
  }
  VITRINE_TRY(arguments.base.write(call.space(), mapped->range.base));
  VITRINE_TRY(arguments.size.write(call.space(), mapped->range.size));
  // NT: the offset is rounded down to where the view really begins; it was refused above unless it was aligned.
  return mapped->status;
}

Status nt_map_view_of_section(Call call, Handle section, Handle process, UserPtr<Va> base, u64 zero_bits,
                              u64 commit_size, UserPtr<i64> offset, UserPtr<u64> size, u32 inherit, u32 type,
                              u32 protect) {
  if (inherit != 1 && inherit != 2) return Status::invalid_parameter_8;
  if (zero_bits > 21 && zero_bits < 32) return Status::invalid_parameter_4;
  mm::MapRequest request;
  // A mask with bits above 32 allows all that a view may get anyway.
  request.zero_bits = zero_bits > 0xFFFF'FFFF ? 0 : static_cast<u32>(zero_bits);
  request.commit_size = commit_size;
  request.inherit = inherit;
  request.type = type;
  request.protect = protect;
  return map_view(call, {section, process, base, offset, size}, request);
}

Status nt_map_view_of_section_ex(Call call, Handle section, Handle process, UserPtr<Va> base, UserPtr<i64> offset,
                                 UserPtr<u64> size, u32 type, u32 protect,
                                 UserPtr<abi::MemExtendedParameter> parameters, u32 count) {
  if (count != 0 && !parameters) return Status::invalid_parameter;
  const auto wanted = base.read(call.space());
  if (!wanted) return wanted.error();
  const auto placement = capture_placement(call, parameters, count, *wanted != 0);
  if (!placement) return placement.error();
  mm::MapRequest request;
  request.type = type & ~abi::kMemReplacePlaceholder;
  if (request.type != type) request.placeholder = mm::Placeholder::replace;
  request.protect = protect;
  return map_view(call, {section, process, base, offset, size}, request, *placement);
}

Status unmap_view(Call call, Handle process_handle, Va base, mm::Placeholder leaves = mm::Placeholder::none) {
  const auto process = reference_space(call, process_handle, ps::process_access::kVmOperation);
  if (!process) return process.error();
  return (*process)->space->unmap_view(base, leaves);
}

Status nt_unmap_view_of_section(Call call, Handle process, Va base) { return unmap_view(call, process, base); }

Status nt_unmap_view_of_section_ex(Call call, Handle process, Va base, u32 flags) {
  if ((flags & ~abi::kMemPreservePlaceholder) != 0) return Status::invalid_parameter;
  return unmap_view(call, process, base, flags != 0 ? mm::Placeholder::reserve : mm::Placeholder::none);
}

}  // namespace

std::span<const Service> section_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_create_section>("NtCreateSection", complete,
                                  "handle, access, attributes, maximum size, protect, section attributes, file"),
      service<&nt_open_section>("NtOpenSection", complete, "handle, access, attributes"),
      service<&nt_query_section>("NtQuerySection", complete, "handle, class, buffer, length, return length"),
      service<&nt_extend_section>("NtExtendSection", complete, "handle, size"),
      service<&nt_map_view_of_section>(
          "NtMapViewOfSection", complete,
          "section, process, base, zero bits, commit, offset, size, inherit, type, protect"),
      service<&nt_map_view_of_section_ex>("NtMapViewOfSectionEx", complete,
                                          "section, process, base, offset, size, type, protect, parameters, count"),
      service<&nt_unmap_view_of_section>("NtUnmapViewOfSection", complete, "process, base"),
      service<&nt_unmap_view_of_section_ex>("NtUnmapViewOfSectionEx", complete, "process, base, flags"),
  };
  return table;
}

}  // namespace vitrine::nt
