#include "io/host_error.h"

#include <cerrno>

namespace vitrine::io {

Status status_from_errno(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:  // a folder that the host itself mounted read-only looks like one we mounted so
      return Status::access_denied;
    case ENOENT:
    case ELOOP:  // a link to nowhere that we may go: it does not exist for the guest
      return Status::object_name_not_found;
    case ENOTDIR:
      return Status::object_path_not_found;
    case EEXIST:
      return Status::object_name_collision;
    case EISDIR:
      return Status::file_is_a_directory;
    case ENOTEMPTY:
      return Status::directory_not_empty;
    case ENOSPC:
    case EDQUOT:
      return Status::disk_full;
    case EFBIG:
      return Status::disk_full;  // NT: a file system whose files cannot grow further says disk full
    case ENAMETOOLONG:
      return Status::name_too_long;
    case EMFILE:
    case ENFILE:
      return Status::too_many_opened_files;
    case ENOMEM:
    case ENOBUFS:
      return Status::insufficient_resources;
    case EXDEV:
      return Status::not_same_device;
    case EPIPE:
    case ECONNRESET:
      return Status::pipe_broken;
    case ETXTBSY:
      return Status::sharing_violation;
    case EBUSY:
      return Status::device_busy;
    case EMLINK:
      return Status::too_many_links;
    case EINVAL:
      return Status::invalid_parameter;
    case ENODEV:
    case ENXIO:
      return Status::no_such_device;
    case EIO:
      return Status::io_device_error;
    case EOPNOTSUPP:
    case ENOSYS:
      return Status::not_supported;
    default:
      return Status::unexpected_io_error;
  }
}

}  // namespace vitrine::io
