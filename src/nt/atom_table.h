// AtomTable: the global atom table: short strings as 16-bit numbers, counted (NT: RTL_ATOM_TABLE of the window station, reached
// with NtAddAtom). Numbers below 0xC000 are integer atoms: they name themselves ("#123") and are never stored.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::nt {

using Atom = u16;

inline constexpr Atom kFirstStringAtom = 0xC000;
inline constexpr std::size_t kMaximumAtomUnits = 255;  // RTL_ATOM_MAXIMUM_NAME_LENGTH

struct AtomFacts {
  u16 usage = 0;
  bool pinned = false;
  std::u16string name;
};

class AtomTable {
 public:
  // Errors: object_name_invalid (empty), invalid_parameter (too long, "#0"), no_memory (all 16,384 numbers are taken).
  [[nodiscard]] Result<Atom> add(std::u16string_view name);
  // Error: object_name_not_found, and those of add.
  [[nodiscard]] Result<Atom> find(std::u16string_view name) const;
  // Takes back one `add`. Error: invalid_handle.
  [[nodiscard]] Status remove(Atom atom);
  [[nodiscard]] Result<AtomFacts> query(Atom atom) const;
  [[nodiscard]] const auto& strings() const { return by_number_; }

 private:
  struct Entry {
    std::u16string name;
    u16 usage = 0;
  };
  // "#123" is 123; nullopt: a string. Error: invalid_parameter (0 or 0xC000 and above).
  [[nodiscard]] static Result<std::optional<Atom>> integer_atom(std::u16string_view name);
  [[nodiscard]] static Status check(std::u16string_view name);

  std::map<Atom, Entry> by_number_;
  std::map<std::u16string, Atom> by_name_;  // upcased: atoms ignore case
};

}  // namespace vitrine::nt
