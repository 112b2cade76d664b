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
    entries_[number] = {std::string(name), find_service(name)};
  };
  for (const ldr::Stub& stub : stubs) {
    if (stub.number < kUnixCallNumber) place(stub.number, stub.name);
  }
  place(kUnixCallNumber, kUnixCallName);
}

void ServiceTable::add_gui_table(std::span<const ldr::Stub> stubs, std::span<const Service> services) {
  for (const ldr::Stub& stub : stubs) {
    if (!is_gui_service(stub.number)) continue;
    const std::size_t index = stub.number - kFirstGuiService;
    if (gui_entries_.size() <= index) gui_entries_.resize(index + 1);
    const auto found = std::ranges::find(services, std::string_view(stub.name), &Service::name);
    gui_entries_[index] = {stub.name, found == services.end() ? nullptr : &*found};
  }
}

const ServiceTable::Entry* ServiceTable::entry(u32 number) const {
  const auto& table = is_gui_service(number) ? gui_entries_ : entries_;
  const u32 index = is_gui_service(number) ? number - kFirstGuiService : number;
  return index < table.size() ? &table[index] : nullptr;
}

const Service* ServiceTable::find(u32 number) const {
  const Entry* const found = entry(number);
  return found != nullptr ? found->service : nullptr;
}

std::string_view ServiceTable::name(u32 number) const {
  const Entry* const found = entry(number);
  return found != nullptr ? std::string_view(found->name) : std::string_view();
}

bool ServiceTable::first_report(u32 number) {
  return is_known_number(number) && reported_.insert(number).second;
}

}  // namespace vitrine::nt
