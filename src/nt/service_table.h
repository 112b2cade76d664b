// ServiceTable: from the number in EAX to a Service. The numbers are the ones in ntdll's export stubs, found when the table
// is made; so a program can run on any build of the DLLs whose services we know by name.
//
// Bits 12 and 13 of a number choose the table [WI5 ch.3 "Service Descriptor Tables"]: 0 the executive's, 1 win32k's.
//
// Owns nothing of the services themselves (they are constant data in the family files).
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "ldr/loader.h"
#include "ldr/shared_data.h"
#include "nt/service.h"

namespace vitrine::nt {

inline constexpr u32 kFirstGuiService = 0x1000;
[[nodiscard]] constexpr bool is_gui_service(u32 number) { return (number >> 12 & 3) == 1; }

class ServiceTable {
 public:
  explicit ServiceTable(std::span<const ldr::Stub> stubs);

  // NT: KeAddSystemServiceTable. Table 1 gets the services that its DLL's stubs name; once.
  void add_gui_table(std::span<const ldr::Stub> stubs, std::span<const Service> services);
  [[nodiscard]] bool has_gui_table() const { return !gui_entries_.empty(); }

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
  };
  [[nodiscard]] const Entry* entry(u32 number) const;  // null: beyond its table

  std::vector<Entry> entries_, gui_entries_;  // by number; by number less kFirstGuiService
  std::set<u32> reported_;
};

// Every implemented service, sorted by name.
[[nodiscard]] std::span<const Service* const> all_services();
[[nodiscard]] const Service* find_service(std::string_view name);

// Wine's DLLs reach their Unix halves through this number, placed in a stub of ours behind the shared user data page.
using ldr::kUnixCallNumber;
inline constexpr std::string_view kUnixCallName = "__wine_unix_call";

}  // namespace vitrine::nt
