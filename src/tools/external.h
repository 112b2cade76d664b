// Programs of the distribution that draw, such as gnuplot: they read a description and write a picture.
#pragma once

#include <expected>
#include <string>
#include <vector>

namespace vitrine::tools {

// Runs `arguments[0]`, found in PATH, with `input` as its standard input. The error is one line for the user and names
// the Debian `package` when the program is missing.
[[nodiscard]] std::expected<void, std::string> run_external(const std::vector<std::string>& arguments,
                                                            const std::string& input, const std::string& package);
// Writes a file whole, or says in one line why not.
[[nodiscard]] std::expected<void, std::string> write_file(const std::string& path, const std::string& text);

}  // namespace vitrine::tools
