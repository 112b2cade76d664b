// Case mapping of UTF-16 names, as the object manager and the registry compare them. One code unit at a time, as
// RtlUpcaseUnicodeChar does: surrogates map to themselves, one unit never becomes two.
#pragma once

#include <string>
#include <string_view>

#include "base/types.h"

namespace vitrine::ex {

[[nodiscard]] char16_t upcase(char16_t unit);
[[nodiscard]] std::u16string upcase(std::u16string_view text);
[[nodiscard]] bool equal_ignoring_case(std::u16string_view left, std::u16string_view right);
// Negative, zero or positive, by upcased code units, shorter first.
[[nodiscard]] int compare_ignoring_case(std::u16string_view left, std::u16string_view right);

// For messages and text files: every unit survives the round trip (lone surrogates become three-byte sequences, WTF-8).
[[nodiscard]] std::string to_utf8(std::u16string_view text);
// Ill-formed sequences become U+FFFD.
[[nodiscard]] std::u16string from_utf8(std::string_view text);

}  // namespace vitrine::ex
