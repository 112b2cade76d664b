// Opening files for services: object attributes to a path, the open itself, and the handle.
#pragma once

#include "nt/capture.h"

namespace vitrine::nt {

// A file name as the I/O manager takes it: relative to an open file, or absolute.
struct FileName {
  ob::Ref<io::FileObject> root;  // null: `path` is absolute
  std::u16string path;
  u32 attributes = 0;            // OBJ_*
};
// Names relative to a directory of the object namespace become absolute. Errors: those of capture_attributes.
[[nodiscard]] Result<FileName> capture_file_name(Call call, UserPtr<ObjectAttributes> attributes);

// Arguments that NtCreateFile, NtOpenFile and NtCreateNamedPipeFile share.
struct FileOpening {
  UserPtr<Handle> handle;
  UserPtr<ObjectAttributes> attributes;
  UserPtr<abi::IoStatusBlock> io_status;
  io::CreateParameters parameters;
};
// Probes, opens, makes the handle and fills in the status block with what was done.
[[nodiscard]] Status open_file(Call call, FileOpening opening);

}  // namespace vitrine::nt
