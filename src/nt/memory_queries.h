// Questions about an address space; part of the memory family (memory_services.cpp has the table).
#pragma once

#include "nt/capture.h"

namespace vitrine::nt {

[[nodiscard]] Status nt_query_virtual_memory(Call call, Handle process, Va address, u32 information_class,
                                             Buffer buffer, u64 length, UserPtr<u64> return_length);
[[nodiscard]] Status nt_are_mapped_files_the_same(Call call, Va first, Va second);

}  // namespace vitrine::nt
