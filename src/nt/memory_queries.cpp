#include "nt/memory_queries.h"

#include <algorithm>
#include <array>

#include "abi/memory_information.h"
#include "nt/memory_target.h"

namespace vitrine::nt {
namespace {

using Class = abi::MemoryInformationClass;

// SIZE_T lengths, unlike other query services.
Status deliver(Call call, Buffer buffer, u64 length, std::span<const std::byte> value, UserPtr<u64> return_length) {
  if (length < value.size()) return Status::info_length_mismatch;
  VITRINE_TRY(call.space().write(buffer.address, value));
  return return_length ? return_length.write(call.space(), value.size()) : Status::success;
}

Status query_basic(Call call, mm::AddressSpace& space, Va address, Buffer buffer, u64 length,
                   UserPtr<u64> return_length) {
  if (length < sizeof(mm::MemoryBasicInformation)) return Status::info_length_mismatch;
  const auto information = space.query_basic(address);
  if (!information) return information.error();
  return deliver(call, buffer, length, std::as_bytes(std::span(&*information, 1)), return_length);
}

// NT: the name is a UNICODE_STRING with its text behind it. Too short: info_length_mismatch (no room for the header) or
// buffer_overflow, with the length that is needed.
Status query_file_name(Call call, mm::AddressSpace& space, Va address, Buffer buffer, u64 length,
                       UserPtr<u64> return_length) {
  const auto backing = space.query_mapped_file(address);
  if (!backing) return backing.error();
  const std::u16string name = (*backing)->name();
  if (name.empty()) return Status::file_invalid;
  const u64 text_bytes = name.size() * 2;
  if (text_bytes > 0xFFFC) return Status::name_too_long;
  const u64 needed = sizeof(abi::UnicodeString) + text_bytes + 2;
  if (return_length) VITRINE_TRY(return_length.write(call.space(), needed));
  if (length < sizeof(abi::UnicodeString)) return Status::info_length_mismatch;
  if (length < needed) return Status::buffer_overflow;
  const abi::UnicodeString header{static_cast<u16>(text_bytes), static_cast<u16>(text_bytes + 2), 0,
                                  buffer.address + sizeof(abi::UnicodeString)};
  VITRINE_TRY(call.space().write(header.buffer, std::as_bytes(std::span(name.c_str(), name.size() + 1))));
  return buffer.as<abi::UnicodeString>().write(call.space(), header);
}

u32 region_type(const mm::Vad& vad) {
  if (vad.is_private()) return abi::memory_region::kPrivate;
  if (vad.type() == mm::VadType::device_physical) return abi::memory_region::kMappedPhysical;
  if (vad.is_image()) return abi::memory_region::kMappedImage;
  const bool has_file = vad.view != nullptr && vad.view->segment->backing != nullptr;
  return has_file ? abi::memory_region::kMappedDataFile : abi::memory_region::kMappedPageFile;
}

Status query_region(Call call, mm::AddressSpace& space, Va address, Buffer buffer, u64 length,
                    UserPtr<u64> return_length) {
  if (length < abi::kMemoryRegionFirstForm) return Status::info_length_mismatch;
  const mm::Vad* vad = space.vads().find(address);
  if (vad == nullptr) return Status::invalid_address;
  abi::MemoryRegionInformation information{};
  information.allocation_base = vad->start();
  information.allocation_protect = mm::protection_to_win32(vad->protection());
  information.region_type = region_type(*vad);
  information.region_size = vad->end() - vad->start();
  information.commit_size = vad->commit_charge() << kPageShift;
  const auto bytes = std::as_bytes(std::span(&information, 1));
  return deliver(call, buffer, length, bytes.first(std::min<u64>(length, bytes.size())), return_length);
}

u64 working_set_attributes(mm::AddressSpace& space, Va address) {
  const mm::Pte pte = space.page_table().get(page_floor(address));
  if (!pte.is_valid()) return 0;
  u64 attributes = abi::working_set_ex::kValid;
  attributes |= u64{mm::protection_to_win32(pte.protection())} << abi::working_set_ex::kWin32ProtectionShift;
  if (pte.maps_prototype()) attributes |= abi::working_set_ex::kShared;
  return attributes | 1ull << abi::working_set_ex::kShareCountShift;
}

// The guest gives addresses and gets attributes in place.
Status query_working_set_ex(Call call, mm::AddressSpace& space, Buffer buffer, u64 length, UserPtr<u64> return_length) {
  using Entry = abi::MemoryWorkingSetExInformation;
  if (length < sizeof(Entry)) return Status::info_length_mismatch;
  const u64 count = length / sizeof(Entry);
  for (u64 i = 0; i < count; ++i) {
    const auto slot = buffer.as<Entry>().element(i);
    auto entry = slot.read(call.space());
    if (!entry) return entry.error();
    entry->attributes = working_set_attributes(space, entry->virtual_address);
    VITRINE_TRY(slot.write(call.space(), *entry));
  }
  return return_length ? return_length.write(call.space(), length) : Status::success;
}

// Wine's DLLs ask which functions their Unix half has, and hand the answer back with every call; ours is the module's
// base, so that the call finds its module. A module without a half here is told that the library is missing. [seen in
// Wine 8.0's user mode]
constexpr std::array<std::string_view, 5> kModulesWithUnixHalf{"bcrypt.dll", "crypt32.dll", "dnsapi.dll", "ntdll.dll",
                                                               "ws2_32.dll"};

Status query_unix_functions(Call call, mm::AddressSpace& space, Va address, Buffer buffer, u64 length) {
  if (length != sizeof(u64)) return Status::info_length_mismatch;
  const std::string name = exported_module_name(space, address);
  if (std::ranges::find(kModulesWithUnixHalf, name) == kModulesWithUnixHalf.end()) return Status::dll_not_found;
  return buffer.as<u64>().write(call.space(), address);
}

}  // namespace

Status nt_query_virtual_memory(Call call, Handle process_handle, Va address, u32 information_class, Buffer buffer,
                               u64 length, UserPtr<u64> return_length) {
  switch (static_cast<Class>(information_class)) {
    case Class::basic:
    case Class::mapped_file_name:
    case Class::region:
    case Class::working_set_ex:
    case Class::wine_unix_functions:
      break;
    default:
      return Status::invalid_info_class;
  }
  const auto process = reference_space(call, process_handle, ps::process_access::kQueryInformation);
  if (!process) return process.error();
  mm::AddressSpace& space = *(*process)->space;
  switch (static_cast<Class>(information_class)) {
    case Class::basic:
      return query_basic(call, space, address, buffer, length, return_length);
    case Class::mapped_file_name:
      return query_file_name(call, space, address, buffer, length, return_length);
    case Class::region:
      return query_region(call, space, address, buffer, length, return_length);
    case Class::working_set_ex:
      return query_working_set_ex(call, space, buffer, length, return_length);
    default:
      break;
  }
  if (process->get() != &call.process()) return Status::invalid_handle;
  return query_unix_functions(call, space, address, buffer, length);
}

Status nt_are_mapped_files_the_same(Call call, Va first, Va second) {
  const mm::VadTree& vads = call.space().vads();
  const mm::Vad* one = vads.find(first);
  const mm::Vad* two = vads.find(second);
  if (one == nullptr || two == nullptr) return Status::invalid_address;
  const auto is_view = [](const mm::Vad& vad) { return !vad.is_private() && vad.shadow_ == 0 && vad.view != nullptr; };
  if (!is_view(*one) || !is_view(*two)) return Status::conflicting_addresses;
  const mm::Segment& a = *one->view->segment;
  const mm::Segment& b = *two->view->segment;
  if (&a == &b) return Status::success;
  const bool same_file = a.backing != nullptr && b.backing != nullptr && a.identity == b.identity;
  return same_file ? Status::success : Status::not_same_device;
}

}  // namespace vitrine::nt
