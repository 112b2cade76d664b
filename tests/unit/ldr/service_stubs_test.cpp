#include "ldr/service_stubs.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "../pe/pe_file.h"

namespace vitrine::ldr {
namespace {

TEST(ServiceStubs, OnlyMissingServicesGetANumberBehindTheGreatest) {
  const pe::File file = pe::valid();
  const auto image = pe::parse(file.bytes);
  ASSERT_TRUE(image.has_value());
  const std::vector<Stub> known{{3, "NtClose"}, {0x41, "NtOpenFile"}, {0x7FF, "__wine_unix_call"}};
  const std::array<std::string_view, 3> wanted{"NtClose", "NtOpenMore", "__wine_thing"};
  const auto stubbed = with_service_stubs(*image, file.bytes.size(), known, wanted);
  ASSERT_TRUE(stubbed.has_value());
  ASSERT_EQ(stubbed->added.size(), 1u);
  EXPECT_EQ(stubbed->added[0].name, "NtOpenMore");
  EXPECT_EQ(stubbed->added[0].number, 0x42u);
  u32 number = 0;
  std::memcpy(&number, stubbed->image.section.data() + 4, sizeof number);  // mov eax, number
  EXPECT_EQ(number, 0x42u);
}

TEST(ServiceStubs, NothingMissingNothingDone) {
  const pe::File file = pe::valid();
  const auto image = pe::parse(file.bytes);
  ASSERT_TRUE(image.has_value());
  const std::vector<Stub> known{{3, "NtClose"}};
  const std::array<std::string_view, 1> wanted{"NtClose"};
  EXPECT_FALSE(with_service_stubs(*image, file.bytes.size(), known, wanted).has_value());
}

// A file of the test's own.
struct Bytes final : mm::FileBacking {
  std::vector<std::byte> bytes;
  int retained = 0;
  mm::FileIdentity identity() const override { return {1, 2}; }
  u64 size() const override { return bytes.size(); }
  Status read(u64 offset, std::span<std::byte> into) override {
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = offset + i < bytes.size() ? bytes[offset + i] : std::byte{0};
    return Status::success;
  }
  Status write(u64, std::span<const std::byte>) override { return Status::access_denied; }
  Status extend(u64) override { return Status::access_denied; }
  void retain() override { ++retained; }
  void release() override { --retained; }
};

TEST(ExtendedFile, ShowsHeadersThenTheFileThenTheSectionWhereverAReadBegins) {
  Bytes file;
  for (int i = 0; i < 100; ++i) file.bytes.push_back(static_cast<std::byte>(i));
  pe::ExtendedImage extension{.headers = {10, std::byte{0xAA}}, .section_offset = 128, .section = {20, std::byte{0xBB}}};
  ExtendedFile& extended = ExtendedFile::create(file, extension);
  EXPECT_EQ(file.retained, 1);
  EXPECT_EQ(extended.size(), 148u);
  const auto expected = [](u64 at) {
    if (at < 10) return std::byte{0xAA};
    if (at < 100) return static_cast<std::byte>(at);
    return at >= 128 && at < 148 ? std::byte{0xBB} : std::byte{0};
  };
  for (u64 offset = 0; offset < 160; offset += 3) {
    for (const u64 length : {u64{1}, u64{40}, u64{160}}) {
      std::vector<std::byte> into(length);
      ASSERT_EQ(extended.read(offset, into), Status::success);
      for (u64 i = 0; i < length; ++i) ASSERT_EQ(into[i], expected(offset + i)) << offset << "+" << i;
    }
  }
  extended.retain();
  extended.release();
  EXPECT_EQ(file.retained, 1);
  extended.release();
  EXPECT_EQ(file.retained, 0);
}

}  // namespace
}  // namespace vitrine::ldr
