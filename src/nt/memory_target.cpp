#include "nt/memory_target.h"

#include <array>

#include "pe/format.h"

namespace vitrine::nt {

Result<ob::Ref<ps::Process>> reference_space(Call call, Handle handle, u32 access) {
  auto process = reference_process(call, handle, access);
  if (!process) return process;
  if ((*process)->space == nullptr) return Failure(Status::access_denied);
  if ((*process)->exiting) return Failure(Status::process_is_terminating);
  return process;
}

std::string exported_module_name(mm::AddressSpace& space, Va base) {
  const auto new_header = space.read_value<u32>(base + pe::kDosNewHeaderOffset);
  if (!new_header || *new_header > kPageSize) return {};
  constexpr u64 kOptionalHeader = sizeof(u32) + sizeof(pe::FileHeader);
  const Va headers = base + *new_header;
  const auto signature = space.read_value<u32>(headers);
  const auto magic = space.read_value<u16>(headers + kOptionalHeader);
  if (!signature || !magic || *signature != pe::kPeSignature || *magic != pe::kOptionalMagicPe32Plus) return {};
  const auto exports_rva = space.read_value<u32>(headers + kOptionalHeader + sizeof(pe::OptionalHeader64));
  if (!exports_rva || *exports_rva == 0) return {};
  const auto exports = space.read_value<pe::ExportDirectory>(base + *exports_rva);
  if (!exports) return {};
  constexpr u32 kLongestName = 64;
  std::string name;
  for (u32 i = 0; i < kLongestName; ++i) {
    const auto character = space.read_value<char>(base + exports->name + i);
    if (!character || *character == 0) break;
    name += *character >= 'A' && *character <= 'Z' ? static_cast<char>(*character + 32) : *character;
  }
  return name;
}

}  // namespace vitrine::nt
