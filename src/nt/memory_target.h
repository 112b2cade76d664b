// The process that a memory, section, thread or process service works on, with the checks that all of them share.
#pragma once

#include <string>

#include "nt/capture.h"
#include "ps/access.h"

namespace vitrine::nt {

// References the process behind `handle` with a user address space that may still be changed.
// Errors: invalid_handle, object_type_mismatch, access_denied (also the System process), process_is_terminating.
[[nodiscard]] Result<ob::Ref<ps::Process>> reference_space(Call call, Handle handle, u32 access);

// The name in the export directory of the image mapped at `base`, in lower case; empty when there is none. Reads guest
// memory and believes nothing of it.
[[nodiscard]] std::string exported_module_name(mm::AddressSpace& space, Va base);

}  // namespace vitrine::nt
