// ServiceTable: from the number in EAX to a Service. The numbers are the ones in ntdll's export stubs, found when the table
// is made; so a program can run on any build of the DLLs whose services we know by name.
//
// Owns nothing of the services themselves (they are constant data in the family files).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ldr/loader.h"
#include "ldr/shared_data.h"
#include "nt/service.h"

namespace vitrine::nt {

class ServiceTable {
 public:
  explicit ServiceTable(std::span<const ldr::Stub> stubs);

  // Null: the number has no stub (`is_known_number` false) or nobody implements its name.
  [[nodiscard]] const Service* find(u32 number) const;
  [[nodiscard]] bool is_known_number(u32 number) const { return !name(number).empty(); }
  [[nodiscard]] std::string_view name(u32 number) const;
  // True the first time it is asked for this number: a missing service names itself once.
  [[nodiscard]] bool first_report(u32 number);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    const Service* service = nullptr;
    bool reported = false;
  };
  std::vector<Entry> entries_;
};

// Every implemented service, sorted by name.
[[nodiscard]] std::span<const Service* const> all_services();
[[nodiscard]] const Service* find_service(std::string_view name);

// Wine's DLLs reach their Unix halves through this number, placed in a stub of ours behind the shared user data page.
using ldr::kUnixCallNumber;
inline constexpr std::string_view kUnixCallName = "__wine_unix_call";

}  // namespace vitrine::nt
