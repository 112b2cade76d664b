// The two queries of system_information.cpp, for the table in system_services.cpp.
#pragma once

#include "nt/capture.h"

namespace vitrine::nt {

[[nodiscard]] Status nt_query_system_information(Call call, u32 information_class, Buffer buffer, u32 length,
                                                 UserPtr<u32> return_length);
[[nodiscard]] Status nt_query_system_information_ex(Call call, u32 information_class, Buffer query, u32 query_length,
                                                    Buffer buffer, u32 length, UserPtr<u32> return_length);

}  // namespace vitrine::nt
