#include "nt/service_table.h"

#include <algorithm>

#include "nt/families.h"

namespace vitrine::nt {
namespace {

std::vector<const Service*> collect() {
  std::vector<const Service*> all;
  for (std::span<const Service> family : service_families()) {
    for (const Service& s : family) all.push_back(&s);
  }
  std::ranges::sort(all, {}, [](const Service* s) { return s->name; });
  return all;
}

const std::vector<const Service*>& sorted() {
  static const std::vector<const Service*> services = collect();  // constant data, the same for every machine
  return services;
}

}  // namespace

std::span<const Service* const> all_services() { return sorted(); }

const Service* find_service(std::string_view name) {
  const auto& all = sorted();
  const auto it = std::ranges::lower_bound(all, name, {}, [](const Service* s) { return s->name; });
  return it != all.end() && (*it)->name == name ? *it : nullptr;
}

ServiceTable::ServiceTable(std::span<const ldr::Stub> stubs) {
  auto place = [this](u32 number, std::string_view name) {
    if (entries_.size() <= number) entries_.resize(number + 1);
    entries_[number] = {std::string(name), find_service(name), false};
  };
  for (const ldr::Stub& stub : stubs) {
    if (stub.number != kUnixCallNumber) place(stub.number, stub.name);
  }
  place(kUnixCallNumber, kUnixCallName);
}

const Service* ServiceTable::find(u32 number) const {
  return number < entries_.size() ? entries_[number].service : nullptr;
}

std::string_view ServiceTable::name(u32 number) const {
  return number < entries_.size() ? std::string_view(entries_[number].name) : std::string_view();
}

bool ServiceTable::first_report(u32 number) {
  if (number >= entries_.size()) return false;
  return !std::exchange(entries_[number].reported, true);
}

}  // namespace vitrine::nt
