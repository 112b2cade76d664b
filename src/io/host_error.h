// The one table from errors of the host to statuses of the guest.
#pragma once

#include "base/status.h"

namespace vitrine::io {

// `error` is an errno value, not 0. What has no line is unexpected_io_error.
[[nodiscard]] Status status_from_errno(int error);

}  // namespace vitrine::io
