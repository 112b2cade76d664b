#include "ldr/parameter_writer.h"

#include <cstring>
#include <vector>

#include "abi/peb.h"
#include "ldr/loader.h"

namespace vitrine::ldr {
namespace {

constexpr u64 kMaximumStringBytes = 0xFFFC;
constexpr u16 kCurrentDirectoryBytes = 520;  // MAX_PATH UTF-16 units; RtlSetCurrentDirectory_U writes into it
constexpr u64 kMaximumEnvironmentBytes = 16u << 20;

// The block as it will lie in the guest, at an address not yet known: strings keep offsets until `finish`.
class Builder {
 public:
  Builder() : bytes_(sizeof(abi::ProcessParameters)) {}

  // Appends a terminated string with room for at least `capacity` bytes and remembers where its UNICODE_STRING lies.
  // An empty string without room stays null: ntdll takes a DllPath that is not null for the whole search path.
  void add(std::size_t field_offset, std::u16string_view text, u16 capacity = 0) {
    if (text.empty() && capacity == 0) return;
    const u16 length = static_cast<u16>(text.size() * 2);
    const u16 maximum = std::max<u16>(static_cast<u16>(length + 2), capacity);
    const u64 at = append(text.data(), length, maximum);
    const abi::UnicodeString string{length, maximum, 0, at};
    std::memcpy(bytes_.data() + field_offset, &string, sizeof string);
    pointers_.push_back(field_offset + offsetof(abi::UnicodeString, buffer));
  }
  // Bytes: as long as they are, without an end. The child's runtime goes by the maximum length.
  void add_bytes(std::size_t field_offset, std::span<const u8> data) {
    if (data.empty()) return;
    const u16 length = static_cast<u16>(data.size());
    const abi::UnicodeString string{length, length, 0, append(data.data(), length, length)};
    std::memcpy(bytes_.data() + field_offset, &string, sizeof string);
    pointers_.push_back(field_offset + offsetof(abi::UnicodeString, buffer));
  }
  void add_pointer(std::size_t field_offset, const void* data, u64 size) {
    const u64 at = append(data, size, size);
    std::memcpy(bytes_.data() + field_offset, &at, sizeof at);
    pointers_.push_back(field_offset);
  }
  abi::ProcessParameters& header() { return *reinterpret_cast<abi::ProcessParameters*>(bytes_.data()); }
  [[nodiscard]] u64 size() const { return bytes_.size(); }

  std::span<const std::byte> finish(Va base) {
    for (std::size_t offset : pointers_) {
      u64 pointer;
      std::memcpy(&pointer, bytes_.data() + offset, sizeof pointer);
      pointer += base;
      std::memcpy(bytes_.data() + offset, &pointer, sizeof pointer);
    }
    return bytes_;
  }

 private:
  u64 append(const void* data, u64 size, u64 room) {
    const u64 at = align_up(bytes_.size(), 8);
    bytes_.resize(at + room);
    if (size != 0) std::memcpy(bytes_.data() + at, data, size);
    return at;
  }

  std::vector<std::byte> bytes_;
  std::vector<std::size_t> pointers_;
};

bool fits(std::u16string_view text) { return text.size() * 2 <= kMaximumStringBytes; }

}  // namespace

Result<Va> write_parameters(mm::AddressSpace& space, const ParameterBlock& p) {
  for (std::u16string_view text : {std::u16string_view(p.image_path_name), std::u16string_view(p.command_line),
                                   std::u16string_view(p.current_directory), std::u16string_view(p.dll_path),
                                   std::u16string_view(p.window_title), std::u16string_view(p.desktop),
                                   std::u16string_view(p.shell_info)}) {
    if (!fits(text)) return Failure(Status::invalid_parameter);
  }
  if (p.runtime_data.size() > kMaximumStringBytes) return Failure(Status::invalid_parameter);
  const u64 environment_bytes = p.environment.size() * 2;
  if (p.current_directory.size() * 2 > kCurrentDirectoryBytes - 2u) return Failure(Status::invalid_parameter);
  if (environment_bytes > kMaximumEnvironmentBytes) return Failure(Status::invalid_parameter);

  using abi::ProcessParameters;
  Builder builder;
  builder.add(offsetof(ProcessParameters, current_directory), p.current_directory, kCurrentDirectoryBytes);
  // Without a search path the buffer must be null: only then does ntdll make one of its own.
  if (!p.dll_path.empty()) builder.add(offsetof(ProcessParameters, dll_path), p.dll_path);
  builder.add(offsetof(ProcessParameters, image_path_name), p.image_path_name);
  builder.add(offsetof(ProcessParameters, command_line), p.command_line);
  builder.add(offsetof(ProcessParameters, window_title), p.window_title);
  builder.add(offsetof(ProcessParameters, desktop_info), p.desktop);
  builder.add(offsetof(ProcessParameters, shell_info), p.shell_info);
  builder.add_bytes(offsetof(ProcessParameters, runtime_data), p.runtime_data);
  builder.add_pointer(offsetof(ProcessParameters, environment), p.environment.data(), environment_bytes);

  ProcessParameters& header = builder.header();
  header.allocation_size = header.size = static_cast<u32>(builder.size());
  header.flags = p.flags | abi::kParametersNormalized;
  header.console_handle = p.console_handle;
  header.standard_input = p.standard_input;
  header.standard_output = p.standard_output;
  header.standard_error = p.standard_error;
  header.window_flags = p.window_flags;
  header.show_window_flags = p.show_window;
  header.environment_size = environment_bytes;
  header.process_group_id = p.process_group_id;

  const auto range = space.allocate({.size = builder.size(), .type = mm::mem::kReserve | mm::mem::kCommit,
                                     .protect = mm::page::kReadWrite});
  if (!range) return Failure(range.error());
  const Status status = space.write(range->base, builder.finish(range->base));
  if (!is_success(status)) return Failure(status);
  return range->base;
}

}  // namespace vitrine::ldr
