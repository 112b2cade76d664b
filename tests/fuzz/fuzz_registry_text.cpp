// links: cm
// Any bytes are read as a registry file. What was accepted must be written as text that reads back to the same text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cm/registry_text.h"

namespace {

using namespace vitrine;

struct Machine {
  const sim::Profile& profile = *sim::find_profile("nt61-x64");
  ex::Pool pool{profile, nullptr};
  ob::ObjectManager objects{profile, pool};
  cm::Registry registry{objects, [] { return i64{0}; }};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Machine first;
  (void)cm::add_from_text(first.registry, std::string_view(reinterpret_cast<const char*>(data), size));
  const std::string text = cm::to_text(first.registry);
  Machine second;
  if (!cm::add_from_text(second.registry, text) || cm::to_text(second.registry) != text) std::abort();
  return 0;
}
