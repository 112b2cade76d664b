#include "kd/structure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kd/structures/values.h"

namespace vitrine::kd {

std::span<const Structure* const> structures() {
  static constexpr std::array kAll{
      &kDispatcherHeader, &kEjob, &kEprocess, &kEthread,  &kHandleTable,  &kKapc,       &kKapcState, &kKevent,
      &kKmutant,          &kKprcb,    &kKprocess, &kKqueue,       &kKsemaphore, &kKthread,   &kKtimer,
      &kKwaitBlock,       &kMmpfn,    &kMmvad,    &kObjectHeader, &kPeb,        &kTeb};
  return kAll;
}

const Structure* find_structure(std::string_view name) {
  if (name.starts_with('_')) name.remove_prefix(1);
  const auto same = [name](const Structure* structure) {
    return std::ranges::equal(structure->name, name, {}, {},
                              [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  };
  const auto found = std::ranges::find_if(structures(), same);
  return found == structures().end() ? nullptr : *found;
}

std::string number(i64 value) { return fmt::format("{}", value); }
std::string flag(bool value) { return value ? "1" : "0"; }

FoundRecord find_ethread(const Target& target, std::string_view text) {
  const auto thread = target.thread(text.empty() ? "." : text);
  if (!thread) return std::unexpected(thread.error());
  return borrow(*thread);
}

FoundRecord find_eprocess(const Target& target, std::string_view text) {
  const auto process = target.process(text.empty() ? "." : text);
  if (!process) return std::unexpected(process.error());
  return borrow(*process);
}

}  // namespace vitrine::kd
