#include "pe/extend_exports.h"

#include <gtest/gtest.h>

#include <array>

#include "pe_file.h"

namespace vitrine::pe {
namespace {

constexpr std::array<std::byte, 5> kCode{std::byte{0x90}, std::byte{0xC3}, std::byte{0xCC}, std::byte{0x90}, std::byte{0xC3}};

// The file with the extension laid over it.
std::vector<std::byte> extended(const File& file, std::span<const NewExport> added) {
  const auto image = parse(file.bytes);
  EXPECT_TRUE(image.has_value());
  const auto extension = extend_exports(*image, file.bytes.size(), kCode, added);
  EXPECT_TRUE(extension.has_value());
  std::vector<std::byte> bytes = file.bytes;
  std::ranges::copy(extension->headers, bytes.begin());
  bytes.resize(extension->section_offset);
  bytes.insert(bytes.end(), extension->section.begin(), extension->section.end());
  return bytes;
}

TEST(ExtendExports, NewNamesStandBesideTheOldOnesInTheLoadersOrder) {
  const std::array<NewExport, 2> added{{{"zeta", 3}, {"aleph", 0}}};
  const auto bytes = extended(valid(), added);
  const auto image = parse(bytes);
  ASSERT_TRUE(image.has_value());
  std::vector<std::string> names;
  for (const Export& e : image->exports()) names.emplace_back(e.name);
  EXPECT_EQ(names, (std::vector<std::string>{"aleph", "alpha", "beta", "zeta"}));
  EXPECT_EQ(image->find_export("alpha")->rva, 0x1020u);
  EXPECT_EQ(image->find_export("alpha")->ordinal, 5u);  // ordinals do not move
  EXPECT_EQ(image->find_export("beta")->forwarder, "other.gamma");
  const auto code = image->bytes_at(image->find_export("zeta")->rva, 2);
  ASSERT_EQ(code.size(), 2u);
  EXPECT_EQ(code[0], kCode[3]);
  EXPECT_EQ(code[1], kCode[4]);
}

TEST(ExtendExports, TheNewSectionLiesBehindTheImageAndCanBeExecutedNotWritten) {
  const std::array<NewExport, 1> added{{{"zeta", 0}}};
  const auto bytes = extended(valid(), added);
  const auto image = parse(bytes);
  ASSERT_TRUE(image.has_value());
  const Section& last = image->headers().sections.back();
  EXPECT_EQ(last.virtual_address, 0x3000u);
  EXPECT_EQ(image->headers().size_of_image, 0x4000u);
  EXPECT_EQ(last.characteristics, kSectionCode | kSectionExecute | kSectionRead);
  EXPECT_EQ(image->string_at(image->headers().directory(Directory::imports).rva), std::string_view());  // untouched
  EXPECT_EQ(image->imported_modules(), std::vector<std::string_view>{"KERNEL32.dll"});
}

TEST(ExtendExports, ANameThatIsThereKeepsItsMeaning) {
  const std::array<NewExport, 2> added{{{"alpha", 0}, {"zeta", 0}}};
  const auto bytes = extended(valid(), added);
  const auto image = parse(bytes);
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->find_export("alpha")->rva, 0x1020u);
  EXPECT_EQ(image->exports().size(), 3u);
}

TEST(ExtendExports, AnImageWithoutRoomForOneMoreHeaderIsLeftAlone) {
  File file = valid();
  file.optional([](OptionalHeader64& o) { o.size_of_headers = 0x1D8; });
  const auto image = parse(file.bytes);
  ASSERT_TRUE(image.has_value());
  const std::array<NewExport, 1> added{{{"zeta", 0}}};
  EXPECT_FALSE(extend_exports(*image, file.bytes.size(), kCode, added).has_value());
}

TEST(ExtendExports, AnImageWithoutExportsIsLeftAlone) {
  File file = valid();
  file.put(kOptional + sizeof(OptionalHeader64), DataDirectory{0, 0});
  const auto image = parse(file.bytes);
  ASSERT_TRUE(image.has_value());
  const std::array<NewExport, 1> added{{{"zeta", 0}}};
  EXPECT_FALSE(extend_exports(*image, file.bytes.size(), kCode, added).has_value());
}

}  // namespace
}  // namespace vitrine::pe
