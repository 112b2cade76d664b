// Rules that hold for every service of every family.
#include <gtest/gtest.h>

#include <algorithm>

#include "nt/families.h"
#include "nt/service_table.h"

namespace vitrine::nt {
namespace {

TEST(ServiceFamilies, NoNameIsImplementedTwice) {
  const auto services = all_services();
  const auto twice = std::ranges::adjacent_find(services, {}, [](const Service* s) { return s->name; });
  EXPECT_EQ(twice, services.end()) << (*twice)->name;
}

TEST(ServiceFamilies, EveryArgumentHasAName) {
  for (const Service* service : all_services()) {
    const auto commas = std::ranges::count(service->argument_names, ',');
    const auto names = service->argument_names.empty() ? 0 : commas + 1;
    EXPECT_EQ(names, service->argument_count) << service->name;
  }
}

TEST(ServiceFamilies, WhatIsPartialSaysWhatIsMissing) {
  for (const Service* service : all_services()) {
    if (service->level == SupportLevel::partial) EXPECT_FALSE(service->note.empty()) << service->name;
  }
}

}  // namespace
}  // namespace vitrine::nt
