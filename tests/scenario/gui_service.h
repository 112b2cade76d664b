// GUI services by name, for tests that call them as a program does.
#pragma once

#include <string_view>

#include "base/check.h"
#include "nt/win32_threads.h"
#include "win32k/services.h"

namespace vitrine::testing {

// Its number in the second service table. Precondition: there is one.
[[nodiscard]] inline u32 gui(std::string_view name) {
  const auto all = win32k::all_services();
  for (u32 i = 0; i < all.size(); ++i) {
    if (all[i].name == name) return nt::kFirstGuiService + i;
  }
  VITRINE_CHECK(!"no such service");
  return 0;
}

}  // namespace vitrine::testing
