// FILE_*_INFORMATION as a 64-bit guest lays them out. A structure with a name at its end stops where the name starts.
// [ntifs.h, wdm.h: public WDK headers]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

struct FileBasicInformation {
  i64 creation_time, last_access_time, last_write_time, change_time;  // 100 ns since 1601; on set 0 and -1 mean "keep"
  u32 attributes;
  u32 padding;
};
static_assert(sizeof(FileBasicInformation) == 40);

struct FileStandardInformation {
  i64 allocation_size, end_of_file;
  u32 number_of_links;
  u8 delete_pending, directory;
  u16 padding;
};
static_assert(sizeof(FileStandardInformation) == 24);

struct FileInternalInformation { u64 index_number; };
struct FileEaInformation { u32 ea_size; };
struct FileAccessInformation { u32 access_flags; };
struct FilePositionInformation { i64 current_byte_offset; };
struct FileModeInformation { u32 mode; };
struct FileAlignmentInformation { u32 alignment_requirement; };
struct FileNameInformation { u32 name_length; };  // bytes; then the name
inline constexpr u32 kFileNameInformationNameOffset = 4;

struct FileAllInformation {
  FileBasicInformation basic;
  FileStandardInformation standard;
  FileInternalInformation internal;
  FileEaInformation ea;
  FileAccessInformation access;
  FilePositionInformation position;
  FileModeInformation mode;
  FileAlignmentInformation alignment;
  FileNameInformation name;
};
static_assert(sizeof(FileAllInformation) == 104);
inline constexpr u32 kFileAllInformationNameOffset = 100;

struct FileNetworkOpenInformation {
  i64 creation_time, last_access_time, last_write_time, change_time, allocation_size, end_of_file;
  u32 attributes;
  u32 padding;
};
static_assert(sizeof(FileNetworkOpenInformation) == 56);

struct FileAttributeTagInformation { u32 attributes, reparse_tag; };
struct FileStreamInformation {
  u32 next_entry_offset, stream_name_length;
  i64 stream_size, stream_allocation_size;
};
inline constexpr u32 kFileStreamInformationNameOffset = 24;

struct FileIdInformation {
  u64 volume_serial_number;
  u8 file_id[16];
};
static_assert(sizeof(FileIdInformation) == 24);

struct FileIoCompletionNotificationInformation { u32 flags; };

// Set classes.
struct FileDispositionInformation { u8 delete_file; };
struct FileDispositionInformationEx { u32 flags; };
struct FileEndOfFileInformation { i64 end_of_file; };
struct FileAllocationInformation { i64 allocation_size; };
struct FileRenameInformation {  // also FILE_LINK_INFORMATION and the -Ex form
  u32 flags;                    // the first byte is ReplaceIfExists in the old form
  u32 padding;
  u64 root_directory;
  u32 file_name_length;         // bytes; then the name
};
inline constexpr u32 kFileRenameInformationNameOffset = 20;
struct FileCompletionInformation { u64 port, key; };
static_assert(sizeof(FileCompletionInformation) == 16);

struct FilePipeInformation { u32 read_mode, completion_mode; };
struct FilePipeLocalInformation {
  u32 named_pipe_type, named_pipe_configuration, maximum_instances, current_instances, inbound_quota,
      read_data_available, outbound_quota, write_quota_available, named_pipe_state, named_pipe_end;
};
static_assert(sizeof(FilePipeLocalInformation) == 40);
struct FilePipePeekBuffer { u32 named_pipe_state, read_data_available, number_of_messages, message_length; };
static_assert(sizeof(FilePipePeekBuffer) == 16);
struct FilePipeWaitForBuffer {
  i64 timeout;
  u32 name_length;
  u8 timeout_specified;
};
inline constexpr u32 kFilePipeWaitNameOffset = 14;  // FIELD_OFFSET(Name): a flag byte and one byte of padding

// Volume classes.
struct FileFsVolumeInformation {
  i64 creation_time;
  u32 serial_number, label_length;
  u8 supports_objects;
};
inline constexpr u32 kFileFsVolumeLabelOffset = 18;
struct FileFsSizeInformation {
  i64 total_allocation_units, available_allocation_units;
  u32 sectors_per_allocation_unit, bytes_per_sector;
};
static_assert(sizeof(FileFsSizeInformation) == 24);
struct FileFsFullSizeInformation {
  i64 total_allocation_units, caller_available_allocation_units, actual_available_allocation_units;
  u32 sectors_per_allocation_unit, bytes_per_sector;
};
static_assert(sizeof(FileFsFullSizeInformation) == 32);
struct FileFsDeviceInformation { u32 device_type, characteristics; };
struct FileFsAttributeInformation {
  u32 attributes, maximum_component_name_length, name_length;
};
inline constexpr u32 kFileFsAttributeNameOffset = 12;
inline constexpr u32 kFsCaseSensitiveSearch = 1, kFsCasePreservedNames = 2, kFsUnicodeOnDisk = 4,
                     kFsPersistentAcls = 8, kFsReadOnlyVolume = 0x00080000;

// The fixed start of every directory entry except the names class.
struct FileDirectoryEntry {
  u32 next_entry_offset, file_index;
  i64 creation_time, last_access_time, last_write_time, change_time, end_of_file, allocation_size;
  u32 attributes, file_name_length;
};
static_assert(sizeof(FileDirectoryEntry) == 64);
inline constexpr u32 kDirectoryNameOffset = 64;             // class 1
inline constexpr u32 kFullDirectoryNameOffset = 68;         // class 2: + ea size
inline constexpr u32 kBothDirectoryNameOffset = 94;         // class 3: + ea size, short name length, 12 characters
inline constexpr u32 kNamesNameOffset = 12;                 // class 12
inline constexpr u32 kIdBothDirectoryNameOffset = 104;      // class 37: id at 96
inline constexpr u32 kIdFullDirectoryNameOffset = 80;       // class 38: id at 72
inline constexpr u32 kIdGlobalTxDirectoryNameOffset = 92;   // class 50: id, GUID, flags
inline constexpr u32 kIdExtdDirectoryNameOffset = 88;       // class 60: ea size, reparse tag, 16-byte id
inline constexpr u32 kIdExtdBothDirectoryNameOffset = 114;  // class 63

}  // namespace vitrine::abi
