// Directory and SymbolicLink objects, the two types that make the namespace. [WI6 ch. 3]
//
// NT keeps a directory's entries in 37 hash buckets; here they are ordered by upcased name, then by exact name, so that
// enumeration is the same everywhere. A directory references its entries.
#pragma once

#include <map>
#include <string>

#include "ob/object.h"

namespace vitrine::ob {

struct DirectoryKey {
  std::u16string upcased;
  std::u16string name;
  auto operator<=>(const DirectoryKey&) const = default;
};

struct DirectoryObject : Object {
  std::map<DirectoryKey, Object*> entries;
  // NT: a shadow directory is searched when a name is missing: \Sessions\1\DosDevices\... over \GLOBAL??. Null: none.
  // Referenced.
  Ref<DirectoryObject> shadow;

  // Null when there is none; the shadow is not searched. Case-insensitive: the first of several that differ in case.
  [[nodiscard]] Object* find(std::u16string_view name, bool ignore_case) const;
};

struct SymbolicLinkObject : Object {
  std::u16string target;       // absolute
  ex::PoolBlock target_block;  // its characters, tag "ObSt"
};

}  // namespace vitrine::ob
