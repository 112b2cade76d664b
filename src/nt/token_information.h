// The two services of token_information.cpp, for the table in token_services.cpp.
#pragma once

#include "nt/capture.h"

namespace vitrine::nt {

[[nodiscard]] Status nt_query_information_token(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                                                UserPtr<u32> return_length);
[[nodiscard]] Status nt_set_information_token(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length);

}  // namespace vitrine::nt
