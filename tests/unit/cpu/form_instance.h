// Instances of a form: random registers, addressing modes, displacements and immediates, and a processor state in which
// every access goes to memory that the test owns, or faults.
#pragma once

#include <optional>

#include "form_catalogue.h"
#include "guest_twin.h"

namespace vitrine::cpu::test {

// Where the explicit memory operand of an instance lies.
enum class Place : u8 { data, crossing, edge, non_canonical };

struct Instance {
  std::vector<u8> code;
  Va at = 0;
  std::size_t offset = 0;  // of the instruction in `code`
  translator::Instruction instruction;
  NativeState state;
  u32 undefined_flags = 0;
  std::vector<u8> memory;  // data and edge
  std::vector<Ignored> ignored;
};

// Why a form cannot be compared with the host, or null. Each has tests of its own.
[[nodiscard]] const char* not_comparable(const CodeForm& form);

// SplitMix64: a generator of its own for each instance must cost nothing to begin.
class SplitMix {
 public:
  explicit SplitMix(u64 seed) : state_(seed) {}
  u64 operator()() {
    u64 z = (state_ += 0x9E37'79B9'7F4A'7C15);
    z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9;
    z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EB;
    return z ^ (z >> 31);
  }

 private:
  u64 state_;
};

class InstanceGenerator {
 public:
  explicit InstanceGenerator(u64 seed) : random_(seed) {}
  // False: no instance came out of a number of tries. `place`: for forms with an explicit memory operand.
  [[nodiscard]] bool make(const CodeForm& form, Place place, Instance& out);
  [[nodiscard]] u64 next() { return random_(); }
  [[nodiscard]] u64 below(u64 limit) { return random_() % limit; }
  [[nodiscard]] bool one_in(u64 n) { return below(n) == 0; }

 private:
  [[nodiscard]] FreeFields random_fields(const CodeForm& form);
  [[nodiscard]] bool decode(const CodeForm& form, Instance& out);
  void random_state(NativeState& state);
  void random_x87(NativeState& state);
  void random_memory(Instance& out);
  [[nodiscard]] Va pick_target(Place place, u64 size, bool aligned);
  [[nodiscard]] bool place_memory(Place place, Instance& out);
  void patch_displacement(Instance& out, u64 value);
  void place_gather(Instance& out);
  [[nodiscard]] Va pick_implied(Place place);
  void place_implied(Place place, Instance& out);
  void set_operands(Instance& out);
  void set_branch(Instance& out);
  void set_images(Instance& out);
  [[nodiscard]] bool is_safe(const Instance& out) const;
  [[nodiscard]] bool safe_range(Va from, u64 bytes) const;
  void store(Instance& out, Va at, u64 value, u64 bytes);

  SplitMix random_;
  translator::Decoder decoder_;
};

}  // namespace vitrine::cpu::test
