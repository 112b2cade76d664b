#include "tools/external.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

extern char** environ;  // tidy: allow host-environment: PATH and locale of the drawing program

namespace vitrine::tools {
namespace {

// What the program reads: a file without a name, so that a long description cannot block on a pipe.
int input_file(const std::string& input) {
  std::FILE* file = std::tmpfile();
  if (file == nullptr) return -1;
  const bool written = std::fwrite(input.data(), 1, input.size(), file) == input.size() && std::fflush(file) == 0;
  const int copy = written ? dup(fileno(file)) : -1;
  std::fclose(file);
  if (copy >= 0) lseek(copy, 0, SEEK_SET);
  return copy;
}

}  // namespace

std::expected<void, std::string> run_external(const std::vector<std::string>& arguments, const std::string& input,
                                              const std::string& package) {
  const std::string& program = arguments.front();
  const int in = input_file(input);
  if (in < 0) return std::unexpected(fmt::format("no temporary file for {}: {}", program, std::strerror(errno)));
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  pid_t child = 0;
  const int error = posix_spawnp(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in);
  if (error == ENOENT) {
    return std::unexpected(
        fmt::format("{} is not installed; install the package {} (tools/install-packages does)", program, package));
  }
  if (error != 0) return std::unexpected(fmt::format("{}: {}", program, std::strerror(error)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return std::unexpected(fmt::format("{} could not draw the picture", program));
  return {};
}

std::expected<void, std::string> write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file)
    return std::unexpected(fmt::format("{}: {}; choose a file that can be written", path, std::strerror(errno)));
  return {};
}

}  // namespace vitrine::tools
