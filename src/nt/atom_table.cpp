#include "nt/atom_table.h"

#include <fmt/format.h>

#include "ex/unicode.h"

namespace vitrine::nt {

Result<std::optional<Atom>> AtomTable::integer_atom(std::u16string_view name) {
  if (name.size() < 2 || name[0] != u'#') return std::optional<Atom>();
  u32 value = 0;
  for (const char16_t c : name.substr(1)) {
    if (c < u'0' || c > u'9') return std::optional<Atom>();
    value = std::min<u32>(value * 10 + (c - u'0'), 0x1'0000);
  }
  if (value == 0 || value >= kFirstStringAtom) return Failure(Status::invalid_parameter);
  return std::optional(static_cast<Atom>(value));
}

Status AtomTable::check(std::u16string_view name) {
  if (name.empty()) return Status::object_name_invalid;
  return name.size() > kMaximumAtomUnits ? Status::invalid_parameter : Status::success;
}

Result<Atom> AtomTable::add(std::u16string_view name) {
  if (const Status status = check(name); !is_success(status)) return Failure(status);
  const auto integer = integer_atom(name);
  if (!integer) return Failure(integer.error());
  if (*integer) return **integer;
  std::u16string key = ex::upcase(name);
  if (const auto it = by_name_.find(key); it != by_name_.end()) {
    Entry& entry = by_number_[it->second];
    if (entry.usage < 0xFFFF) ++entry.usage;  // NT: the count saturates and the atom stays
    return it->second;
  }
  u32 number = kFirstStringAtom;  // the lowest free one
  for (const auto& [taken, entry] : by_number_) {
    if (taken != number) break;
    ++number;
  }
  if (number > 0xFFFF) return Failure(Status::no_memory);
  const Atom atom = static_cast<Atom>(number);
  by_number_[atom] = {std::u16string(name), 1};
  by_name_.emplace(std::move(key), atom);
  return atom;
}

Result<Atom> AtomTable::find(std::u16string_view name) const {
  if (const Status status = check(name); !is_success(status)) return Failure(status);
  const auto integer = integer_atom(name);
  if (!integer) return Failure(integer.error());
  if (*integer) return **integer;
  const auto it = by_name_.find(ex::upcase(name));
  if (it == by_name_.end()) return Failure(Status::object_name_not_found);
  return it->second;
}

Status AtomTable::remove(Atom atom) {
  if (atom == 0) return Status::invalid_handle;
  if (atom < kFirstStringAtom) return Status::success;  // NT: integer atoms are not counted
  const auto it = by_number_.find(atom);
  if (it == by_number_.end()) return Status::invalid_handle;
  if (it->second.usage == 0xFFFF) return Status::success;
  if (--it->second.usage == 0) {
    by_name_.erase(ex::upcase(it->second.name));
    by_number_.erase(it);
  }
  return Status::success;
}

Result<AtomFacts> AtomTable::query(Atom atom) const {
  if (atom == 0) return Failure(Status::invalid_parameter);
  if (atom < kFirstStringAtom) return AtomFacts{1, true, ex::from_utf8(fmt::format("#{}", atom))};
  const auto it = by_number_.find(atom);
  if (it == by_number_.end()) return Failure(Status::invalid_handle);
  return AtomFacts{it->second.usage, false, it->second.name};
}

}  // namespace vitrine::nt
