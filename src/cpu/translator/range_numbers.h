// RangeNumbers: which entry of the range cache accesses of a form use. Forms get entries of their own while there are
// some, then share those of the same size and right: an entry's limit depends on the size.
#pragma once

#include <array>

#include "cpu/translator/range_cache.h"

namespace vitrine::cpu::translator {

struct RangeForm {
  Va code = 0;   // tells apart what uses the same registers for different things
  i32 page = 0;  // of the displacement
  i8 base = -1, index = -1;
  u8 scale = 0;
  char segment = 0;
  bool address32 = false;
  bool write = false;
  u16 size = 0;
  bool operator==(const RangeForm&) const = default;
};

class RangeNumbers {
 public:
  void clear() { forms_ = {}; }
  // kNoRange: there is none left that it could share.
  [[nodiscard]] u32 number(const RangeForm& form) {
    const u32 first = hash(form);
    for (u32 n = 0; n < kOwn; ++n) {
      RangeForm& there = forms_[(first + n) % kRanges];
      if (there.size == 0) there = form;
      if (there == form) return (first + n) % kRanges;
    }
    for (u32 n = 0; n < kShared; ++n) {
      const RangeForm& there = forms_[(first + n) % kRanges];
      if (there.size == form.size && there.write == form.write) return (first + n) % kRanges;
    }
    return kNoRange;
  }

 private:
  static constexpr u32 kOwn = 8, kShared = 32;  // places that are looked at
  [[nodiscard]] static u32 hash(const RangeForm& form) {
    u64 value = static_cast<u64>(form.base + 1) | static_cast<u64>(form.index + 1) << 5 | u64{form.scale} << 10 |
                static_cast<u64>(form.segment) << 12 | u64{form.write} << 20 | u64{form.size} << 21;
    value ^= form.code * 0x9E37'79B9'7F4A'7C15 ^ static_cast<u64>(static_cast<u32>(form.page)) * 0x9E37'79B1;
    return static_cast<u32>(value * 0x9E37'79B9'7F4A'7C15 >> 51) % kRanges;
  }
  std::array<RangeForm, kRanges> forms_{};
};

}  // namespace vitrine::cpu::translator
