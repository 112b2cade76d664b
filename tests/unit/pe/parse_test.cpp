#include <gtest/gtest.h>

#include "pe_file.h"

namespace vitrine::pe {
namespace {

Error error_of(const File& f) {
  const auto image = parse(f.bytes);
  EXPECT_FALSE(image.has_value());
  return image ? Error::not_mz : image.error();
}
Error error_of(std::string_view text) {
  File f;
  f.bytes.assign(reinterpret_cast<const std::byte*>(text.data()),
                 reinterpret_cast<const std::byte*>(text.data() + text.size()));
  return error_of(f);
}

TEST(PeParse, AcceptsAnImageAndBoundsItsSections) {
  const File f = valid();
  const auto image = parse(f.bytes);
  ASSERT_TRUE(image);
  ASSERT_EQ(image->headers().sections.size(), 2u);
  EXPECT_EQ(image->headers().sections[0].mapped_size, 0x1000u);
  EXPECT_EQ(image->section_of(0x1FFF), &image->headers().sections[0]);
  EXPECT_EQ(image->section_of(0xFFF), nullptr);
  EXPECT_EQ(image->section_named(".edata")->virtual_address, 0x2000u);
  EXPECT_EQ(image->bytes_at(0x11FF, 1).size(), 1u);
  EXPECT_EQ(image->bytes_at(0x1200, 1).size(), 0u) << "behind the raw data";
}

TEST(PeParse, FindsExportsForwardersAndImports) {
  const File f = valid();
  const auto image = parse(f.bytes);
  ASSERT_TRUE(image);
  const auto alpha = image->find_export("alpha");
  ASSERT_TRUE(alpha);
  EXPECT_EQ(alpha->rva, 0x1020u);
  EXPECT_EQ(alpha->ordinal, 5u);
  const auto beta = image->find_export("beta");
  ASSERT_TRUE(beta);
  EXPECT_EQ(beta->rva, 0u);
  EXPECT_EQ(beta->forwarder, "other.gamma");
  EXPECT_FALSE(image->find_export("alphb"));
  EXPECT_EQ(image->exports().size(), 2u);
  EXPECT_EQ(image->imported_modules(), std::vector<std::string_view>{"KERNEL32.dll"});
}

TEST(PeParse, NamesWhatIsNotAProgram) {
  EXPECT_EQ(error_of(""), Error::empty_file);
  EXPECT_EQ(error_of("#!/bin/sh\n"), Error::script);
  EXPECT_EQ(error_of(std::string_view("\x7F"
                                      "ELF\2\1\1\0",
                                      8)),
            Error::elf);
  EXPECT_EQ(error_of("hello\n"), Error::text);
  EXPECT_EQ(error_of(std::string_view("\1\2\0\3", 4)), Error::not_mz);
  EXPECT_EQ(error_of("MZ"), Error::truncated);
  EXPECT_EQ(to_status(Error::script), Status::invalid_image_not_mz);
  EXPECT_EQ(to_status(Error::windows_16_bit), Status::invalid_image_win_16);
  EXPECT_EQ(to_status(Error::image_32_bit), Status::invalid_image_format);
}

TEST(PeParse, TellsApartWhatFollowsMz) {
  File f = valid();
  f.put(kDosNewHeaderOffset, u32{0xFFFF'FFF0});
  EXPECT_EQ(error_of(f), Error::dos_program);
  f = valid();
  f.put(kNew, kNeSignature);
  EXPECT_EQ(error_of(f), Error::windows_16_bit);
  f = valid();
  f.put(kNew, u32{0x1234'5678});
  EXPECT_EQ(error_of(f), Error::bad_signature);
}

TEST(PeParse, RefusesOtherMachinesAndNonExecutables) {
  File f = valid();
  f.header([](FileHeader& h) { h.machine = kMachineI386; });  // with the optional header of the other kind
  EXPECT_EQ(error_of(f), Error::bad_optional_header);
  f = valid();
  f.put(kOptional, kOptionalMagicPe32);
  EXPECT_EQ(error_of(f), Error::bad_optional_header);
  f = valid();
  f.header([](FileHeader& h) { h.machine = kMachineArm64; });
  EXPECT_EQ(error_of(f), Error::wrong_machine);
  f = valid();
  f.header([](FileHeader& h) { h.characteristics = 0; });
  EXPECT_EQ(error_of(f), Error::not_executable);
  f = valid();
  f.header([](FileHeader& h) { h.optional_header_size = sizeof(OptionalHeader64) - 1; });
  EXPECT_EQ(error_of(f), Error::bad_optional_header);
}

// The same image as valid(), as an x86 one: data without code, as some programs keep it in DLLs.
File valid_x86() {
  File f = valid();
  const auto wide = f.get<OptionalHeader64>(kOptional);
  OptionalHeader32 narrow{};
  narrow.magic = kOptionalMagicPe32;
  narrow.image_base = 0x4AD0'0000;
  narrow.section_alignment = wide.section_alignment;
  narrow.file_alignment = wide.file_alignment;
  narrow.size_of_image = wide.size_of_image;
  narrow.size_of_headers = wide.size_of_headers;
  narrow.subsystem = wide.subsystem;
  narrow.directory_count = 16;
  f.header([](FileHeader& h) { h.machine = kMachineI386; });
  std::vector<std::byte> directories(f.bytes.begin() + kOptional + sizeof wide, f.bytes.begin() + kTable);
  f.put(kOptional, narrow);
  // The directories follow the shorter header; the section table stays where optional_header_size says.
  std::copy(directories.begin(), directories.end(), f.bytes.begin() + kOptional + sizeof narrow);
  return f;
}

TEST(PeParse, AnX86ImageCanBeMappedButIsNoProgram) {
  File f = valid_x86();
  const auto image = parse(f.bytes);
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->headers().machine, kMachineI386);
  EXPECT_EQ(image->headers().image_base, 0x4AD0'0000u);
  EXPECT_EQ(image->headers().directory(Directory::exports).rva, 0x2000u);
  EXPECT_TRUE(image->find_export("alpha"));
  EXPECT_EQ(check_program(image->headers()), Error::image_32_bit);
  f.header([](FileHeader& h) { h.optional_header_size = sizeof(OptionalHeader32) - 1; });
  EXPECT_EQ(error_of(f), Error::bad_optional_header);
}

TEST(PeParse, RefusesBadAlignmentsBasesAndSizes) {
  const auto with = [](void (*apply)(OptionalHeader64&)) {
    File f = valid();
    f.optional(apply);
    return error_of(f);
  };
  EXPECT_EQ(with([](OptionalHeader64& o) { o.section_alignment = 0x800; }), Error::bad_alignment);
  EXPECT_EQ(with([](OptionalHeader64& o) { o.section_alignment = 0x3000; }), Error::bad_alignment);
  EXPECT_EQ(with([](OptionalHeader64& o) { o.file_alignment = 0; }), Error::bad_alignment);
  EXPECT_EQ(with([](OptionalHeader64& o) { o.file_alignment = 0x2000; }), Error::bad_alignment);
  EXPECT_EQ(with([](OptionalHeader64& o) { o.image_base = 0x1'4000'1000; }), Error::bad_image_base);
  EXPECT_EQ(with([](OptionalHeader64& o) { o.size_of_image = 0; }), Error::image_too_large);
  EXPECT_EQ(with([](OptionalHeader64& o) { o.size_of_image = 0xFFFF'F000; }), Error::image_too_large);
  EXPECT_EQ(with([](OptionalHeader64& o) { o.size_of_headers = 0x10'0000; }), Error::truncated);
  EXPECT_EQ(with([](OptionalHeader64& o) { o.entry_point = 0x3000; }), Error::bad_optional_header);
}

TEST(PeParse, RefusesSectionTablesThatDoNotFit) {
  const auto with = [](u32 index, void (*apply)(SectionHeader&)) {
    File f = valid();
    f.section(index, apply);
    return error_of(f);
  };
  EXPECT_EQ(with(1, [](SectionHeader& s) { s.virtual_address = 0x1000; }), Error::sections_overlap);
  EXPECT_EQ(with(1, [](SectionHeader& s) { s.virtual_address = 0x2800; }), Error::sections_overlap);
  EXPECT_EQ(with(1, [](SectionHeader& s) { s.virtual_size = 0xFFFF'FFFF; }), Error::sections_overlap);
  EXPECT_EQ(with(1, [](SectionHeader& s) { s.virtual_size = s.raw_size = 0; }), Error::sections_overlap);
  EXPECT_EQ(with(1, [](SectionHeader& s) { s.raw_size = 0x600; }), Error::section_outside_file);
  EXPECT_EQ(with(1, [](SectionHeader& s) { s.raw_offset = 0xFFFF'FE00; }), Error::section_outside_file);
  File f = valid();
  f.header([](FileHeader& h) { h.section_count = 97; });
  EXPECT_EQ(error_of(f), Error::too_many_sections);
}

TEST(PeParse, EveryTruncationGivesACause) {
  const File whole = valid();
  for (std::size_t size = 0; size < whole.bytes.size(); ++size) {
    File f;
    f.bytes.assign(whole.bytes.begin(), whole.bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(parse(f.bytes).has_value()) << size;
  }
}

TEST(PeParse, HostileExportTablesGiveNothing) {
  File f = valid();
  f.change<ExportDirectory>(0x600, [](ExportDirectory& d) { d.name_count = 0x4000'0001; });
  EXPECT_TRUE(parse(f.bytes)->exports().empty());
  f = valid();
  f.change<ExportDirectory>(0x600, [](ExportDirectory& d) { d.names = 0xFFFF'FFFC; });
  EXPECT_FALSE(parse(f.bytes)->find_export("alpha"));
  f = valid();
  f.put(0x660, u16{9});  // ordinal beyond the functions
  EXPECT_FALSE(parse(f.bytes)->find_export("alpha"));
}

TEST(PeParse, ProgramsAreNotDllsAndHaveAnEntryPoint) {
  File f = valid();
  EXPECT_FALSE(check_program(parse(f.bytes)->headers()));
  f.header([](FileHeader& h) { h.characteristics |= kFileDll; });
  EXPECT_EQ(check_program(parse(f.bytes)->headers()), Error::is_dll);
  f = valid();
  f.optional([](OptionalHeader64& o) { o.entry_point = 0; });
  EXPECT_EQ(check_program(parse(f.bytes)->headers()), Error::no_entry_point);
  f = valid();
  f.optional([](OptionalHeader64& o) { o.subsystem = 1; });
  EXPECT_EQ(check_program(parse(f.bytes)->headers()), Error::wrong_subsystem);
}

}  // namespace
}  // namespace vitrine::pe
