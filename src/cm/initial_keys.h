// The keys that every program of Wine 8.0's user-mode half looks up at its start. Without them kernelbase writes them
// itself, 47 values at each start [seen in Wine 8.0's user mode]. Values are Windows' own defaults for US English and for the
// reported version 10.0.18362.
#pragma once

#include "base/status.h"
#include "cm/registry.h"
#include "se/sid.h"

namespace vitrine::cm {

struct MachineFacts {
  se::Sid user;
  std::u16string user_name = u"user";
  std::u16string computer_name = u"VITRINE";
  u32 processors = 1;
};

// Errors: those of Registry::make and put.
[[nodiscard]] Status fill_initial_keys(Registry& registry, const MachineFacts& facts);

}  // namespace vitrine::cm
