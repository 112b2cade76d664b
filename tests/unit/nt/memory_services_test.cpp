#include "service_machine.h"

namespace vitrine::nt::test {
namespace {

using namespace mm;

class MemoryServices : public testing::Test {
 protected:
  ServiceMachine m;

  Status allocate(Va base, u64 size, u32 type, u32 protect, u64 zero_bits = 0) {
    m.write(m.scratch, base);
    m.write(m.scratch + 8, size);
    return m.call("NtAllocateVirtualMemory",
                  {ServiceMachine::kSelf, m.scratch, zero_bits, m.scratch + 8, type, protect});
  }
  Va base() { return m.read<Va>(m.scratch); }
  u64 size() { return m.read<u64>(m.scratch + 8); }
};

TEST_F(MemoryServices, AllocationWritesBackTheRoundedRange) {
  ASSERT_EQ(allocate(0, 5000, mem::kReserve | mem::kCommit, page::kReadWrite), Status::success);
  EXPECT_EQ(base() % kAllocationGranularity, 0u);
  EXPECT_EQ(size(), 8192u);
}

TEST_F(MemoryServices, AZeroBitsMaskBoundsTheAddress) {
  ASSERT_EQ(allocate(0, 0x1000, mem::kReserve | mem::kTopDown, page::kReadWrite, 0x3'FFFF'FFFF), Status::success);
  EXPECT_LT(base(), 1ull << 34);
  EXPECT_GT(base(), 1ull << 33);  // top-down: as high as it may
  EXPECT_EQ(allocate(0, 0x1000, mem::kReserve, page::kReadWrite, 25), Status::invalid_parameter_3);
}

TEST_F(MemoryServices, ExtendedRequirementsPlaceAndAlign) {
  const Va requirements = m.scratch + 0x100, parameter = m.scratch + 0x200;
  m.write(requirements, abi::MemAddressRequirements{0x1'0000'0000, 0x1'FFFF'FFFF, 1 << 24});
  m.write(parameter, abi::MemExtendedParameter{1, requirements});
  m.write(m.scratch, Va{0});
  m.write(m.scratch + 8, u64{0x10000});
  const std::initializer_list<u64> call{
      ServiceMachine::kSelf, m.scratch, m.scratch + 8, mem::kReserve, page::kReadWrite, parameter, 1};
  ASSERT_EQ(m.call("NtAllocateVirtualMemoryEx", call), Status::success);
  EXPECT_EQ(base(), 0x1'0000'0000u);
  m.write(requirements, abi::MemAddressRequirements{0, 0, 3 << 16});  // not a power of two
  m.write(m.scratch, Va{0});
  EXPECT_EQ(m.call("NtAllocateVirtualMemoryEx", call), Status::invalid_parameter);
}

TEST_F(MemoryServices, ArgumentsThatCannotBeReadAreAnAccessViolation) {
  EXPECT_EQ(
      m.call("NtAllocateVirtualMemory", {ServiceMachine::kSelf, 8, 0, m.scratch, mem::kReserve, page::kReadWrite}),
      Status::access_violation);
  EXPECT_EQ(m.call("NtFreeVirtualMemory", {ServiceMachine::kSelf, 8, 8, 1}),
            Status::invalid_parameter_4);  // type comes first
}

TEST_F(MemoryServices, AReleaseWithASizeIsRefusedAndOneWithoutTakesAll) {
  ASSERT_EQ(allocate(0, 0x3000, mem::kReserve, page::kReadWrite), Status::success);
  m.write(m.scratch + 8, u64{0x1000});
  EXPECT_EQ(m.call("NtFreeVirtualMemory", {ServiceMachine::kSelf, m.scratch, m.scratch + 8, mem::kRelease}),
            Status::invalid_parameter);
  EXPECT_EQ(m.process->space->query_basic(base())->region_size, 0x3000u);
  m.write(m.scratch + 8, u64{0});
  EXPECT_EQ(m.call("NtFreeVirtualMemory", {ServiceMachine::kSelf, m.scratch, m.scratch + 8, mem::kRelease}),
            Status::success);
  EXPECT_EQ(size(), 0x3000u);
}

TEST_F(MemoryServices, WritingToAProcessPassesReadOnlyPagesAndKeepsTheirProtection) {
  ASSERT_EQ(allocate(0, 0x1000, mem::kReserve | mem::kCommit, page::kExecuteRead), Status::success);
  const Va code = base();
  m.write(m.scratch + 0x40, u64{0xC3C3C3C3});
  ASSERT_EQ(m.call("NtWriteVirtualMemory", {ServiceMachine::kSelf, code, m.scratch + 0x40, 8, m.scratch + 0x80}),
            Status::success);
  EXPECT_EQ(m.read<u64>(code), 0xC3C3C3C3u);
  EXPECT_EQ(m.read<u64>(m.scratch + 0x80), 8u);
  EXPECT_EQ(m.process->space->query_basic(code)->protect, page::kExecuteRead);
}

TEST_F(MemoryServices, WriteWatchIsForRegionsThatAskedForIt) {
  const auto watched = [&](Va where) {
    m.write(m.scratch + 0x200, u64{4});
    return m.call("NtGetWriteWatch", {ServiceMachine::kSelf, 0, where, 0x1000, m.scratch + 0x180, m.scratch + 0x200,
                                      m.scratch + 0x208});
  };
  ASSERT_EQ(allocate(0, 0x1000, mem::kReserve | mem::kCommit, page::kReadWrite), Status::success);
  EXPECT_EQ(watched(base()), Status::invalid_parameter_1);
  ASSERT_EQ(allocate(0, 0x1000, mem::kReserve | mem::kCommit | mem::kWriteWatch, page::kReadWrite), Status::success);
  const Va region = base();
  EXPECT_EQ(watched(region), Status::success);
  EXPECT_EQ(m.read<u64>(m.scratch + 0x200), 0u);
  m.write(region, u64{1});
  EXPECT_EQ(watched(region), Status::success);
  EXPECT_EQ(m.read<u64>(m.scratch + 0x200), 1u);
  EXPECT_EQ(m.read<u64>(m.scratch + 0x180), region);
}

TEST_F(MemoryServices, ACopyThatRunsOutOfMemoryIsPartialWithItsCount) {
  ASSERT_EQ(allocate(0, 0x1000, mem::kReserve | mem::kCommit, page::kReadWrite), Status::success);
  const Va source = base() + 0xFF0;
  EXPECT_EQ(m.call("NtReadVirtualMemory", {ServiceMachine::kSelf, source, m.scratch + 0x100, 0x40, m.scratch + 0x80}),
            Status::partial_copy);
  EXPECT_EQ(m.read<u64>(m.scratch + 0x80), 0x10u);
  EXPECT_EQ(m.call("NtReadVirtualMemory", {0, source, m.scratch, 0, 0}),
            Status::success);  // size 0: the handle is not looked at
}

TEST_F(MemoryServices, OnlyModulesWithAUnixHalfGetAHandle) {
  EXPECT_EQ(m.call("NtQueryVirtualMemory", {ServiceMachine::kSelf, m.scratch, 1000, m.scratch + 0x80, 8, 0}),
            Status::dll_not_found);
  EXPECT_EQ(m.call("NtQueryVirtualMemory", {ServiceMachine::kSelf, m.scratch, 77, m.scratch + 0x80, 8, 0}),
            Status::invalid_info_class);
}

TEST_F(MemoryServices, APageFileSectionIsSharedByItsViews) {
  m.write(m.scratch + 0x10, u64{0x3000});
  ASSERT_EQ(
      m.call("NtCreateSection", {m.scratch, kSectionAllAccess, 0, m.scratch + 0x10, page::kReadWrite, sec::kCommit, 0}),
      Status::success);
  const u64 section = m.handle();
  Va views[2];
  for (Va& view : views) {
    m.write(m.scratch + 0x20, Va{0});
    m.write(m.scratch + 0x28, u64{0});
    ASSERT_EQ(m.call("NtMapViewOfSection", {section, ServiceMachine::kSelf, m.scratch + 0x20, 0, 0, 0, m.scratch + 0x28,
                                            2, 0, page::kReadWrite}),
              Status::success);
    view = m.read<Va>(m.scratch + 0x20);
    EXPECT_EQ(m.read<u64>(m.scratch + 0x28), 0x3000u);
  }
  m.write(views[0] + 0x1234, u32{42});
  EXPECT_EQ(m.read<u32>(views[1] + 0x1234), 42u);
  EXPECT_EQ(m.call("NtAreMappedFilesTheSame", {views[0], views[1]}), Status::success);
  EXPECT_EQ(m.call("NtAreMappedFilesTheSame", {views[0], m.scratch}), Status::conflicting_addresses);
  EXPECT_EQ(m.call("NtUnmapViewOfSection", {ServiceMachine::kSelf, views[0] + 0x2000}), Status::success);
  EXPECT_EQ(m.call("NtUnmapViewOfSection", {ServiceMachine::kSelf, views[0]}), Status::not_mapped_view);
}

TEST_F(MemoryServices, AViewNeedsTheRightThatItsProtectionAsksFor) {
  m.write(m.scratch + 0x10, u64{0x1000});
  ASSERT_EQ(
      m.call("NtCreateSection", {m.scratch, kSectionMapRead, 0, m.scratch + 0x10, page::kReadWrite, sec::kCommit, 0}),
      Status::success);
  m.write(m.scratch + 0x20, Va{0});
  m.write(m.scratch + 0x28, u64{0});
  const auto map = [&](u64 protect) {
    return m.call("NtMapViewOfSection",
                  {m.handle(), ServiceMachine::kSelf, m.scratch + 0x20, 0, 0, 0, m.scratch + 0x28, 2, 0, protect});
  };
  EXPECT_EQ(map(page::kReadWrite), Status::access_denied);
  EXPECT_EQ(map(page::kReadOnly), Status::success);
}

}  // namespace
}  // namespace vitrine::nt::test
