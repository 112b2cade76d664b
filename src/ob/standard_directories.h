// The directories that NT makes at boot and that programs expect. [WI6 ch. 3, WinObj]
#pragma once

#include "base/status.h"
#include "ob/object_manager.h"

namespace vitrine::ob {

// \GLOBAL?? (also as \?? and \DosDevices), \Device, \Driver, \FileSystem, \BaseNamedObjects, \KernelObjects,
// \Sessions\1 with BaseNamedObjects and DosDevices, \Windows, \RPC Control, \Security, \Callback, \NLS, and the links
// Global, Local and Session inside the BaseNamedObjects directories. Wine 8.0 has no \KnownDlls, so there is none.
// Errors: those of make_directory.
[[nodiscard]] Status make_standard_directories(ObjectManager& objects);

}  // namespace vitrine::ob
