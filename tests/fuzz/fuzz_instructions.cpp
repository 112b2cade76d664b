// links: cpu
// with: ../unit/cpu form_catalogue form_check form_instance form_operands guest_twin native_runner
// runs: 1000
// One instruction out of the decoder's tables runs natively and translated, whole and in single steps: both must end
// alike. The input chooses the form, where its memory operand lies (data, across pages, at unmapped and read-only
// pages, outside the canonical addresses), and seeds operands, state and memory; coverage of the translator guides it.
// VITRINE_FUZZ_ORACLE=kvm compares with a guest under KVM instead of the host, VITRINE_FUZZ_GUEST=kvm a guest under KVM
// with the host.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "form_check.h"

namespace {

using namespace vitrine::cpu::test;

const std::vector<CodeForm>& all_forms() {
  static const std::vector<CodeForm> forms = list_forms(vitrine::cpu::translator::Decoder{});
  return forms;
}

}  // namespace

// The list takes seconds under sanitizers, which no single input should be charged with.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  (void)all_forms();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (!vitrine::cpu::host_supports_translator()) return 0;
  static InstanceCheck checker;  // not before libFuzzer has set its signal handlers: it takes some of them over
  if (const std::string problem = checker.problem(); !problem.empty()) {
    static const bool told = std::fprintf(stderr, "nothing is compared: %s\n", problem.c_str()) > 0;
    (void)told;
    return 0;
  }
  struct {
    std::uint16_t form = 0;
    std::uint8_t place = 0, unused = 0;
    std::uint32_t low = 0, high = 0;
  } choice;
  std::memcpy(&choice, data, size < sizeof choice ? size : sizeof choice);
  const CodeForm& form = all_forms()[choice.form % all_forms().size()];
  if (not_comparable(form) != nullptr) return 0;
  InstanceGenerator generator(choice.high * 0x1'0000'0000ull + choice.low);
  Instance instance;
  if (!generator.make(form, static_cast<Place>(choice.place % 4), instance)) return 0;
  const std::string wrong = checker.check(instance);
  if (!wrong.empty()) {
    std::fprintf(stderr, "%s\n%s", form.name.c_str(), wrong.c_str());
    std::abort();
  }
  return 0;
}
