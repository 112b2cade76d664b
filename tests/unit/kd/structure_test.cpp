// dt: every field that the sources name is described and shown, its offsets are those of the public symbols, and it
// changes when, and only when, what it stands for changes.
#include "kd/structure.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "kd/command.h"
#include "kd/layouts.h"
#include "seed_fields.h"
#include "structure_look.h"

namespace vitrine::kd {
namespace {

using test::Act;
using test::Acts;
using test::kActs;
using test::Look;

const Field* find_field(const Structure& structure, std::string_view name) {
  const auto found = std::ranges::find(structure.fields, name, &Field::name);
  return found == structure.fields.end() ? nullptr : &*found;
}

TEST(Structures, DescribeEveryFieldThatTheSourcesName) {
  for (const test::SeedFields& list : test::kSeedFields) {
    const Structure* structure = find_structure(list.structure);
    ASSERT_NE(structure, nullptr) << list.structure;
    std::istringstream words{std::string(list.names)};
    for (std::string name; words >> name;) {
      const Field* field = find_field(*structure, name);
      ASSERT_NE(field, nullptr) << list.structure << "." << name;
      EXPECT_FALSE(field->meaning.empty()) << name;
      EXPECT_TRUE(field->read != nullptr || field->absent.size() > 10)
          << list.structure << "." << name << " has neither a value nor a reason";
    }
  }
}

TEST(Structures, AreFoundAsDebuggersNameThem) {
  EXPECT_EQ(find_structure("_kthread"), find_structure("KTHREAD"));
  EXPECT_EQ(find_structure("KTHREADS"), nullptr);
  EXPECT_TRUE(std::ranges::is_sorted(structures(), {}, &Structure::name));
}

TEST(Structures, HaveTheOffsetsOfThePublicSymbols) {
  const sim::Profile& x86 = *sim::find_profile("nt52-x86");
  const sim::Profile& x64 = *sim::find_profile("nt52-x64");
  const sim::Profile& seven = *sim::find_profile("nt61-x64");
  // NT: x86 5.2 SP1 [VOL][facts 5.8].
  EXPECT_EQ(offset_of(x86, "KTHREAD", "WaitReason"), 0x5A);
  EXPECT_EQ(offset_of(x86, "KTHREAD", "SuspendSemaphore"), 0x190);
  EXPECT_EQ(offset_of(x64, "ETHREAD", "Cid"), 0x370);
  EXPECT_EQ(offset_of(seven, "KTHREAD", "Priority"), 0x7B);
  EXPECT_EQ(offset_of(seven, "KTHREAD", "Quantum"), std::nullopt) << "6.1 counts cycles";
  EXPECT_EQ(offset_of(x86, "KTHREAD", "CycleTime"), std::nullopt) << "5.2 does not";
  // The sizes that are booked are the sizes of the same symbols.
  for (const sim::Profile* profile : {&x86, &x64, &seven}) {
    EXPECT_EQ(size_of(*profile, "KTHREAD"), profile->sizes.kthread) << profile->name;
    EXPECT_EQ(size_of(*profile, "ETHREAD"), profile->sizes.ethread) << profile->name;
    EXPECT_EQ(size_of(*profile, "EPROCESS"), profile->sizes.eprocess) << profile->name;
    EXPECT_EQ(size_of(*profile, "KPROCESS"), profile->sizes.kprocess) << profile->name;
    EXPECT_EQ(size_of(*profile, "HANDLE_TABLE"), profile->sizes.handle_table) << profile->name;
  }
}

class Shows : public testing::TestWithParam<Act> {};
TEST_P(Shows, WhatChangesAndNothingElse) {
  Acts acts(GetParam().machine);
  (acts.*GetParam().act)();
}
INSTANTIATE_TEST_SUITE_P(Acts, Shows, testing::ValuesIn(kActs), [](const auto& act) { return act.param.name; });

// Every field that the sources name either has changed in one of the acts, or is fixed at birth and differs from record
// to record, or says why it cannot change here, or is seen in a guest.
TEST(SeedFields, EachHasBeenSeenToChangeOrSaysWhyItCannot) {
  std::set<std::string> seen;
  std::vector<std::string> unseen;
  for (const Act& act : kActs) {
    Acts acts(act.machine);
    (acts.*act.act)();
    seen.merge(acts.seen);
  }
  for (const test::SeedFields& list : test::kSeedFields) {
    std::istringstream words{std::string(list.names)};
    for (std::string name; words >> name;) {
      const Field* field = find_field(*find_structure(list.structure), name);
      ASSERT_NE(field, nullptr) << name;
      if (!field->absent.empty()) continue;
      std::string full = std::string(list.structure) + "." + name;
      if (!seen.contains(full)) unseen.push_back(std::move(full));
    }
  }
  std::vector<std::string> known;
  for (const test::SeedFields& list : test::kSeenInAGuest) {
    std::istringstream words{std::string(list.names)};
    for (std::string name; words >> name;) known.push_back(std::string(list.structure) + "." + name);
  }
  EXPECT_THAT(unseen, testing::UnorderedElementsAreArray(known));
}

TEST_F(Look, TouchesNothing) {
  const auto untouched = machine.new_thread();
  const mm::Books before = machine.memory.books();
  const i32 references = untouched->pointer_count();
  for (int i = 0; i < 2; ++i) (void)values(*untouched);
  EXPECT_EQ(values(*untouched)["TEB.ClientId"], hex(machine.process->id))
      << "made from the record, as the first touch would";
  EXPECT_EQ(machine.memory.books().held, before.held);
  EXPECT_EQ(machine.memory.books().page_faults, before.page_faults);
  EXPECT_EQ(untouched->pointer_count(), references);
}

TEST_F(Look, SaysInOneLineWhatIsNotThere) {
  for (const char* line : {"dt NOTHING", "dt KTHREAD 0x999", "dt KTIMER 0x1", "!thread 77", "!why",
                           "!object 0x8:0x4000", "!pte zzz", "sunset"}) {
    const std::vector<Report> reports = run_commands(target, line);
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_FALSE(reports[0].understood) << line;
    EXPECT_EQ(std::ranges::count(reports[0].text(), '\n'), 1) << reports[0].text();
  }
}

}  // namespace
}  // namespace vitrine::kd
