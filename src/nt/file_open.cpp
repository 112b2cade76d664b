#include "nt/file_open.h"

namespace vitrine::nt {

Result<FileName> capture_file_name(Call call, UserPtr<ObjectAttributes> attributes) {
  if (attributes.is_null()) return Failure(Status::invalid_parameter);
  auto captured = capture_attributes(call, attributes);
  if (!captured) return Failure(captured.error());
  FileName name{{}, std::move(captured->name), captured->attributes};
  if (!captured->root) return name;
  if (&captured->root->type() == &call->io.file_type()) {
    name.root = ob::ref_cast<io::FileObject>(std::move(captured->root));
    return name;
  }
  auto directory = call->objects.query_name(*captured->root);
  if (!directory) return Failure(directory.error());
  if (!name.path.empty()) *directory += u'\\';
  name.path = *directory + name.path;
  return name;
}

Status open_file(Call call, FileOpening opening) {
  VITRINE_TRY(call.space().probe(opening.handle.address, sizeof(Handle), 1, true));
  VITRINE_TRY(call.space().probe(opening.io_status.address, sizeof(abi::IoStatusBlock), 4, true));
  const auto name = capture_file_name(call, opening.attributes);
  if (!name) return name.error();
  opening.parameters.case_sensitive = (name->attributes & abi::obj::kCaseInsensitive) == 0;
  const auto opened = call->io.open_path(name->root.get(), name->path, opening.parameters);
  if (!opened) return opened.error();
  const auto handle = call.process().handles->insert(*opened->file, opened->file->access,
                                                     static_cast<u8>(name->attributes & abi::obj::kInherit));
  if (!handle) return handle.error();
  VITRINE_TRY(return_handle(call, opening.handle, *handle));
  return opening.io_status.write(call.space(), {0, 0, static_cast<u64>(opened->action)});
}

}  // namespace vitrine::nt
