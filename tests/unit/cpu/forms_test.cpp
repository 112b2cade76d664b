// Every form of every instruction that the allow-list runs, with operands of every kind, natively and translated: the
// same registers, flags, vector and x87 state and memory afterwards, the same fault at the same place before. Forms are
// found by walking the decoder's tables; none is left out, and the few that cannot be compared are counted and named
// with the reason. VITRINE_FUZZ_SECONDS=n sweeps for so long; VITRINE_FUZZ_SEED=n starts elsewhere;
// VITRINE_FUZZ_FORM=text takes matching forms only; VITRINE_FUZZ_ORACLE=kvm compares with a guest under KVM instead of
// the host, VITRINE_FUZZ_GUEST=kvm a guest under KVM with the host.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "form_check.h"

namespace vitrine::cpu::test {
namespace {

class Forms : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
    if (const std::string problem = checker_.problem(); !problem.empty()) GTEST_SKIP() << problem;
    const char* only = std::getenv("VITRINE_FUZZ_FORM");
    for (CodeForm& form : list_forms(translator::Decoder{})) {
      if (only == nullptr || form.name.find(only) != std::string::npos) forms_.push_back(std::move(form));
    }
  }

  InstanceCheck checker_;
  std::vector<CodeForm> forms_;
};

TEST_F(Forms, EachDoesTheSameTranslatedAndNativelyAndFaultsTheSame) {
  const char* seconds = std::getenv("VITRINE_FUZZ_SECONDS");
  const char* first = std::getenv("VITRINE_FUZZ_SEED");
  const u64 seed = first != nullptr ? std::strtoull(first, nullptr, 0) : 1;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds == nullptr ? 0 : std::atoi(seconds));
  std::map<std::string, u64> skipped;
  u64 covered = 0, instances = 0, failures = 0;
  std::vector<bool> seen(forms_.size());
  u64 sweep = 0;
  do {
    for (std::size_t n = 0; n < forms_.size(); ++n) {
      const CodeForm& form = forms_[n];
      if (const char* reason = not_comparable(form)) {
        if (sweep == 0) ++skipped[reason];
        continue;
      }
      InstanceGenerator generator(seed + sweep * 1'000'003 + n * 7919);
      for (const Place place : {Place::data, Place::crossing, Place::edge, Place::non_canonical}) {
        Instance instance;
        if (!generator.make(form, place, instance)) continue;
        ++instances;
        if (!seen[n]) ++covered;
        seen[n] = true;
        const std::string wrong = checker_.check(instance);
        if (wrong.empty()) continue;
        ADD_FAILURE() << form.name << " sweep " << sweep << "\n" << wrong;
        if (++failures >= 200) GTEST_FAIL() << "enough";
        break;
      }
    }
    ++sweep;
  } while (std::chrono::steady_clock::now() < end);
  u64 left = 0;
  for (std::size_t n = 0; n < forms_.size(); ++n) {
    if (not_comparable(forms_[n]) == nullptr && !seen[n]) {
      ++left;
      ADD_FAILURE() << forms_[n].name << " is allowed and was never generated";
    }
  }
  std::cout << forms_.size() << " forms: " << covered << " compared in " << instances << " instances, " << left
            << " not generated\n";
  for (const auto& [reason, count] : skipped) std::cout << "  not compared: " << count << ": " << reason << "\n";
  for (const auto& [vector, count] : checker_.ends())
    std::cout << "  ended by vector " << vector << ": " << count << "\n";
  for (const auto& [reason, count] : checker_.tolerated())
    std::cout << "  let pass: " << count << ": " << reason << "\n";
}

}  // namespace
}  // namespace vitrine::cpu::test
