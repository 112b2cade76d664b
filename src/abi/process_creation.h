// What NtCreateUserProcess takes: attribute numbers, flags, PS_CREATE_INFO. [winternl.h; phnt headers' public numbers]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

// PS_ATTRIBUTE_NUM: the low 16 bits of PsAttribute::attribute; the flags above say input, thread or additive.
enum class PsAttributeNumber : u16 {
  parent_process = 0, debug_port = 1, token = 2, client_id = 3, teb_address = 4, image_name = 5, image_information = 6,
  memory_reserve = 7, priority_class = 8, error_mode = 9, standard_handles = 10, handle_list = 11, group_affinity = 12,
  preferred_node = 13, ideal_processor = 14, mitigation_options = 16, protection_level = 17, secure_process = 18,
  job_list = 19, child_process_policy = 20, all_application_packages = 21, win32k_filter = 22, machine_type = 25,
};

namespace process_create_flags {
inline constexpr u32 kBreakaway = 0x1, kNoDebugInherit = 0x2, kInheritHandles = 0x4, kSuspended = 0x200;
}
namespace thread_create_flags {
inline constexpr u32 kSuspended = 0x1;
}

// PS_CREATE_INFO: only its beginning matters to a caller that asks for no image handles back.
struct PsCreateInfo {
  u64 size;
  u32 state;
  u32 padding;
};
static_assert(sizeof(PsCreateInfo) == 16);
// PS_CREATE_STATE
inline constexpr u32 kCreateFailedOnFileOpen = 1, kCreateFailedOnSection = 2, kCreateSucceeded = 6;

}  // namespace vitrine::abi
