// Text that a program is started with: its command line and environment block, in UTF-16.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine {

// One string that the C runtime's rules split into exactly these arguments again [learn.microsoft.com, "Parsing C command-line
// arguments"].
[[nodiscard]] std::u16string make_command_line(std::u16string_view program, const std::vector<std::string>& arguments);

// "A=1\0B=2\0\0", sorted by name without case, as CreateProcess asks for. `additions` replace or add.
[[nodiscard]] std::u16string make_environment(const std::map<std::string, std::string>& additions, unsigned processors);

}  // namespace vitrine
