// KeyNode: one registry key: its name, values and subkeys, as plain host data. [WI6 ch. 4 "The Registry"]
//
// A node owns its subkeys and values. It stays allocated after deletion for as long as a KeyObject refers to it.
// NT keeps the content in hive cells of a mapped file, which is not pool; so only KeyObjects are booked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::cm {

// REG_* value types that the kernel itself looks at; any number is stored.
inline constexpr u32 kTypeNone = 0, kTypeString = 1, kTypeExpandString = 2, kTypeBinary = 3, kTypeDword = 4,
                     kTypeLink = 6, kTypeMultiString = 7;

// REG_OPTION_*
namespace key_options {
inline constexpr u32 kVolatile = 1;
inline constexpr u32 kCreateLink = 2;
inline constexpr u32 kBackupRestore = 4;
inline constexpr u32 kOpenLink = 8;
inline constexpr u32 kValid = 0xF;
}  // namespace key_options

// Limits [Microsoft: Registry Element Size Limits]; the last two are this machine's own bounds on a hostile guest.
inline constexpr u32 kMaximumKeyNameUnits = 255;
inline constexpr u32 kMaximumValueNameUnits = 16'383;
inline constexpr u32 kMaximumKeyDepth = 512;
inline constexpr u32 kMaximumValueBytes = 1u << 24;
inline constexpr u64 kMaximumRegistryBytes = 1ull << 28;

struct KeyValue {
  std::u16string name;  // empty: the default value
  u32 type = kTypeNone;
  std::vector<std::byte> data;
};

struct KeyNode {
  std::u16string name;
  std::u16string key_class;
  KeyNode* parent = nullptr;                      // null: \Registry itself, or deleted
  std::vector<std::unique_ptr<KeyNode>> subkeys;  // sorted by upcased name, as NT enumerates them
  std::vector<KeyValue> values;                   // in the order of creation, as NT enumerates them
  i64 last_write = 0;                             // system time, 100 ns
  u32 open_count = 0;                             // KeyObjects
  u16 depth = 0;                                  // \Registry: 0
  bool is_volatile = false;                       // not stored
  bool is_link = false;                           // its value SymbolicLinkValue says where to go
  bool deleted = false;                           // open_count keeps it allocated
};

}  // namespace vitrine::cm
