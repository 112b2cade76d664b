// Reading single values for the kernel's own use.
#pragma once

#include <cstring>
#include <optional>

#include "cm/registry.h"
#include "ex/unicode.h"

namespace vitrine::cm {

// The value of the key at `path` (absolute, links not followed); null: no such key or value.
[[nodiscard]] inline const KeyValue* read_value(const Registry& registry, std::u16string_view path, std::u16string_view name) {
  const KeyNode* const node = registry.find(path);
  if (node == nullptr) return nullptr;
  for (const KeyValue& value : node->values) {
    if (ex::equal_ignoring_case(value.name, name)) return &value;
  }
  return nullptr;
}

// nullopt: there is none, or it is no REG_DWORD.
[[nodiscard]] inline std::optional<u32> read_dword(const Registry& registry, std::u16string_view path, std::u16string_view name) {
  const KeyValue* const found = read_value(registry, path, name);
  u32 value = 0;
  if (found == nullptr || found->type != kTypeDword || found->data.size() != sizeof value) return std::nullopt;
  std::memcpy(&value, found->data.data(), sizeof value);
  return value;
}

// A REG_SZ up to its end; empty: there is none, or it is no text.
[[nodiscard]] inline std::u16string read_text(const Registry& registry, std::u16string_view path, std::u16string_view name) {
  const KeyValue* const found = read_value(registry, path, name);
  if (found == nullptr || found->type != kTypeString) return {};
  std::u16string text(found->data.size() / 2, u'\0');
  std::memcpy(text.data(), found->data.data(), text.size() * 2);
  return text.substr(0, text.find(u'\0'));
}

}  // namespace vitrine::cm
