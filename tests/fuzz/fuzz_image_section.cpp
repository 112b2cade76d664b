// links: pe mm
// Any bytes as a PE file: parsed, queried, made an image section, mapped, and touched page by page. Nothing may crash,
// check or read outside the input; each refusal is a status.
#include <cstring>
#include <memory>
#include <span>

#include "mm/address_space.h"
#include "mm/memory_manager.h"
#include "pe/image.h"

namespace {

using namespace vitrine;

class Space final : public cpu::Space {
 public:
  explicit Space(Pfn root) : root_(root) {}
  [[nodiscard]] Pfn root() const override { return root_; }

 private:
  Pfn root_;
};

class Backend final : public cpu::Backend {
 public:
  std::unique_ptr<cpu::Space> create_space(Pfn root) override { return std::make_unique<Space>(root); }
  cpu::Exit run(u32, cpu::Space&, cpu::GuestContext&, u64) override { return {}; }
  void commit(std::span<const cpu::PteEdit>) override {}
  void flush(cpu::Space&) override {}
  void code_written(Pfn) override {}
  void kick(u32) override {}
};

class File final : public mm::FileBacking {
 public:
  explicit File(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] mm::FileIdentity identity() const override { return {1, 1}; }
  [[nodiscard]] u64 size() const override { return bytes_.size(); }
  Status read(u64 offset, std::span<std::byte> into) override {
    std::memset(into.data(), 0, into.size());
    if (offset < bytes_.size())
      std::memcpy(into.data(), bytes_.data() + offset, std::min<u64>(into.size(), bytes_.size() - offset));
    return Status::success;
  }
  Status write(u64, std::span<const std::byte>) override { return Status::media_write_protected; }
  Status extend(u64) override { return Status::disk_full; }
  void retain() override {}
  void release() override {}

 private:
  std::span<const std::byte> bytes_;
};

void query(const pe::Image& image) {
  for (const pe::Export& e : image.exports()) static_cast<void>(image.find_export(e.name));
  static_cast<void>(image.find_export("DllMain"));
  static_cast<void>(image.imported_modules());
  static_cast<void>(pe::check_program(image.headers()));
  for (const pe::Section& section : image.headers().sections) {
    static_cast<void>(image.section_of(section.virtual_address + section.mapped_size));
    static_cast<void>(image.string_at(section.virtual_address));
  }
}

void map(std::span<const std::byte> bytes) {
  constexpr u64 kMaximumTouched = 64;
  const sim::Profile& profile = *sim::find_profile(sim::kDefaultProfile);
  auto ram = ram::GuestRam::create(4ull << 20);
  if (!ram) return;
  mm::PhysicalMemory memory(*ram, profile, 0);
  ex::Pool pool(profile, &memory);
  Backend backend;
  trace::Recorder recorder;
  mm::MemoryManager manager({profile, memory, pool, backend, recorder});
  File file(bytes);
  const mm::HeldBooks before = manager.books().held;
  {
    auto section = manager.create_section({&file, 0, mm::page::kExecuteRead, mm::sec::kImage});
    if (!section) return;
    auto space = manager.create_space({});
    if (!space) return;
    const auto view = (*space)->map_view(*section, {.protect = mm::page::kExecuteWriteCopy});
    if (!view) return;
    const u64 step = std::max(page_floor(view->range.size / kMaximumTouched), kPageSize);
    for (u64 offset = 0; offset < view->range.size; offset += step) {
      const Va va = view->range.base + offset;
      static_cast<void>((*space)->handle_fault(va, cpu::page_fault::kUser, ke::Mode::user));
      static_cast<void>((*space)->handle_fault(va, cpu::page_fault::kUser | cpu::page_fault::kWrite, ke::Mode::user));
      static_cast<void>((*space)->query_basic(va));
    }
    static_cast<void>((*space)->protect(view->range.base, view->range.size, mm::page::kReadWrite));
  }
  VITRINE_CHECK(manager.books().held == before);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  if (const auto image = pe::parse(bytes)) query(*image);
  map(bytes);
  return 0;
}
