// Sections: page-file and data-file backed; sharing, copies, statuses.
#include "fixture.h"

namespace vitrine::mm::test {
namespace {

class SectionTest : public MemoryTest {
 protected:
  Status create_status(const SectionRequest& r) {
    const auto section = manager_.create_section(r);
    return section ? Status::success : section.error();
  }
  Section make(u64 size, u32 protection = page::kReadWrite, u32 attributes = sec::kCommit,
               FileBacking* file = nullptr) {
    auto section = manager_.create_section({file, size, protection, attributes});
    EXPECT_TRUE(section) << status_name(section.error());
    return std::move(*section);
  }
  Va map(AddressSpace& space, const Section& section, u32 protect = page::kReadWrite, u64 offset = 0, u64 size = 0) {
    const auto view = space.map_view(section, {.offset = offset, .view_size = size, .protect = protect});
    EXPECT_TRUE(view) << status_name(view.error());
    return view ? view->range.base : 0;
  }
  Status map_status(AddressSpace& space, const Section& section, const MapRequest& r) {
    const auto view = space.map_view(section, r);
    return view ? Status::success : view.error();
  }
};

TEST_F(SectionTest, CreateStatuses) {
  FakeFile empty({}, 2);
  FakeFile file(pattern(100));
  EXPECT_EQ(create_status({nullptr, 1, page::kReadWrite, 0}), Status::invalid_parameter_6);
  EXPECT_EQ(create_status({nullptr, 1, page::kReadWrite, sec::kCommit | sec::kReserve}), Status::invalid_parameter_6);
  EXPECT_EQ(create_status({&file, 0, page::kReadOnly, sec::kImage | sec::kCommit}), Status::invalid_parameter_6);
  EXPECT_EQ(create_status({nullptr, 1, page::kReadWrite, sec::kCommit | 1}), Status::invalid_parameter_6);
  EXPECT_EQ(create_status({nullptr, 1, page::kNoAccess, sec::kCommit}), Status::invalid_page_protection);
  EXPECT_EQ(create_status({nullptr, 1, page::kReadWrite | page::kGuard, sec::kCommit}),
            Status::invalid_page_protection);
  EXPECT_EQ(create_status({nullptr, 0, page::kReadWrite, sec::kCommit}), Status::invalid_parameter_4);
  EXPECT_EQ(create_status({nullptr, 1, page::kReadOnly, sec::kImage}), Status::invalid_file_for_section);
  EXPECT_EQ(create_status({&empty, 0, page::kReadOnly, sec::kCommit}), Status::mapped_file_size_zero);
  EXPECT_EQ(create_status({&file, 101, page::kReadOnly, sec::kCommit}), Status::section_too_big);
  EXPECT_EQ(create_status({nullptr, ~0ull, page::kReadWrite, sec::kReserve}), Status::section_too_big);
  EXPECT_EQ(create_status({nullptr, 1ull << 30, page::kReadWrite, sec::kCommit}), Status::commitment_limit);
  EXPECT_EQ(create_status({&file, 0, page::kReadOnly, sec::kImage}), Status::invalid_image_not_mz);
  EXPECT_EQ(file.references, 0);
  EXPECT_EQ(manager_.books().held.segments, 0u);
}

TEST_F(SectionTest, TwoSpacesShareFramesOfAPageFileSection) {
  auto a = make_space();
  auto b = make_space();
  const Section section = make(0x3000);
  EXPECT_EQ(section.basic_information().maximum_size, 0x3000u);
  EXPECT_EQ(section.image_information().error(), Status::section_not_image);
  const Va in_a = map(*a, section);
  const Va in_b = map(*b, section, page::kReadOnly);
  ASSERT_EQ(a->write_value<u32>(in_a + 0x1004, 7), Status::success);
  EXPECT_EQ(b->read_value<u32>(in_b + 0x1004), 7u);
  EXPECT_EQ(a->page_table().get(in_a + 0x1000).pfn(), b->page_table().get(in_b + 0x1000).pfn());
  EXPECT_EQ(memory_.pfn().share_count(a->page_table().get(in_a + 0x1000).pfn()), 2u);
  EXPECT_EQ(b->write_value<u32>(in_b + 0x1004, 8), Status::access_violation);
  EXPECT_EQ(b->protect(in_b, 1, page::kReadWrite)->old_protect, page::kReadOnly) << "the section allows it";
}

TEST_F(SectionTest, ContentsOutliveTheLastView) {
  auto space = make_space();
  const Section section = make(0x1000);
  const Va first = map(*space, section);
  ASSERT_EQ(space->write_value<u32>(first, 99), Status::success);
  ASSERT_EQ(space->unmap_view(first + 0x800), Status::success);
  EXPECT_EQ(memory_.pfn().list_length(PageLocation::modified), 1u) << "no page file yet: only the list keeps it";
  EXPECT_EQ(space->read_value<u32>(map(*space, section)), 99u);
  EXPECT_EQ(memory_.pfn().list_length(PageLocation::modified), 0u);
}

TEST_F(SectionTest, WriteCopyIsChargedAndPrivate) {
  auto a = make_space();
  auto b = make_space();
  const Section section = make(0x4000);
  const Va shared = map(*b, section);
  ASSERT_EQ(b->write_value<u32>(shared, 1), Status::success);
  const u64 charge = a->commit_charge();
  const Va copy = map(*a, section, page::kWriteCopy);
  EXPECT_EQ(a->commit_charge() - charge, 4u);
  EXPECT_EQ(a->read_value<u32>(copy), 1u);
  const FaultResult result = touch(*a, copy, kWriteFault | cpu::page_fault::kProtection);
  EXPECT_EQ(result.resolution, FaultResolution::copy_on_write);
  ASSERT_EQ(a->write_value<u32>(copy, 2), Status::success);
  EXPECT_EQ(b->read_value<u32>(shared), 1u);
  ASSERT_EQ(b->write_value<u32>(shared, 3), Status::success);
  EXPECT_EQ(a->read_value<u32>(copy), 2u);
  EXPECT_EQ(a->query_basic(copy)->protect, page::kReadWrite);
  EXPECT_EQ(a->query_basic(copy)->region_size, kPageSize);
  EXPECT_EQ(a->query_basic(copy + 0x1000)->protect, page::kWriteCopy);
  EXPECT_EQ(a->write_value<u32>(copy + 0x3000, 5), Status::success) << "copy of an untouched page";
  EXPECT_EQ(b->read_value<u32>(shared + 0x3000), 0u);
}

TEST_F(SectionTest, ProtectMovesTheCopyChargeBothWays) {
  auto space = make_space();
  const Section section = make(0x4000);
  const Va view = map(*space, section, page::kReadOnly);
  Vad& vad = *space->vads().find(view);
  ASSERT_TRUE(space->protect(view, 0x2000, page::kWriteCopy));
  EXPECT_EQ(vad.commit_charge(), 2u);
  ASSERT_EQ(space->write_value<u32>(view, 1), Status::success);
  ASSERT_TRUE(space->protect(view, 0x2000, page::kReadOnly));
  EXPECT_EQ(vad.commit_charge(), 1u) << "the copy that exists is still paid for";
  ASSERT_TRUE(space->protect(view, 0x4000, page::kWriteCopy));
  EXPECT_EQ(vad.commit_charge(), 4u);
  ASSERT_TRUE(space->protect(view, 0x4000, page::kNoAccess));
  EXPECT_EQ(vad.commit_charge(), 1u);
  EXPECT_EQ(space->read_value<u32>(view).error(), Status::access_violation);
  ASSERT_TRUE(space->protect(view, 0x1000, page::kReadOnly));
  EXPECT_EQ(space->read_value<u32>(view), 1u);
}

TEST_F(SectionTest, ReservedSectionsAreCommittedForEveryView) {
  const u64 committed = memory_.committed();
  auto a = make_space();
  auto b = make_space();
  {
    const Section section = make(0x100'0000, page::kReadWrite, sec::kReserve);
    const Va in_a = map(*a, section);
    const Va in_b = map(*b, section);
    EXPECT_EQ(a->query_basic(in_a)->state, mem::kReserve);
    EXPECT_EQ(touch(*a, in_a).status, Status::access_violation);
    ASSERT_TRUE(a->allocate(request(0x2000, mem::kCommit, page::kReadWrite, in_a + 0x1000)));
    const auto info = b->query_basic(in_b + 0x1000);
    EXPECT_EQ(info->state, mem::kCommit);
    EXPECT_EQ(info->region_size, 0x2000u);
    EXPECT_EQ(b->query_basic(in_b + 0x3000)->region_size, 0x100'0000u - 0x3000);
    EXPECT_EQ(b->write_value<u32>(in_b + 0x1000, 4), Status::success);
    EXPECT_EQ(a->read_value<u32>(in_a + 0x1000), 4u);
    EXPECT_EQ(a->protect(in_a, 0x2000, page::kReadOnly).error(), Status::not_committed);
    ASSERT_EQ(a->unmap_view(in_a), Status::success);
    ASSERT_EQ(b->unmap_view(in_b), Status::success);
  }
  a.reset();
  b.reset();
  EXPECT_EQ(memory_.committed(), committed);
}

TEST_F(SectionTest, MapStatuses) {
  auto space = make_space();
  const Section section = make(0x1'8000, page::kReadOnly);
  const auto with = [&](MapRequest r) { return map_status(*space, section, r); };
  EXPECT_EQ(with({.inherit = 3, .protect = page::kReadOnly}), Status::invalid_parameter_8);
  EXPECT_EQ(with({.type = mem::kCommit, .protect = page::kReadOnly}), Status::invalid_parameter_9);
  EXPECT_EQ(with({.protect = 0}), Status::invalid_page_protection);
  EXPECT_EQ(with({.base = ~0ull, .protect = page::kReadOnly}), Status::invalid_parameter_3);
  EXPECT_EQ(with({.view_size = ~0ull, .protect = page::kReadOnly}), Status::invalid_parameter_3);
  EXPECT_EQ(with({.zero_bits = 21, .protect = page::kReadOnly}), Status::invalid_parameter_4);
  EXPECT_EQ(with({.base = 0x10'1000, .protect = page::kReadOnly}), Status::mapped_alignment);
  EXPECT_EQ(with({.offset = 0x1000, .protect = page::kReadOnly}), Status::mapped_alignment);
  EXPECT_EQ(with({.offset = 0x2'0000, .protect = page::kReadOnly}), Status::invalid_view_size);
  EXPECT_EQ(with({.offset = 0x1'0000, .view_size = 0x8001, .protect = page::kReadOnly}), Status::invalid_view_size);
  EXPECT_EQ(with({.protect = page::kReadWrite}), Status::section_protection);
  ASSERT_EQ(with({.base = 0x20'0000, .protect = page::kReadOnly}), Status::success);
  EXPECT_EQ(with({.base = 0x21'0000, .protect = page::kReadOnly}), Status::conflicting_addresses);
  EXPECT_EQ(space->protect(0x20'0000, 1, page::kReadWrite).error(), Status::section_protection);
  EXPECT_EQ(space->free(0x20'0000, 0, mem::kRelease).error(), Status::unable_to_delete_section);
  EXPECT_EQ(space->allocate(request(1, mem::kCommit, page::kReadOnly, 0x20'0000)).error(), Status::already_committed);
  const Va own = commit(*space, 0x1000);
  EXPECT_EQ(space->unmap_view(own), Status::not_mapped_view);
  EXPECT_EQ(space->unmap_view(0x50'0000), Status::not_mapped_view);
}

TEST_F(SectionTest, AFileIsReadPageByPageAndZeroBehindItsEnd) {
  FakeFile file(pattern(0x2100));
  auto space = make_space();
  const Section section = make(0, page::kReadOnly, sec::kCommit, &file);
  EXPECT_EQ(section.size(), 0x2100u);
  EXPECT_EQ(section.basic_information().allocation_attributes, sec::kFile);
  const Va view = map(*space, section, page::kReadOnly);
  EXPECT_EQ(space->query_basic(view)->region_size, 0x3000u);
  const FaultResult hard = touch(*space, view + 0x2000);
  EXPECT_EQ(hard.resolution, FaultResolution::file_read);
  EXPECT_EQ(file.reads, 1u);
  EXPECT_EQ(space->read_value<u8>(view + 0x20FF), std::to_integer<u8>(file.bytes[0x20FF]));
  EXPECT_EQ(space->read_value<u8>(view + 0x2100), 0);
  EXPECT_EQ(space->query_mapped_file(view + 1), &file);
}

TEST_F(SectionTest, AFailingReadIsAnInPageError) {
  FakeFile file(pattern(0x1000));
  auto space = make_space();
  const Section section = make(0, page::kReadOnly, sec::kCommit, &file);
  const Va view = map(*space, section, page::kReadOnly);
  file.fail_reads = Status::in_page_error;
  EXPECT_EQ(touch(*space, view).status, Status::in_page_error);
  file.fail_reads = Status::success;
  EXPECT_EQ(touch(*space, view).status, Status::success);
}

TEST_F(SectionTest, DirtyPagesReachTheFileOnFlushAndAtTheEnd) {
  FakeFile file(std::vector<std::byte>(0x2000));
  auto space = make_space();
  {
    const Section section = make(0, page::kReadWrite, sec::kCommit, &file);
    const Va view = map(*space, section);
    EXPECT_EQ(file.references, 1);
    ASSERT_EQ(space->write_value<u8>(view, 1), Status::success);
    EXPECT_EQ(file.bytes[0], std::byte{0});
    ASSERT_TRUE(space->flush(view, 0));
    EXPECT_EQ(file.bytes[0], std::byte{1});
    ASSERT_EQ(space->write_value<u8>(view, 2), Status::success) << "dirty again after a flush";
    ASSERT_EQ(space->write_value<u8>(view + 0x1FFF, 3), Status::success);
    ASSERT_EQ(space->unmap_view(view), Status::success);
  }
  EXPECT_EQ(file.bytes[0], std::byte{2});
  EXPECT_EQ(file.bytes[0x1FFF], std::byte{3});
  EXPECT_EQ(file.references, 0);
}

TEST_F(SectionTest, FlushStatuses) {
  auto space = make_space();
  const Section section = make(0x1000);
  const Va view = map(*space, section);
  EXPECT_EQ(space->flush(0x70'0000, 0).error(), Status::not_mapped_view);
  EXPECT_EQ(space->flush(commit(*space, 0x1000), 0).error(), Status::not_mapped_view);
  EXPECT_EQ(space->flush(view, 0).error(), Status::not_mapped_data);
}

TEST_F(SectionTest, FileReadsAndWritesAgreeWithViews) {
  FakeFile file(pattern(0x2000));
  auto space = make_space();
  const Section section = make(0, page::kReadWrite, sec::kCommit, &file);
  const Va view = map(*space, section);
  ASSERT_EQ(space->write_value<u8>(view + 0x0FFF, 0xAA), Status::success);
  std::vector<std::byte> buffer(4);
  ASSERT_EQ(file.read(0x0FFE, buffer), Status::success);
  manager_.overlay_file_read(file.identity(), 0x0FFE, buffer);
  EXPECT_EQ(buffer[0], file.bytes[0x0FFE]);
  EXPECT_EQ(buffer[1], std::byte{0xAA});
  const std::vector<std::byte> written = {std::byte{1}, std::byte{2}, std::byte{3}};
  ASSERT_EQ(file.write(0x0FFF, written), Status::success);
  manager_.apply_file_write(file.identity(), 0x0FFF, written);
  EXPECT_EQ(space->read_value<u8>(view + 0x0FFF), 1);
  EXPECT_EQ(space->read_value<u8>(view + 0x1000), 2) << "read from the file only now";
}

TEST_F(SectionTest, SectionsOfOneFileShareASegmentAndGrowIt) {
  FakeFile file(pattern(0x1000));
  auto space = make_space();
  const Section small = make(0, page::kReadOnly, sec::kCommit, &file);
  Section big = make(0x3000, page::kReadWrite, sec::kCommit, &file);
  EXPECT_EQ(file.bytes.size(), 0x3000u);
  EXPECT_EQ(small.segment(), big.segment());
  EXPECT_EQ(manager_.books().held.segments, 1u);
  EXPECT_EQ(small.size(), 0x1000u);
  const Va view = map(*space, big);
  ASSERT_EQ(space->write_value<u8>(view + 0x2FFF, 1), Status::success);
  EXPECT_EQ(*big.extend(0x5000), 0x5000u);
  EXPECT_EQ(file.bytes.size(), 0x5000u);
  EXPECT_EQ(*big.extend(0x10), 0x5000u) << "never shrinks";
  EXPECT_EQ(make(0x1000).extend(0x2000).error(), Status::section_not_extended);
}

TEST_F(SectionTest, TruncationIsRefusedWhileAViewShowsMore) {
  FakeFile file(pattern(0x3000));
  auto space = make_space();
  const Section section = make(0, page::kReadOnly, sec::kCommit, &file);
  EXPECT_TRUE(manager_.can_truncate(file.identity(), 0));
  const Va view = map(*space, section, page::kReadOnly, 0, 0x1000);
  EXPECT_TRUE(manager_.can_truncate(file.identity(), 0x1000));
  EXPECT_FALSE(manager_.can_truncate(file.identity(), 0));
  ASSERT_EQ(space->unmap_view(view), Status::success);
  file.bytes.resize(0x800);
  manager_.file_truncated(file.identity(), 0x800);
  const Va again = map(*space, section, page::kReadOnly);
  EXPECT_EQ(space->read_value<u8>(again + 0x7FF), std::to_integer<u8>(file.bytes[0x7FF]));
  EXPECT_EQ(space->read_value<u8>(again + 0x800), 0);
}

TEST_F(SectionTest, StandbyPagesAreSoftFaultsUntilMemoryIsTakenFromThem) {
  FakeFile file(pattern(0x2000));
  auto space = make_space();
  const Section section = make(0, page::kReadOnly, sec::kCommit, &file);
  Va view = map(*space, section, page::kReadOnly);
  touch(*space, view);
  ASSERT_EQ(space->unmap_view(view), Status::success);
  EXPECT_EQ(memory_.pfn().list_length(PageLocation::standby), 1u);
  view = map(*space, section, page::kReadOnly);
  EXPECT_EQ(touch(*space, view).resolution, FaultResolution::soft);
  EXPECT_EQ(file.reads, 1u);
  ASSERT_EQ(space->unmap_view(view), Status::success);
  while (memory_.pfn().list_length(PageLocation::standby) > 0) {
    ASSERT_TRUE(memory_.pfn().allocate(FrameUse::process_private, Contents::any));
  }
  EXPECT_EQ(section.segment()->resident_pages, 0u);
}

TEST_F(SectionTest, BooksReturnToTheStart) {
  const HeldBooks before = manager_.books().held;
  FakeFile file(pattern(0x5000));
  {
    auto a = make_space();
    auto b = make_space();
    const Section memory = make(0x8000);
    const Section data = make(0, page::kReadWrite, sec::kCommit, &file);
    for (AddressSpace* space : {a.get(), b.get()}) {
      const Va one = map(*space, memory, page::kWriteCopy);
      const Va two = map(*space, data);
      ASSERT_EQ(space->fill(one + 0x1000, 0x3000, std::byte{1}), Status::success);
      ASSERT_EQ(space->fill(two, 0x5000, std::byte{2}), Status::success);
      ASSERT_EQ(space->lock(one, 0x2000, LockKind::working_set), Status::success);
      ASSERT_EQ(space->write_value<u8>(one, 1), Status::success) << "the lock follows the copy";
      ASSERT_TRUE(space->protect(two, 0x1000, page::kNoAccess));
    }
  }
  EXPECT_EQ(manager_.books().held, before);
  EXPECT_EQ(pool_.usage(ex::PoolType::paged).blocks, 0u);
  EXPECT_EQ(pool_.usage(ex::PoolType::nonpaged).blocks, 0u);
}

}  // namespace
}  // namespace vitrine::mm::test
