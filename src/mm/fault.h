// One page fault under way. Private to mm.
#pragma once

#include "mm/address_space.h"

namespace vitrine::mm {

struct AddressSpace::Fault {
  Va va = 0;  // as the processor gave it
  Va page = 0;
  u32 error_code = 0;
  bool is_write = false, is_fetch = false;
  FaultResolution resolution = FaultResolution::none;
  bool zeroed_page = false;
  Pfn pfn{};

  // Rights, as the processor will check them on the next try; guard is looked at after them [NT: MiAccessCheck].
  [[nodiscard]] bool is_allowed_by(Protection p) const {
    if (p.is_no_access()) return false;
    return is_write ? p.allows_write() : is_fetch ? p.allows_execute() : p.allows_read();
  }
};

}  // namespace vitrine::mm
