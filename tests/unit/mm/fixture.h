// A machine's memory without a machine: RAM, books, pool, a back end that records commits, files in memory, a small PE
// image.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "mm/address_space.h"
#include "mm/memory_manager.h"
#include "pe/format.h"
#include "sim/random.h"

namespace vitrine::mm::test {

class FakeSpace final : public cpu::Space {
 public:
  explicit FakeSpace(Pfn root) : root_(root) {}
  [[nodiscard]] Pfn root() const override { return root_; }

 private:
  Pfn root_;
};

class FakeBackend final : public cpu::Backend {
 public:
  std::vector<cpu::PteEdit> edits;
  u32 flushes = 0;
  std::vector<u64> code_writes;

  std::unique_ptr<cpu::Space> create_space(Pfn root) override { return std::make_unique<FakeSpace>(root); }
  cpu::Exit run(u32, cpu::Space&, cpu::GuestContext&, u64) override { return {}; }
  void commit(std::span<const cpu::PteEdit> batch) override { edits.insert(edits.end(), batch.begin(), batch.end()); }
  void flush(cpu::Space&) override { ++flushes; }
  void code_written(Pfn pfn) override { code_writes.push_back(pfn.value); }
  void kick(u32) override {}
};

class FakeFile final : public FileBacking {
 public:
  explicit FakeFile(std::vector<std::byte> contents, u64 number = 1) : bytes(std::move(contents)), number_(number) {}
  std::vector<std::byte> bytes;
  int references = 0;
  u32 reads = 0;
  Status fail_reads = Status::success;

  [[nodiscard]] FileIdentity identity() const override { return {7, number_}; }
  [[nodiscard]] u64 size() const override { return bytes.size(); }
  Status read(u64 offset, std::span<std::byte> into) override {
    ++reads;
    if (!is_success(fail_reads)) return fail_reads;
    for (std::size_t i = 0; i < into.size(); ++i)
      into[i] = offset + i < bytes.size() ? bytes[offset + i] : std::byte{0};
    return Status::success;
  }
  Status write(u64 offset, std::span<const std::byte> from) override {
    if (offset + from.size() > bytes.size()) return Status::disk_full;
    std::memcpy(bytes.data() + offset, from.data(), from.size());
    return Status::success;
  }
  Status extend(u64 size) override {
    bytes.resize(size);
    return Status::success;
  }
  void retain() override { ++references; }
  void release() override { --references; }

 private:
  u64 number_;
};

class FakeExecution final : public ExecutionSource {
 public:
  ExecutionContext now;
  [[nodiscard]] ExecutionContext current() const override { return now; }
};

class FakeInitializer final : public PageInitializer {
 public:
  u32 calls = 0;
  void fill(AddressSpace&, Va block, u32 page_index, u64 cookie, std::span<std::byte, kPageSize> into) override {
    ++calls;
    const u64 words[] = {block, page_index, cookie};
    std::memcpy(into.data(), words, sizeof words);
  }
};

class MemoryTest : public ::testing::Test {
 protected:
  explicit MemoryTest(u64 ram_bytes = 64ull << 20, u64 page_file_pages = 0, std::string_view profile = "nt61-x64")
      : profile_(*sim::find_profile(profile)),
        ram_(*ram::GuestRam::create(ram_bytes)),
        memory_(ram_, profile_, page_file_pages),
        pool_(profile_, &memory_),
        manager_(MemoryManager::Wiring{profile_, memory_, pool_, backend_, recorder_, &execution_, &initializer_}) {}

  std::unique_ptr<AddressSpace> make_space(const SpaceOptions& options = {}) { return *manager_.create_space(options); }
  static AllocateRequest request(u64 size, u32 type, u32 protect = page::kReadWrite, Va base = 0) {
    return {.base = base, .size = size, .type = type, .protect = protect};
  }
  Va commit(AddressSpace& space, u64 size, u32 protect = page::kReadWrite) {
    return space.allocate(request(size, mem::kCommit | mem::kReserve, protect))->base;
  }
  FaultResult touch(AddressSpace& space, Va va, u32 error = 0) {
    return space.handle_fault(va, error | cpu::page_fault::kUser, ke::Mode::user);
  }
  static constexpr u32 kWriteFault = cpu::page_fault::kWrite;
  static constexpr u32 kFetchFault = cpu::page_fault::kFetch;

  const sim::Profile& profile_;
  ram::GuestRam ram_;
  PhysicalMemory memory_;
  ex::Pool pool_;
  FakeBackend backend_;
  trace::Recorder recorder_;
  FakeExecution execution_;
  FakeInitializer initializer_;
  MemoryManager manager_;
};

inline std::vector<std::byte> pattern(u64 size, u8 seed = 1) {
  std::vector<std::byte> bytes(size);
  for (u64 i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(seed + i / 7 + i / kPageSize);
  return bytes;
}

struct ImageSection {
  const char* name;
  u32 characteristics;
  u32 virtual_size;
  u32 raw_size;  // multiple of 512
};

// A PE32+ file with the given sections; raw bytes of section i are all 0x10 + i.
inline std::vector<std::byte> make_image(const std::vector<ImageSection>& sections, u64 image_base = 0x1'8000'0000,
                                         u16 characteristics = pe::kFileExecutableImage | pe::kFileDll) {
  constexpr u32 kHeaderOffset = 0x80, kHeaders = 0x400;
  std::vector<std::byte> file(kHeaders);
  const auto put = [&](u64 offset, const auto& value) { std::memcpy(file.data() + offset, &value, sizeof value); };
  put(0, pe::kDosMagic);
  put(pe::kDosNewHeaderOffset, kHeaderOffset);
  put(kHeaderOffset, pe::kPeSignature);
  pe::FileHeader header{};
  header.machine = pe::kMachineAmd64;
  header.section_count = static_cast<u16>(sections.size());
  header.optional_header_size = sizeof(pe::OptionalHeader64) + 16 * 8;
  header.characteristics = characteristics;
  put(kHeaderOffset + 4, header);
  u32 next = 0x1000;
  u64 raw = kHeaders;
  u64 table = kHeaderOffset + 4 + sizeof header + header.optional_header_size;
  for (u32 i = 0; i < sections.size(); ++i) {
    pe::SectionHeader row{};
    std::strncpy(row.name, sections[i].name, sizeof row.name);
    row.virtual_address = next;
    row.virtual_size = sections[i].virtual_size;
    row.raw_size = sections[i].raw_size;
    row.raw_offset = sections[i].raw_size == 0 ? 0 : static_cast<u32>(raw);
    row.characteristics = sections[i].characteristics;
    put(table, row);
    table += sizeof row;
    next += static_cast<u32>(align_up(sections[i].virtual_size, kPageSize));
    file.resize(raw + sections[i].raw_size, static_cast<std::byte>(0x10 + i));
    raw += sections[i].raw_size;
  }
  pe::OptionalHeader64 optional{};
  optional.magic = pe::kOptionalMagicPe32Plus;
  optional.entry_point = 0x1000;
  optional.image_base = image_base;
  optional.section_alignment = 0x1000;
  optional.file_alignment = 0x200;
  optional.size_of_image = next;
  optional.size_of_headers = kHeaders;
  optional.subsystem = 3;
  optional.stack_reserve = 0x10'0000;
  optional.stack_commit = 0x1000;
  optional.directory_count = 16;
  put(kHeaderOffset + 4 + sizeof header, optional);
  return file;
}

inline constexpr u32 kCode = pe::kSectionCode | pe::kSectionExecute | pe::kSectionRead;
inline constexpr u32 kData = pe::kSectionInitializedData | pe::kSectionRead | pe::kSectionWrite;
inline constexpr u32 kReadOnlyData = pe::kSectionInitializedData | pe::kSectionRead;

}  // namespace vitrine::mm::test
