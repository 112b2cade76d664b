// Structure: the description of one of NT's structures as data: its fields, each with how to read its value from our
// records, one line of meaning, and its source; or, instead of a reader, the reason why it cannot exist or change here.
// Offsets and sizes are not here but in layouts.h, because they differ by profile and come from elsewhere.
//
// A reader is a function without state over (target, record). What a structure describes is one type T; the table is
// type-erased, `Structure::find` hands out what its readers take.
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kd/target.h"

namespace vitrine::kd {

// What a structure's readers look at: a record of the machine, or a view made for the look. Shared so that a view has
// an owner; a record of the machine is only borrowed.
using Record = std::shared_ptr<const void>;
using FoundRecord = std::expected<Record, std::string>;  // the error is one line
[[nodiscard]] inline Record borrow(const void* record) { return {std::shared_ptr<const void>(), record}; }

struct Field {
  std::string_view name;                                                    // NT's
  std::string_view meaning;                                                 // one line
  std::string (*read)(const Target& target, const void* record) = nullptr;  // null: see `absent`
  std::string_view absent{};  // why it cannot exist (no reader) or change (with one) here
};

// `reader`: a lambda without captures, (const Target&, const T&) -> std::string.
template <typename T, typename Reader>
[[nodiscard]] constexpr Field field(std::string_view name, std::string_view meaning, Reader) {
  return {name, meaning, [](const Target& target, const void* record) -> std::string {
            return Reader{}(target, *static_cast<const T*>(record));
          }};
}
[[nodiscard]] constexpr Field absent(std::string_view name, std::string_view meaning, std::string_view reason) {
  return {name, meaning, nullptr, reason};
}
// It has a value, which nothing here changes.
[[nodiscard]] constexpr Field unchanging(Field field, std::string_view reason) {
  field.absent = reason;
  return field;
}

struct Structure {
  std::string_view name;     // "KTHREAD"
  std::string_view meaning;  // one line
  std::string_view subject;  // what `dt NAME` takes: "THREAD", "PROCESS", "PROCESSOR", "OBJECT", "ADDRESS"
  std::span<const Field> fields;
  // The record that the text names. Empty text: the current one, where there is such a thing.
  FoundRecord (*find)(const Target& target, std::string_view text);
};

// All, by name.
[[nodiscard]] std::span<const Structure* const> structures();
// By name, any case, with or without a leading underscore; null: there is none.
[[nodiscard]] const Structure* find_structure(std::string_view name);

// Values as dt shows them.
[[nodiscard]] std::string number(i64 value);
[[nodiscard]] std::string flag(bool value);  // 0 or 1

// For find functions.
[[nodiscard]] FoundRecord find_ethread(const Target& target, std::string_view text);
[[nodiscard]] FoundRecord find_eprocess(const Target& target, std::string_view text);

}  // namespace vitrine::kd
