// Vm: the descriptors of /dev/kvm and of one virtual machine, and the calls that belong to the whole machine. The
// numbers of calls whose structures end in an array are made here: C++ gives those structures another size than C.
//
// Refuses nothing: a call that the host's kernel refuses although it said that it could is a check.
#pragma once

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <array>
#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/types.h"

namespace vitrine::cpu::kvm {

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

// At most so many leaves and registers in one call.
struct CpuidTable {
  u32 count = 0, padding = 0;
  std::array<kvm_cpuid_entry2, 100> entries{};
  static constexpr std::size_t kHeaderBytes = 8;
};
struct MsrTable {
  u32 count = 0, padding = 0;
  std::array<kvm_msr_entry, 8> entries{};
  static constexpr std::size_t kHeaderBytes = 8;
};

// The XSAVE image in the standard format, as far as this call has room for.
struct alignas(64) XsaveImage {
  std::array<std::byte, 4096> bytes{};
};

class Vm {
 public:
  [[nodiscard]] static std::expected<Vm, std::string> open();

  [[nodiscard]] int device() const { return device_.get(); }
  [[nodiscard]] int machine() const { return machine_.get(); }
  // `bytes` 0 takes the slot away.
  void set_memory(u32 slot, u64 guest_physical, std::byte* host, u64 bytes) const;
  [[nodiscard]] CpuidTable supported_cpuid() const;

 private:
  Vm(Descriptor device, Descriptor machine) : device_(std::move(device)), machine_(std::move(machine)) {}
  Descriptor device_, machine_;
};

// ioctl with an argument; false: errno says why.
[[nodiscard]] bool call(int descriptor, unsigned long request, void* argument);
[[nodiscard]] bool set_cpuid(int processor, CpuidTable& table);
[[nodiscard]] bool set_xsave(int processor, XsaveImage& image);
[[nodiscard]] bool get_xsave(int processor, XsaveImage& image);
// True if all were set.
[[nodiscard]] bool set_msrs(int processor, MsrTable& table);

}  // namespace vitrine::cpu::kvm
