// Counted strings and object attributes as a 64-bit guest lays them out. [winternl.h / ntdef.h, public WDK headers]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

struct UnicodeString {  // UNICODE_STRING
  u16 length;           // bytes
  u16 maximum_length;   // bytes
  u32 padding;
  Va buffer;
};
static_assert(sizeof(UnicodeString) == 16);

struct ObjectAttributes {  // OBJECT_ATTRIBUTES
  u32 length;
  u32 padding0;
  u64 root_directory;
  Va object_name;  // UNICODE_STRING
  u32 attributes;
  u32 padding1;
  Va security_descriptor;
  Va security_quality_of_service;
};
static_assert(sizeof(ObjectAttributes) == 48);

struct ClientId {  // CLIENT_ID
  u64 unique_process;
  u64 unique_thread;
};
static_assert(sizeof(ClientId) == 16);

struct IoStatusBlock {  // IO_STATUS_BLOCK
  u32 status;
  u32 padding;
  u64 information;
};
static_assert(sizeof(IoStatusBlock) == 16);

struct ListEntry {  // LIST_ENTRY
  Va flink;
  Va blink;
};
static_assert(sizeof(ListEntry) == 16);

}  // namespace vitrine::abi
