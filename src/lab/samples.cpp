#include "lab/samples.h"

namespace vitrine::lab {

void Samples::add(const Sample& sample) {
  if (sample.threads % step_ != 0) return;
  samples_.push_back(sample);
  if (samples_.size() <= kMost) return;
  step_ *= 10;
  std::erase_if(samples_, [&](const Sample& s) { return s.threads % step_ != 0; });
}

void Samples::finish(const Sample& sample) {
  if (sample.threads > samples_.back().threads) samples_.push_back(sample);
}

std::vector<Interval> Samples::intervals() const {
  std::vector<Interval> intervals;
  for (std::size_t i = 1; i < samples_.size(); ++i) {
    const Sample &a = samples_[i - 1], &b = samples_[i];
    const auto threads = static_cast<double>(b.threads - a.threads);
    intervals.push_back({.from = a.threads,
                         .to = b.threads,
                         .virtual_ns = static_cast<double>(b.virtual_ns - a.virtual_ns) / threads,
                         .host_ns = static_cast<double>(b.host_ns - a.host_ns) / threads,
                         .visits = static_cast<double>(b.visits - a.visits) / threads});
  }
  return intervals;
}

}  // namespace vitrine::lab
