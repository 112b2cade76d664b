// Image sections: subsections, sharing, relocation status, protection rules.
#include "fixture.h"

namespace vitrine::mm::test {
namespace {

class ImageTest : public MemoryTest {
 protected:
  ImageTest()
      : file_(make_image({{".text", kCode, 0x2800, 0x2800},
                          {".data", kData, 0x3000, 0x200},
                          {".rdata", kReadOnlyData, 0x1000, 0x400},
                          {".shared", kData | pe::kSectionShared, 0x1000, 0x200}})) {}
  Section section() { return *manager_.create_section({&file_, 0, page::kExecuteRead, sec::kImage}); }
  static MapRequest anywhere() { return {.protect = page::kExecuteWriteCopy}; }

  FakeFile file_;
  static constexpr Va kBase = 0x1'8000'0000;
};

TEST_F(ImageTest, DescribesItself) {
  const Section image = section();
  EXPECT_TRUE(image.is_image());
  EXPECT_EQ(image.size(), 0x9000u);
  EXPECT_EQ(image.basic_information().allocation_attributes, sec::kImage | sec::kFile);
  const auto info = image.image_information();
  ASSERT_TRUE(info);
  EXPECT_EQ(info->transfer_address, kBase + 0x1000);
  EXPECT_EQ(info->machine, pe::kMachineAmd64);
  EXPECT_EQ(info->subsystem_type, 3u);
  EXPECT_EQ(info->maximum_stack_size, 0x10'0000u);
  EXPECT_EQ(info->contains_code, 1);
  EXPECT_EQ(info->image_file_size, file_.bytes.size());
  EXPECT_EQ(file_.references, 1);
}

TEST_F(ImageTest, PagesComeFromTheFileWithZeroesBehindRawData) {
  auto space = make_space();
  const Section image = section();
  const auto view = space->map_view(image, anywhere());
  ASSERT_TRUE(view);
  EXPECT_EQ(view->status, Status::success);
  EXPECT_EQ(view->range.base, kBase);
  EXPECT_EQ(space->read_value<u16>(kBase), pe::kDosMagic);
  EXPECT_EQ(space->read_value<u8>(kBase + 0x3FF), std::to_integer<u8>(file_.bytes[0x3FF]));
  EXPECT_EQ(space->read_value<u8>(kBase + 0x400), 0) << "headers end there";
  EXPECT_EQ(space->read_value<u8>(kBase + 0x1000), 0x10);
  EXPECT_EQ(space->read_value<u8>(kBase + 0x37FF), 0x10);
  EXPECT_EQ(space->read_value<u8>(kBase + 0x3800), 0);
  EXPECT_EQ(space->read_value<u8>(kBase + 0x41FF), 0x11);
  EXPECT_EQ(space->read_value<u8>(kBase + 0x4200), 0);
  EXPECT_EQ(space->read_value<u8>(kBase + 0x5000), 0) << ".data is mostly zero";
  EXPECT_EQ(space->read_value<u8>(kBase + 0x7000), 0x12);
}

TEST_F(ImageTest, ProtectionFollowsTheSections) {
  auto space = make_space();
  const Section image = section();
  ASSERT_TRUE(space->map_view(image, anywhere()));
  EXPECT_EQ(touch(*space, kBase + 0x1000, kFetchFault).status, Status::success);
  EXPECT_EQ(touch(*space, kBase + 0x1000, kWriteFault).status, Status::access_violation);
  EXPECT_EQ(touch(*space, kBase + 0x4000, kFetchFault).status, Status::access_violation);
  EXPECT_EQ(touch(*space, kBase, kFetchFault).status, Status::access_violation);
  const auto expect = [&](u64 offset, u64 size, u32 protect) {
    const auto info = space->query_basic(kBase + offset);
    EXPECT_EQ(info->region_size, size) << offset;
    EXPECT_EQ(info->protect, protect) << offset;
    EXPECT_EQ(info->type, mem::kImage);
    EXPECT_EQ(info->allocation_protect, page::kExecuteWriteCopy);
  };
  expect(0, 0x1000, page::kReadOnly);
  expect(0x1000, 0x3000, page::kExecuteRead);
  expect(0x4000, 0x3000, page::kWriteCopy);
  expect(0x7000, 0x1000, page::kReadOnly);
  expect(0x8000, 0x1000, page::kReadWrite);
}

TEST_F(ImageTest, TwoProcessesShareCodeAndCopyData) {
  auto a = make_space();
  auto b = make_space();
  const Section image = section();
  ASSERT_TRUE(a->map_view(image, anywhere()));
  ASSERT_TRUE(b->map_view(section(), anywhere()));
  EXPECT_EQ(manager_.books().held.segments, 1u);
  EXPECT_EQ(touch(*a, kBase + 0x1000, kFetchFault).resolution, FaultResolution::file_read);
  EXPECT_EQ(touch(*b, kBase + 0x1000, kFetchFault).resolution, FaultResolution::soft);
  EXPECT_EQ(a->page_table().get(kBase + 0x1000).pfn(), b->page_table().get(kBase + 0x1000).pfn());
  ASSERT_EQ(a->write_value<u8>(kBase + 0x4000, 0x77), Status::success);
  EXPECT_EQ(b->read_value<u8>(kBase + 0x4000), 0x11);
  ASSERT_EQ(a->write_value<u8>(kBase + 0x8000, 0x55), Status::success);
  EXPECT_EQ(b->read_value<u8>(kBase + 0x8000), 0x55) << "IMAGE_SCN_MEM_SHARED";
  EXPECT_EQ(std::to_integer<u8>(file_.bytes[0x400 + 0x2800]), 0x11) << "an image never writes to its file";
}

TEST_F(ImageTest, CopyOnWritePagesAreChargedAtMapTime) {
  auto space = make_space();
  const u64 charge = space->commit_charge();
  const Section image = section();
  ASSERT_TRUE(space->map_view(image, anywhere()));
  EXPECT_EQ(space->commit_charge() - charge, 3u);
  ASSERT_EQ(space->unmap_view(kBase + 0x5000), Status::success);
  EXPECT_EQ(space->commit_charge(), charge);
}

TEST_F(ImageTest, ATakenBaseMovesTheImageAndSaysSo) {
  auto space = make_space();
  const Section image = section();
  ASSERT_TRUE(space->allocate(request(0x1000, mem::kReserve, page::kReadWrite, kBase + 0x8000)).has_value());
  const auto view = space->map_view(image, anywhere());
  ASSERT_TRUE(view);
  EXPECT_EQ(view->status, Status::image_not_at_base);
  EXPECT_EQ(view->range.base % kAllocationGranularity, 0u);
  EXPECT_EQ(space->read_value<u16>(view->range.base), pe::kDosMagic);
  MapRequest named = anywhere();
  named.base = kBase;
  EXPECT_EQ(space->map_view(image, named).error(), Status::conflicting_addresses);
  named.base = 0x5000'0000;
  EXPECT_EQ(space->map_view(image, named)->status, Status::image_not_at_base);
}

TEST_F(ImageTest, MappedTwiceInOneProcessSharesToo) {
  auto space = make_space();
  const Section image = section();
  ASSERT_TRUE(space->map_view(image, anywhere()));
  const auto second = space->map_view(image, anywhere());
  EXPECT_EQ(second->status, Status::image_not_at_base);
  touch(*space, kBase + 0x1000);
  touch(*space, second->range.base + 0x1000);
  EXPECT_EQ(memory_.pfn().share_count(space->page_table().get(kBase + 0x1000).pfn()), 2u);
}

TEST_F(ImageTest, ALoaderThatMakesCodeWritableGetsCopies) {
  auto space = make_space();
  const Section image = section();
  ASSERT_TRUE(space->map_view(image, anywhere()));
  Vad& vad = *space->vads().find(kBase);
  const auto changed = space->protect(kBase + 0x1000, 0x3000, page::kReadWrite);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->old_protect, page::kExecuteRead);
  EXPECT_EQ(vad.commit_charge(), 6u);
  EXPECT_EQ(space->query_basic(kBase + 0x1000)->protect, page::kWriteCopy);
  ASSERT_EQ(space->write_value<u64>(kBase + 0x1008, 0x1234), Status::success);
  ASSERT_TRUE(space->protect(kBase + 0x1000, 0x3000, page::kExecuteRead));
  EXPECT_EQ(vad.commit_charge(), 4u);
  EXPECT_EQ(space->read_value<u64>(kBase + 0x1008), 0x1234u);
  EXPECT_EQ(space->query_basic(kBase + 0x1000)->protect, page::kExecuteRead);
  auto other = make_space();
  ASSERT_TRUE(other->map_view(image, anywhere()));
  EXPECT_EQ(other->read_value<u8>(kBase + 0x1008), 0x10);
}

TEST_F(ImageTest, TheSegmentEndsWithItsLastUser) {
  const HeldBooks before = manager_.books().held;
  auto space = make_space();
  {
    const Section image = section();
    ASSERT_TRUE(space->map_view(image, anywhere()));
    touch(*space, kBase);
  }
  EXPECT_TRUE(manager_.has_image_section(file_.identity()));
  EXPECT_FALSE(manager_.can_truncate(file_.identity(), 1 << 20));
  EXPECT_EQ(file_.references, 1) << "the view keeps it";
  ASSERT_EQ(space->unmap_view(kBase), Status::success);
  EXPECT_EQ(file_.references, 0);
  EXPECT_FALSE(manager_.has_image_section(file_.identity()));
  space.reset();
  EXPECT_EQ(manager_.books().held, before);
}

TEST_F(ImageTest, RefusalsAreThoseOfTheFormat) {
  FakeFile text(pattern(0x1000), 9);
  EXPECT_EQ(manager_.create_section({&text, 0, page::kReadOnly, sec::kImage}).error(), Status::invalid_image_not_mz);
  FakeFile cut(std::vector<std::byte>(file_.bytes.begin(), file_.bytes.begin() + 0x1000), 10);
  EXPECT_EQ(manager_.create_section({&cut, 0, page::kReadOnly, sec::kImage}).error(), Status::invalid_image_format);
  file_.fail_reads = Status::in_page_error;
  EXPECT_EQ(manager_.create_section({&file_, 0, page::kReadOnly, sec::kImage}).error(), Status::in_page_error);
}

}  // namespace
}  // namespace vitrine::mm::test
