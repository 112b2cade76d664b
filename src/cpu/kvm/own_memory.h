// OwnMemory: the pages of the virtual machine that are not the guest's: ring 0's stubs, descriptor tables and stacks,
// and the top-level page tables that processors really use.
//
// Where they are: in guest-physical memory behind the guest's RAM, where no entry of the kernel's can point; in every
// address space at entry 256 of the top-level table, the lowest address of the kernel's half, as supervisor pages. A
// user mode address space ends below it. The entry is in no table of the kernel's: each space runs on a *merged root*,
// a copy of the kernel's top-level table with that one entry added.
//
// Owns the memory. Knows the formats of descriptors and of the exception frame; knows no virtual processor.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "cpu/kvm/device.h"
#include "cpu/page_table.h"

namespace vitrine::cpu::kvm {

inline constexpr u32 kMostProcessors = 64;
inline constexpr u32 kOwnIndex = 256;  // in the top-level table
inline constexpr Va kOwnBase = 0xFFFF'8000'0000'0000;
inline constexpr Va kStubs = kOwnBase, kIdt = kOwnBase + kPageSize, kGdt = kOwnBase + 2 * kPageSize;
inline constexpr u16 kGdtLimit = 0x5F, kIdtLimit = 256 * 16 - 1;

// The stub page is full of HLT: where it stopped says what came. Vector n at offset 2 * n: RIP may stop at the HLT or
// behind it (QEMU's virtualisation does both).
inline constexpr u64 kStubBytes = 2;
inline constexpr u64 kSystemCallStub = 0x800, kCompatibilityStub = 0x900;

// NT: KGDT64_R0_CODE, R0_DATA, R3_DATA, R3_CODE, R3_CMTEB, SYS_TSS [WDK].
inline constexpr u16 kRing0Code = 0x10, kUserData = 0x2B, kUserCode = 0x33, kUserTeb = 0x53, kTaskState = 0x40;

// What an exception pushes, without its error code (SDM vol. 3A, figure 6-9).
struct Frame {
  u64 rip, cs, rflags, rsp, ss;
};

class OwnMemory {
 public:
  // `base`: where it lies in guest-physical memory.
  explicit OwnMemory(u64 base);
  ~OwnMemory();
  OwnMemory(const OwnMemory&) = delete;
  OwnMemory& operator=(const OwnMemory&) = delete;

  [[nodiscard]] u64 base() const { return base_; }
  [[nodiscard]] std::byte* host() const { return host_; }
  [[nodiscard]] static u64 bytes();

  // A processor's task state segment, with its ring 0 stack above it in the same page.
  [[nodiscard]] static Va task_state(u32 processor) { return kOwnBase + (kFirstProcessor + processor) * kPageSize; }
  // The words on a processor's ring 0 stack at `rsp`.
  [[nodiscard]] const u64* stack(u32 processor, u64 rsp) const;

  // Makes merged root `n` a copy of `table`, with the entry of ring 0.
  void merge(u32 n, std::span<const u64> table);
  [[nodiscard]] u64 root(u32 n) const { return physical(kFirstRoot + n); }
  static constexpr u32 kRoots = 512;

  // Six pages for the probe (probe.cpp), at kProbe of an address space of its own: code, data, and another page to put
  // in place of the data.
  static constexpr Va kProbe = 0x10000;
  struct Probe {
    u32 root;
    u64 *entries, *data, *other;
    std::byte* code;
    u64 other_frame;
  };
  [[nodiscard]] Probe make_probe();

 private:
  enum Page : u32 { kStubPage, kIdtPage, kGdtPage, kPointerPage, kDirectoryPage, kTablePage, kProbePages };
  static constexpr u32 kFirstProcessor = 16;
  static constexpr u32 kFirstRoot = kFirstProcessor + kMostProcessors;
  [[nodiscard]] u64 physical(u32 page) const { return base_ + page * kPageSize; }
  [[nodiscard]] u64* words(u32 page) const { return reinterpret_cast<u64*>(host_ + page * kPageSize); }
  void make_tables();
  void make_descriptors();

  u64 base_;
  std::byte* host_;
};

}  // namespace vitrine::cpu::kvm
