// Who registered for images hears of each that a program maps (PsSetLoadImageNotifyRoutine), and of nothing else.
#include "../mm/fixture.h"
#include "service_machine.h"

namespace vitrine::nt::test {
namespace {

// The file outlives the machine, whose sections have it.
struct ImageFile {
  mm::test::FakeFile file{
      mm::test::make_image({{".text", pe::kSectionCode | pe::kSectionExecute | pe::kSectionRead, 0x1000, 0x200}})};
};

class ImageNotify : public ImageFile, public testing::Test {
 protected:
  ImageNotify() {
    (void)m.processes->image_notify.add([this](ps::Process& process, std::u16string_view, Va base, u64 size) {
      EXPECT_EQ(&process, m.process.get());
      told.emplace_back(base, size);
    });
  }
  u64 section_handle(u32 attributes) {
    mm::FileBacking* const backing = attributes == mm::sec::kImage ? &file : nullptr;
    auto section =
        m.memory.create_section({backing, backing == nullptr ? 0x1000u : 0u, mm::page::kExecuteReadWrite, attributes});
    VITRINE_CHECK(section.has_value());
    auto object = m.objects.create<mm::SectionObject>(*m.objects.find_type(u"Section"), {.kernel_object = true},
                                                      std::move(*section));
    return m.process->handles->insert(**object, mm::kSectionAllAccess, 0)->value;
  }
  Status map(u64 section) {
    m.write(m.scratch, Va{0});
    m.write(m.scratch + 8, u64{0});
    return m.call("NtMapViewOfSection", {section, ServiceMachine::kSelf, m.scratch, 0, 0, 0, m.scratch + 8, 1, 0,
                                         mm::page::kExecuteWriteCopy});
  }
  ServiceMachine m;
  std::vector<std::pair<Va, u64>> told;
};

TEST_F(ImageNotify, IsToldOfEachImageAsItIsMapped) {
  const u64 image = section_handle(mm::sec::kImage);
  EXPECT_TRUE(told.empty()) << "a section alone is not mapped";
  ASSERT_TRUE(is_success(map(image)));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].first, m.read<Va>(m.scratch));
  EXPECT_EQ(told[0].second, m.read<u64>(m.scratch + 8));
  ASSERT_TRUE(is_success(map(section_handle(mm::sec::kCommit))));
  EXPECT_EQ(told.size(), 1u) << "memory is no image";
}

}  // namespace
}  // namespace vitrine::nt::test
