// GuestRam: the machine's physical memory. One private anonymous host mapping, reserved without commitment: a frame costs
// host memory only once somebody writes it, and a fork of the host process is a checkpoint of it (DESIGN 3.8). See also shared_ram.h.
//
// Owns the mapping. Refuses any address outside it: `page` checks. It knows nothing of who uses a frame (that is mm's PFN
// database) and nothing of NT.
#pragma once

#include <cstring>
#include <expected>
#include <string>

#include "base/check.h"
#include "base/types.h"

namespace vitrine::ram {

class GuestRam {
 public:
  // `bytes` is rounded up to whole pages. The error is the host's reason, for the user.
  [[nodiscard]] static std::expected<GuestRam, std::string> create(u64 bytes);
  GuestRam(GuestRam&& other) noexcept;
  GuestRam& operator=(GuestRam&& other) noexcept;
  ~GuestRam();

  [[nodiscard]] u64 page_count() const { return page_count_; }
  [[nodiscard]] std::byte* base() const { return base_; }

  // The 4,096 bytes of a frame. Valid as long as the GuestRam lives.
  [[nodiscard]] std::byte* page(Pfn pfn) const {
    VITRINE_CHECK(pfn.value < page_count_);
    return base_ + pfn.address();
  }
  void zero_page(Pfn pfn) { std::memset(page(pfn), 0, kPageSize); }

  // These frames will all be written soon: backs them with large pages where the host has any.
  void expect_dense_use(Pfn first, u64 count);
  // Gives the host memory of [first, first+count) back; the frames read as zero afterwards.
  void discard(Pfn first, u64 count);
  // Host bytes resident now for the frames [first, first+count). Costs time for each frame asked about.
  [[nodiscard]] u64 resident_bytes(Pfn first, u64 count) const;
  [[nodiscard]] u64 resident_bytes() const { return resident_bytes(Pfn{0}, page_count_); }

 private:
  GuestRam(std::byte* base, u64 page_count) : base_(base), page_count_(page_count) {}
  std::byte* base_ = nullptr;
  u64 page_count_ = 0;
};

}  // namespace vitrine::ram
