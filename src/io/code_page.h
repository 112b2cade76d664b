// The code pages that a console's byte output and input may be in: UTF-8 (65001), OEM United States (437, the default),
// Latin 1 of Windows (1252) and ASCII (20127). Others are taken as 1252.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace vitrine::io {

inline constexpr u32 kCodePageOem = 437, kCodePageWindows = 1252, kCodePageAscii = 20127, kCodePageUtf8 = 65001;

[[nodiscard]] bool is_known_code_page(u32 code_page);
// `partial` carries an unfinished UTF-8 sequence from one call to the next.
[[nodiscard]] std::u16string decode(u32 code_page, std::span<const u8> bytes, std::string* partial);
// What the code page lacks becomes '?'.
[[nodiscard]] std::string encode(u32 code_page, std::u16string_view text);

}  // namespace vitrine::io
