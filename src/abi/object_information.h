// What NtQueryObject, NtQueryDirectoryObject and security descriptors look like to a 64-bit guest.
// [ntifs.h and winternl.h, public WDK headers; OBJECT_TYPE_INFORMATION as public symbols have it]
#pragma once

#include <array>

#include "abi/strings.h"

namespace vitrine::abi {

enum class ObjectInformationClass : u32 { basic, name, type, all_types, handle_flags };

struct ObjectBasicInformation {
  u32 attributes, granted_access, handle_count, pointer_count;
  u32 paged_pool_usage, nonpaged_pool_usage;  // bytes
  std::array<u32, 3> reserved;
  u32 name_information_size, type_information_size, security_descriptor_size;  // bytes
  i64 creation_time;
};
static_assert(sizeof(ObjectBasicInformation) == 56);

struct ObjectTypeInformation {
  UnicodeString type_name;
  u32 total_objects, total_handles;
  std::array<u32, 4> pool_usage;
  u32 high_water_objects, high_water_handles;
  std::array<u32, 4> high_water_usage;
  u32 invalid_attributes;
  std::array<u32, 4> generic_mapping;
  u32 valid_access_mask;
  u8 security_required, maintain_handle_count, type_index, reserved;
  u32 pool_type, default_paged_pool_charge, default_nonpaged_pool_charge;
};
static_assert(sizeof(ObjectTypeInformation) == 104);

struct ObjectHandleFlagInformation { u8 inherit, protect_from_close; };

struct ObjectDirectoryInformation { UnicodeString name, type_name; };
static_assert(sizeof(ObjectDirectoryInformation) == 32);

// SECURITY_DESCRIPTOR: offsets when self-relative, addresses otherwise.
inline constexpr u16 kDaclPresent = 0x0004, kSaclPresent = 0x0010, kSelfRelative = 0x8000;
struct SelfRelativeDescriptor {
  u8 revision, reserved;
  u16 control;
  u32 owner, group, sacl, dacl;
};
static_assert(sizeof(SelfRelativeDescriptor) == 20);
struct AbsoluteDescriptor {
  u8 revision, reserved;
  u16 control;
  u32 padding;
  Va owner, group, sacl, dacl;
};
static_assert(sizeof(AbsoluteDescriptor) == 40);

}  // namespace vitrine::abi
