// KEY_*_INFORMATION and KEY_VALUE_*_INFORMATION as a guest lays them out; a structure with a name or data at its end stops
// where that starts. [wdm.h, public WDK header]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

enum class KeyInformationClass : u32 { basic, node, full, name, cached, flags, virtualization, handle_tags, trust, layer };
enum class KeyValueInformationClass : u32 { basic, full, partial, full_align64, partial_align64, layer };
enum class KeySetInformationClass : u32 {
  write_time, wow64_flags, control_flags, set_virtualization, set_debug, set_handle_tags, set_layer,
};

struct KeyBasicInformation {
  i64 last_write_time;
  u32 title_index;
  u32 name_length;  // bytes; then the name
};
static_assert(sizeof(KeyBasicInformation) == 16);

struct KeyNodeInformation {
  i64 last_write_time;
  u32 title_index;
  u32 class_offset;  // ~0: none
  u32 class_length;
  u32 name_length;  // then the name, then the class
};
static_assert(sizeof(KeyNodeInformation) == 24);

#pragma pack(push, 4)
struct KeyFullInformation {
  i64 last_write_time;
  u32 title_index;
  u32 class_offset;
  u32 class_length;
  u32 subkeys, maximum_name_length, maximum_class_length;
  u32 values, maximum_value_name_length, maximum_value_data_length;  // then the class
};
static_assert(sizeof(KeyFullInformation) == 44);
#pragma pack(pop)

struct KeyCachedInformation {
  i64 last_write_time;
  u32 title_index;
  u32 subkeys, maximum_name_length, values, maximum_value_name_length, maximum_value_data_length;
  u32 name_length;
  u32 padding;
};
static_assert(sizeof(KeyCachedInformation) == 40);

struct KeyNameInformation { u32 name_length; };  // then the full path
struct KeyFlagsInformation { u32 wow64_flags, key_flags, control_flags; };
inline constexpr u32 kKeyFlagVolatile = 1, kKeyFlagSymbolicLink = 2;
struct KeyHandleTagsInformation { u32 handle_tags; };

struct KeyValueBasicInformation { u32 title_index, type, name_length; };                           // then the name
struct KeyValueFullInformation { u32 title_index, type, data_offset, data_length, name_length; };  // name, then data
struct KeyValuePartialInformation { u32 title_index, type, data_length; };                         // then data
struct KeyValuePartialInformationAlign64 { u32 type, data_length; };                               // then data

struct KeyValueEntry {  // KEY_MULTIPLE_VALUE_INFORMATION
  u64 value_name;       // in: UNICODE_STRING
  u32 data_length, data_offset, type;
  u32 padding;
};
static_assert(sizeof(KeyValueEntry) == 24);

}  // namespace vitrine::abi
