// Numbers that file services take: access masks, share modes, dispositions, create options, attributes, information
// classes, control codes. [wdm.h, ntifs.h, winioctl.h: public WDK headers]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

// Access rights of a file or directory object.
inline constexpr u32 kFileReadData = 0x0001;         // directory: list
inline constexpr u32 kFileWriteData = 0x0002;        // directory: add a file
inline constexpr u32 kFileAppendData = 0x0004;       // directory: add a folder; pipe: create an instance
inline constexpr u32 kFileReadEa = 0x0008;
inline constexpr u32 kFileWriteEa = 0x0010;
inline constexpr u32 kFileExecute = 0x0020;          // directory: traverse
inline constexpr u32 kFileDeleteChild = 0x0040;
inline constexpr u32 kFileReadAttributes = 0x0080;
inline constexpr u32 kFileWriteAttributes = 0x0100;
inline constexpr u32 kFileDelete = 0x00010000;       // DELETE, the standard right
inline constexpr u32 kFileGenericRead = 0x00120089;
inline constexpr u32 kFileGenericWrite = 0x00120116;
inline constexpr u32 kFileGenericExecute = 0x001200A0;
inline constexpr u32 kFileAllAccess = 0x001F01FF;

inline constexpr u32 kFileShareRead = 1;
inline constexpr u32 kFileShareWrite = 2;
inline constexpr u32 kFileShareDelete = 4;

enum class CreateDisposition : u32 { supersede, open, create, open_if, overwrite, overwrite_if };
inline constexpr u32 kCreateDispositionMaximum = 5;

// What a create did; the information of its status block.
enum class CreateAction : u32 { superseded, opened, created, overwritten, exists, does_not_exist };

// Create options.
inline constexpr u32 kFileDirectoryFile = 0x00000001;
inline constexpr u32 kFileWriteThrough = 0x00000002;
inline constexpr u32 kFileSequentialOnly = 0x00000004;
inline constexpr u32 kFileNoIntermediateBuffering = 0x00000008;
inline constexpr u32 kFileSynchronousIoAlert = 0x00000010;
inline constexpr u32 kFileSynchronousIoNonalert = 0x00000020;
inline constexpr u32 kFileNonDirectoryFile = 0x00000040;
inline constexpr u32 kFileCreateTreeConnection = 0x00000080;
inline constexpr u32 kFileNoEaKnowledge = 0x00000200;
inline constexpr u32 kFileRandomAccess = 0x00000800;
inline constexpr u32 kFileDeleteOnClose = 0x00001000;
inline constexpr u32 kFileOpenByFileId = 0x00002000;
inline constexpr u32 kFileOpenForBackupIntent = 0x00004000;
inline constexpr u32 kFileNoCompression = 0x00008000;
inline constexpr u32 kFileReserveOpfilter = 0x00100000;
inline constexpr u32 kFileOpenReparsePoint = 0x00200000;
inline constexpr u32 kFileOpenNoRecall = 0x00400000;
inline constexpr u32 kFileValidOptionFlags = 0x00FFFFFF;

inline constexpr u32 kFileAttributeReadonly = 0x0001;
inline constexpr u32 kFileAttributeHidden = 0x0002;
inline constexpr u32 kFileAttributeSystem = 0x0004;
inline constexpr u32 kFileAttributeDirectory = 0x0010;
inline constexpr u32 kFileAttributeArchive = 0x0020;
inline constexpr u32 kFileAttributeNormal = 0x0080;
inline constexpr u32 kFileAttributeTemporary = 0x0100;
inline constexpr u32 kFileAttributeReparsePoint = 0x0400;

// NtWriteFile: these two low parts with a high part of -1 are not offsets.
inline constexpr i64 kFileWriteToEndOfFile = -1;
inline constexpr i64 kFileUseFilePointerPosition = -2;

enum class FileInformationClass : u32 {
  directory = 1, full_directory, both_directory, basic, standard, internal, ea, access, name, rename, link, names,
  disposition, position, full_ea, mode, alignment, all, allocation, end_of_file, alternate_name, stream, pipe,
  pipe_local, pipe_remote, mailslot_query, mailslot_set, compression, object_id, completion, move_cluster, quota,
  reparse_point, network_open, attribute_tag, tracking, id_both_directory, id_full_directory, valid_data_length,
  short_name, io_completion_notification, io_status_block_range, io_priority_hint, sfio_reserve, sfio_volume,
  hard_link, process_ids_using_file, normalized_name, network_physical_name, id_global_tx_directory,
  is_remote_device, unused, numa_node, standard_link, remote_protocol, rename_bypass, link_bypass,
  volume_name, id, id_extd_directory, replace_completion, hard_link_full_id, id_extd_both_directory,
  disposition_ex, rename_ex,
  maximum,
};
static_assert(static_cast<u32>(FileInformationClass::network_open) == 34);
static_assert(static_cast<u32>(FileInformationClass::io_completion_notification) == 41);
static_assert(static_cast<u32>(FileInformationClass::normalized_name) == 48);
static_assert(static_cast<u32>(FileInformationClass::id) == 59);
static_assert(static_cast<u32>(FileInformationClass::replace_completion) == 61);
static_assert(static_cast<u32>(FileInformationClass::disposition_ex) == 64);
static_assert(static_cast<u32>(FileInformationClass::rename_ex) == 65);

enum class VolumeInformationClass : u32 { volume = 1, label, size, device, attribute, control, full_size, object_id };

enum class DeviceType : u32 {
  cd_rom = 2, disk = 7, disk_file_system = 8, named_pipe = 0x11, null = 0x15, unknown = 0x22, console = 0x50,
};
inline constexpr u32 kDeviceIsMounted = 0x20;  // FILE_DEVICE_IS_MOUNTED
inline constexpr u32 kDeviceReadOnly = 0x02;   // FILE_READ_ONLY_DEVICE

// Bits of FILE_IO_COMPLETION_NOTIFICATION_INFORMATION.
inline constexpr u32 kSkipCompletionPortOnSuccess = 1;
inline constexpr u32 kSkipSetEventOnHandle = 2;
inline constexpr u32 kSkipSetUserEventOnFastIo = 4;

// Disposition-ex and rename-ex flags.
inline constexpr u32 kDispositionDelete = 0x01;
inline constexpr u32 kDispositionPosixSemantics = 0x02;
inline constexpr u32 kDispositionOnClose = 0x08;
inline constexpr u32 kDispositionIgnoreReadonly = 0x10;
inline constexpr u32 kRenameReplaceIfExists = 0x01;
inline constexpr u32 kRenamePosixSemantics = 0x02;
inline constexpr u32 kRenameIgnoreReadonly = 0x40;

// NtLockFile / NtQueryDirectoryFileEx flags.
inline constexpr u32 kQueryDirectoryRestartScan = 1;
inline constexpr u32 kQueryDirectoryReturnSingleEntry = 2;

// CTL_CODE(device, function, method, access) = device << 16 | access << 14 | function << 2 | method.
enum class FsControl : u32 {
  request_oplock = 0x00090240,
  lock_volume = 0x00090018,
  unlock_volume = 0x0009001C,
  dismount_volume = 0x00090020,
  is_volume_mounted = 0x00090028,
  get_compression = 0x0009003C,
  set_compression = 0x0009C040,
  set_object_id = 0x00090098,
  get_object_id = 0x0009009C,
  create_or_get_object_id = 0x000900C0,
  set_reparse_point = 0x000900A4,
  get_reparse_point = 0x000900A8,
  delete_reparse_point = 0x000900AC,
  set_sparse = 0x000900C4,
  set_zero_data = 0x000980C8,
  query_allocated_ranges = 0x000940CF,
  pipe_disconnect = 0x00110004,
  pipe_listen = 0x00110008,
  pipe_peek = 0x0011400C,
  pipe_transceive = 0x0011C017,
  pipe_wait = 0x00110018,
  pipe_impersonate = 0x0011001C,
};

// Named pipes: NtCreateNamedPipeFile.
inline constexpr u32 kPipeByteStreamType = 0, kPipeMessageType = 1;      // type
inline constexpr u32 kPipeRejectRemoteClients = 2;
inline constexpr u32 kPipeByteStreamMode = 0, kPipeMessageMode = 1;      // read mode
inline constexpr u32 kPipeQueueOperation = 0, kPipeCompleteOperation = 1;  // completion mode
enum class PipeConfiguration : u32 { inbound, outbound, full_duplex };
enum class PipeState : u32 { disconnected = 1, listening, connected, closing };
inline constexpr u32 kPipeClientEnd = 0, kPipeServerEnd = 1;

// NtNotifyChangeDirectoryFile [winnt.h FILE_NOTIFY_CHANGE_xxx, FILE_ACTION_xxx].
inline constexpr u32 kNotifyFileName = 0x1, kNotifyDirectoryName = 0x2, kNotifyAttributes = 0x4, kNotifySize = 0x8,
                     kNotifyLastWrite = 0x10, kNotifyLastAccess = 0x20, kNotifyCreation = 0x40;
enum class NotifyAction : u32 { added = 1, removed, modified, renamed_old_name, renamed_new_name };

}  // namespace vitrine::abi
