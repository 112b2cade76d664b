// Samples: what an experiment saw on its way, thinned as it grows: ten steps become one whenever there are too many, so
// that a run of a thousand threads and one of sixteen million both give a table that fits a screen.
#pragma once

#include <vector>

#include "lab/population.h"

namespace vitrine::lab {

// Between two samples, per thread; host and modelled time are different things and never added.
struct Interval {
  u64 from = 0, to = 0;  // threads
  double virtual_ns = 0, host_ns = 0;
  double visits = 0;  // of look-ups in CSRSS's table
};

class Samples {
 public:
  static constexpr u64 kFinest = 10'000;  // threads between samples at first
  static constexpr std::size_t kMost = 40;

  void add(const Sample& sample);
  // The last one, wherever it falls.
  void finish(const Sample& sample);
  [[nodiscard]] std::vector<Interval> intervals() const;

 private:
  std::vector<Sample> samples_{Sample{}};  // from nothing on
  u64 step_ = kFinest;
};

}  // namespace vitrine::lab
