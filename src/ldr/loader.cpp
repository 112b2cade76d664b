#include "ldr/loader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

#include "abi/context.h"
#include "abi/peb.h"
#include "abi/teb.h"
#include "abi/user_shared_data.h"
#include "ldr/parameter_writer.h"
#include "ldr/service_stubs.h"
#include "ldr/shared_data.h"
#include "pe/image.h"

namespace vitrine::ldr {
namespace {

constexpr std::u16string_view kNtdllPath = u"\\??\\C:\\windows\\system32\\ntdll.dll";
constexpr std::u16string_view kApiSetPath = u"\\??\\C:\\windows\\system32\\apisetschema.dll";

// mov r10,rcx; mov eax,imm32: how every system-call stub of ntdll begins [seen in Wine 8.0's user mode].
constexpr std::array<u8, 4> kStubPrologue{0x4C, 0x8B, 0xD1, 0xB8};

// Wine's ntdll clears this much below the CONTEXT of a starting thread, so all of it must be committed.
constexpr u64 kWineStackReserve = 0x10'0000;
constexpr u64 kWineStackCommit = 0xF'0000 + 2 * kPageSize;

// A backing in use outside a section.
struct HeldBacking {
  explicit HeldBacking(mm::FileBacking& backing) : file(backing) { file.retain(); }
  HeldBacking(const HeldBacking&) = delete;
  HeldBacking& operator=(const HeldBacking&) = delete;
  ~HeldBacking() { file.release(); }
  mm::FileBacking& file;
};

Va export_offset(const pe::Image& image, std::string_view name) {
  const auto found = image.find_export(name);
  return found ? found->rva : 0;
}

Result<ob::Ref<io::FileObject>> open_to_execute(io::IoManager& io, std::u16string_view nt_path) {
  io::CreateParameters parameters;
  parameters.access = abi::kFileReadData | abi::kFileExecute | se::access::kSynchronize;
  parameters.share = abi::kFileShareRead | abi::kFileShareDelete;
  parameters.options = abi::kFileSynchronousIoNonalert | abi::kFileNonDirectoryFile;
  auto opened = io.open_path(nullptr, nt_path, parameters);
  if (!opened) return Failure(opened.error());
  return std::move(opened->file);
}

struct ParsedFile {
  std::vector<std::byte> bytes;
  pe::Image image;  // of `bytes`
};

// Without the sections behind the last one that stays in memory: debug information, four fifths of Wine's ntdll.
Result<ParsedFile> read_parsed(io::IoManager& io, io::FileObject& file) {
  const auto backing = io.section_backing(file);
  if (!backing) return Failure(backing.error());
  const HeldBacking held(**backing);
  const u64 file_bytes = held.file.size();
  std::vector<std::byte> bytes(std::min<u64>(file_bytes, pe::kMaximumHeaderBytes));
  if (const Status status = held.file.read(0, bytes); !is_success(status)) return Failure(status);
  auto headers = pe::parse_headers(bytes, file_bytes);
  if (!headers) return Failure(pe::to_status(headers.error()));
  u64 used = headers->size_of_headers;
  for (const pe::Section& section : headers->sections) {
    if ((section.characteristics & pe::kSectionDiscardable) == 0) {
      used = std::max(used, section.raw_offset + section.raw_size);
    }
  }
  bytes.resize(used);
  if (const Status status = held.file.read(0, bytes); !is_success(status)) return Failure(status);
  pe::Image image(std::move(*headers), bytes);
  return ParsedFile{std::move(bytes), std::move(image)};
}

std::vector<Stub> stubs_in(const pe::Image& image) {
  std::map<u32, std::string_view> by_number;
  for (const pe::Export& e : image.exports()) {
    const auto code = image.bytes_at(e.rva, 8);
    if (e.rva == 0 || e.name.empty() || code.empty()) continue;
    if (std::memcmp(code.data(), kStubPrologue.data(), kStubPrologue.size()) != 0) continue;
    u32 number;
    std::memcpy(&number, code.data() + kStubPrologue.size(), sizeof number);
    std::string_view& name = by_number[number];
    if (name.empty() || e.name.starts_with("Nt")) name = e.name;
  }
  std::vector<Stub> stubs;
  for (const auto& [number, name] : by_number) stubs.push_back({number, std::string(name)});
  return stubs;
}

}  // namespace

Loader::Loader(const Dependencies& dependencies) : on_(dependencies) {}
Loader::~Loader() {
  if (shared_data_frame_.value != 0) on_.memory.free_shared_frame(shared_data_frame_);
  if (stub_frame_.value != 0) on_.memory.free_shared_frame(stub_frame_);
}

Result<std::unique_ptr<Loader>> Loader::create(const Dependencies& dependencies) {
  std::unique_ptr<Loader> loader(new Loader(dependencies));
  if (const Status status = loader->load_ntdll(); !is_success(status)) return Failure(status);
  if (const Status status = loader->load_api_set(); !is_success(status)) return Failure(status);
  if (const Status status = loader->make_shared_data(); !is_success(status)) return Failure(status);
  return loader;
}

Result<ob::Ref<io::FileObject>> Loader::open_file(std::u16string_view nt_path) { return open_to_execute(on_.io, nt_path); }

Result<ob::Ref<mm::SectionObject>> Loader::image_section(io::FileObject& file) {
  const auto backing = on_.io.section_backing(file);
  if (!backing) return Failure(backing.error());
  return image_section(**backing);
}

Result<ob::Ref<mm::SectionObject>> Loader::image_section(mm::FileBacking& backing) {
  auto section = on_.memory.create_section({&backing, 0, mm::page::kExecute, mm::sec::kImage});
  if (!section) return Failure(section.error());
  ob::ObjectType* type = on_.objects.find_type(u"Section");
  return on_.objects.create<mm::SectionObject>(*type, {.kernel_object = true}, std::move(*section));
}

Result<ob::Ref<mm::SectionObject>> Loader::open_image(std::u16string_view nt_path) {
  auto file = open_file(nt_path);
  if (!file) return Failure(file.error());
  auto image = image_section(**file);
  // An x86 image can be mapped, as data, but there is no WOW64 that could run it.
  if (image && (*image)->section.image_information()->machine != pe::kMachineAmd64) {
    return Failure(Status::invalid_image_format);
  }
  return image;
}

struct Loader::FileImage {
  std::vector<std::byte> bytes;
  pe::Image image;
};

Result<Loader::FileImage> Loader::read_image(io::FileObject& file) {
  auto read = read_parsed(on_.io, file);
  if (!read) return Failure(read.error());
  return FileImage{std::move(read->bytes), std::move(read->image)};
}

Status Loader::load_ntdll() {
  auto file = open_file(kNtdllPath);
  if (!file) return file.error();
  const auto read = read_image(**file);
  if (!read) return read.error();
  const pe::Image& image = read->image;
  entry_offsets_ = {
      .ldr_initialize_thunk = export_offset(image, "LdrInitializeThunk"),
      .rtl_user_thread_start = export_offset(image, "RtlUserThreadStart"),
      .user_exception_dispatcher = export_offset(image, "KiUserExceptionDispatcher"),
      .user_apc_dispatcher = export_offset(image, "KiUserApcDispatcher"),
      .user_callback_dispatcher = export_offset(image, "KiUserCallbackDispatcher"),
      .control_routine = export_offset(image, "__wine_ctrl_routine"),  // Wine's way to kernelbase's CtrlRoutine
      .minimum_stack_reserve = 0,
      .minimum_stack_commit = 0,
      .minimum_teb_bytes = 0};
  if (entry_offsets_.ldr_initialize_thunk == 0 || entry_offsets_.rtl_user_thread_start == 0 ||
      entry_offsets_.user_exception_dispatcher == 0 || entry_offsets_.user_apc_dispatcher == 0) {
    return Status::entrypoint_not_found;
  }
  // Only Wine's ntdll has this export; it names the pointer through which its DLLs reach their Unix halves.
  unix_call_dispatcher_offset_ = export_offset(image, "__wine_unix_call_dispatcher");
  if (unix_call_dispatcher_offset_ != 0) {
    entry_offsets_.minimum_stack_reserve = kWineStackReserve;
    entry_offsets_.minimum_stack_commit = kWineStackCommit;
    entry_offsets_.minimum_teb_bytes = abi::kTebRegionBytes;
  }
  collect_stubs(image);
  auto section = ntdll_section(**file, image);
  if (!section) return section.error();
  ntdll_ = std::move(*section);
  return Status::success;
}

// All sections of a file share the first one's segment, so whoever maps ntdll later sees the stubs as well.
Result<ob::Ref<mm::SectionObject>> Loader::ntdll_section(io::FileObject& file, const pe::Image& image) {
  const auto backing = on_.io.section_backing(file);
  if (!backing) return Failure(backing.error());
  auto stubbed = with_service_stubs(image, (*backing)->size(), stubs_, on_.service_names);
  if (!stubbed) return image_section(**backing);
  ExtendedFile& extended = ExtendedFile::create(**backing, std::move(stubbed->image));
  auto section = image_section(extended);
  extended.release();  // the section has it
  if (section) std::ranges::move(stubbed->added, std::back_inserter(stubs_));
  return section;
}

void Loader::collect_stubs(const pe::Image& image) { stubs_ = stubs_in(image); }

Result<std::vector<Stub>> stubs_of(io::IoManager& io, std::u16string_view nt_path) {
  const auto file = open_to_execute(io, nt_path);
  if (!file) return Failure(file.error());
  const auto read = read_parsed(io, **file);
  if (!read) return Failure(read.error());
  return stubs_in(read->image);
}

// NT: the API set schema is published in the PEB: the address of the raw data of section .apiset, mapped read-only.
Status Loader::load_api_set() {
  auto file = open_file(kApiSetPath);
  if (!file) return file.error();
  const auto read = read_image(**file);
  if (!read) return read.error();
  const pe::Section* map = read->image.section_named(".apiset");
  if (map == nullptr) return Status::invalid_image_format;
  api_set_offset_ = map->virtual_address;
  auto section = image_section(**file);
  if (!section) return section.error();
  api_set_ = std::move(*section);
  return Status::success;
}

Status Loader::make_shared_data() {
  const auto data = on_.memory.allocate_shared_frame();
  if (!data) return data.error();
  shared_data_frame_ = *data;
  const auto stub = on_.memory.allocate_shared_frame();
  if (!stub) return stub.error();
  stub_frame_ = *stub;
  write_shared_data(on_.ram.page(shared_data_frame_), on_.machine, on_.ram.page_count(), on_.seed, on_.avx512);
  write_unix_call_stub(on_.ram.page(stub_frame_));
  update_time();
  return Status::success;
}

void Loader::update_time() { write_shared_time(on_.ram.page(shared_data_frame_), on_.machine); }

Result<Va> Loader::map_image(ps::Process& process, const mm::SectionObject& section) {
  const auto mapped = process.space->map_view(section.section, {.inherit = 2, .protect = mm::page::kExecuteReadWrite});
  if (!mapped) return Failure(mapped.error());
  return mapped->range.base;
}

Status Loader::map_shared_data(ps::Process& process) {
  VITRINE_TRY(process.space->map_shared_frame(abi::kUserSharedDataAddress, shared_data_frame_));
  return process.space->map_shared_frame(abi::kUserSharedDataAddress + kPageSize, stub_frame_, mm::SharedFrameUse::code);
}

Status Loader::map_ntdll(ps::Process& process) {
  const auto base = map_image(process, *ntdll_);
  if (!base) return base.error();
  ps::UserEntryPoints& entry = process.entry_points;
  entry = entry_offsets_;
  for (Va* address : {&entry.ldr_initialize_thunk, &entry.rtl_user_thread_start, &entry.user_exception_dispatcher,
                      &entry.user_apc_dispatcher, &entry.user_callback_dispatcher, &entry.control_routine}) {
    if (*address != 0) *address += *base;
  }
  if (unix_call_dispatcher_offset_ == 0) return Status::success;
  const Va stub = kUnixCallStubAddress;
  return process.space->write_value(*base + unix_call_dispatcher_offset_, stub);
}

Status Loader::set_up(ps::Process& process, ob::Ref<mm::SectionObject> image, const ParameterBlock& parameters) {
  const auto information = image->section.image_information();
  if (!information) return information.error();
  VITRINE_TRY(map_shared_data(process));
  // The main image first: it may have to lie at its preferred address.
  const auto base = map_image(process, *image);
  if (!base) return base.error();
  process.image = {.base = *base,
                   .entry_point = *base + (information->transfer_address - image->section.segment()->image_base),
                   .stack_reserve = information->maximum_stack_size, .stack_commit = information->committed_stack_size,
                   .subsystem = information->subsystem_type, .subsystem_major = information->subsystem_major,
                   .subsystem_minor = information->subsystem_minor, .characteristics = information->image_characteristics,
                   .dll_characteristics = information->dll_characteristics};
  process.section = image;
  VITRINE_TRY(map_ntdll(process));
  const auto api_set = map_image(process, *api_set_);
  if (!api_set) return api_set.error();
  const auto block = write_parameters(*process.space, parameters);
  if (!block) return block.error();
  process.parameters = *block;
  VITRINE_TRY(make_peb(process, *api_set + api_set_offset_));
  const Va ntdll = process.entry_points.ldr_initialize_thunk - entry_offsets_.ldr_initialize_thunk;
  process.unreported_images = {
      {process.image_path, *base, image->section.size()},
      {std::u16string(ntdll_->section.segment()->backing->name()), ntdll, ntdll_->section.size()}};
  return Status::success;
}

Status Loader::make_peb(ps::Process& process, Va api_set) {
  const auto address = process.space->create_shadow_block(static_cast<u32>(abi::kPebRegionBytes / kPageSize), 0);
  if (!address) return address.error();
  abi::Peb peb{};
  peb.image_base = process.image.base;
  peb.process_parameters = process.parameters;
  peb.api_set_map = api_set;
  peb.processor_count = on_.machine.processor_count();
  // NT's defaults: 30 days; heaps reserve 1 MB, commit two pages, decommit above 64 KB and one page [WI5 ch.9].
  peb.critical_section_timeout = -25'920'000'000'000;
  peb.heap_segment_reserve = 0x10'0000;
  peb.heap_segment_commit = 0x2000;
  peb.heap_decommit_total_free = 0x1'0000;
  peb.heap_decommit_free_block = 0x1000;
  peb.os_major_version = abi::kOsMajor;
  peb.os_minor_version = abi::kOsMinor;
  peb.os_build_number = abi::kOsBuild;
  peb.os_platform_id = 2;  // VER_PLATFORM_WIN32_NT
  peb.image_subsystem = process.image.subsystem;
  peb.image_subsystem_major_version = process.image.subsystem_major;
  peb.image_subsystem_minor_version = process.image.subsystem_minor;
  peb.session_id = process.session_id;
  VITRINE_TRY(process.space->write_value(*address, peb));
  // All channels show errors and nothing else: as Wine starts without WINEDEBUG, but quieter. Except that of exceptions: its errors are
  // two lines about a debugger that cannot be started, after the message that names the crash.
  const std::array<abi::WineDebugChannel, 2> channels{{{0, {'s', 'e', 'h'}}, {kWineDebugErrors, {}}}};
  VITRINE_TRY(process.space->write_value(*address + abi::kWineDebugChannelOffset, channels));
  process.peb = *address;
  return Status::success;
}

}  // namespace vitrine::ldr
