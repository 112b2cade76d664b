// Names of files as NT's file systems take them: what a path and a component may look like, and how wildcards match.
#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"

namespace vitrine::io {

inline constexpr std::size_t kMaximumComponentUnits = 255;  // NTFS

// NT: no control characters, none of " * / : < > ? | and no backslash; not "." or ".." (user mode has resolved them);
// 1 to 255 units [MS-FSCC 2.1.5]. Reserved names (CON, NUL) and trailing dots are user mode's rules only.
[[nodiscard]] bool is_legal_component(std::u16string_view component);

struct SplitPath {
  std::vector<std::u16string_view> components;  // into the text given
  bool trailing_backslash = false;              // only a directory may be meant
};
// "\a\b\" or "a\b". object_name_invalid: an illegal or empty component. "" and "\" have no components.
[[nodiscard]] Result<SplitPath> split_path(std::u16string_view path);

// NT: FsRtlIsNameInExpression. `*` any run, `?` one unit, and DOS's own: `<` any run that stops before the last dot,
// `>` one unit or nothing at a dot or the end, `"` a dot or nothing at the end [MS-FSA 2.1.4.4]. Time is pattern times
// name.
[[nodiscard]] bool matches_expression(std::u16string_view pattern, std::u16string_view name);

}  // namespace vitrine::io
