#include "nt/ps_attributes.h"

namespace vitrine::nt {

Result<std::vector<abi::PsAttribute>> capture_attribute_list(Call call, Va list) {
  std::vector<abi::PsAttribute> attributes;
  if (list == 0) return attributes;
  const auto bytes = UserPtr<u64>{list}.read(call.space());
  if (!bytes) return Failure(bytes.error());
  constexpr u64 kMost = 32;
  if (*bytes < sizeof(u64) || (*bytes - sizeof(u64)) % sizeof(abi::PsAttribute) != 0) return Failure(Status::invalid_parameter);
  const u64 count = (*bytes - sizeof(u64)) / sizeof(abi::PsAttribute);
  if (count > kMost) return Failure(Status::invalid_parameter);
  for (u64 i = 0; i < count; ++i) {
    const auto attribute = UserPtr<abi::PsAttribute>{list + sizeof(u64)}.element(i).read(call.space());
    if (!attribute) return Failure(attribute.error());
    attributes.push_back(*attribute);
  }
  return attributes;
}

}  // namespace vitrine::nt
