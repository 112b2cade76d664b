// Tokens by handle, pseudo handles included: NT 6.2 and later take -4 (the process's token), -5 (the thread's) and -6 (whichever
// is in effect) [winnt.h GetCurrentProcessToken, GetCurrentThreadToken, GetCurrentThreadEffectiveToken].
#pragma once

#include "nt/capture.h"

namespace vitrine::nt {

// Errors: invalid_handle, object_type_mismatch, access_denied, no_token (-5: no thread of ours impersonates).
[[nodiscard]] Result<ob::Ref<ps::TokenObject>> reference_token(Call call, Handle handle, u32 access);

// A token object with this content, and a handle to it with `access`. Errors: those of insert_new.
[[nodiscard]] Result<Handle> create_token(Call call, se::TokenData data, const ob::ObjectAttributes& attributes, u32 access);

}  // namespace vitrine::nt
