// Control codes of sockets. Their inputs hold addresses of guest memory and handles (METHOD_NEITHER); this makes them requests that the
// device understands: data gathered, handles referenced, and where each part of the answer goes (io/socket_device.h).
#pragma once

#include "nt/file_request.h"

namespace vitrine::nt {

// Precondition: `file` is one of the sockets device. Errors: access_violation, invalid_parameter, those of a handle; and the device's.
[[nodiscard]] Outcome socket_control(Call call, io::FileObject& file, const ControlArguments& arguments);

}  // namespace vitrine::nt
