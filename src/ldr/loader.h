// Loader: what a new process finds: ntdll and the main image mapped, the API set map, PEB, process parameters with the
// environment, the shared user data page. It also knows where ntdll's entry points and system-call stubs are.
//
// Owns the shared user data frames and the section of ntdll. Refuses to create processes or threads (ps does).
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/io_manager.h"
#include "mm/memory_manager.h"
#include "mm/section.h"
#include "pe/image.h"
#include "ps/process_manager.h"

namespace vitrine::ldr {

struct Stub {
  u32 number;
  std::string name;
};

// Host-side form of RTL_USER_PROCESS_PARAMETERS.
struct ParameterBlock {
  std::u16string image_path_name;     // DOS path
  std::u16string command_line;
  std::u16string current_directory;   // DOS path, with a trailing backslash
  std::u16string dll_path;
  std::u16string window_title, desktop, shell_info;
  std::vector<u8> runtime_data;       // the C runtime's, for its twin: STARTUPINFO.lpReserved2, of any size
  std::u16string environment;         // "A=1\0B=2\0\0"
  u64 console_handle = 0;
  u64 standard_input = 0, standard_output = 0, standard_error = 0;
  u32 flags = 0;
  u32 window_flags = 0, show_window = 1;
  u32 process_group_id = 0;
};

class Loader {
 public:
  struct Dependencies {
    ke::Kernel& kernel;
    hal::Machine& machine;
    mm::MemoryManager& memory;
    io::IoManager& io;
    ob::ObjectManager& objects;
    ps::ProcessManager& processes;
    ram::GuestRam& ram;
    u64 seed;
    std::span<const std::string_view> service_names;  // ntdll gets a stub for each that it lacks
    bool avx512 = false;                              // the processor shows it
  };
  // Opens \??\C:\windows\system32\ntdll.dll and apisetschema.dll through the I/O manager and reads ntdll's exports.
  // Errors: those of opening; invalid_image_format when ntdll lacks an entry point.
  [[nodiscard]] static Result<std::unique_ptr<Loader>> create(const Dependencies& dependencies);
  ~Loader();

  // Maps shared user data, ntdll, the image (a section made with SEC_IMAGE) and the API set map; makes the PEB and the parameters;
  // fills process.entry_points, image, peb, parameters. Errors: no_memory, conflicting_addresses, commitment_limit.
  [[nodiscard]] Status set_up(ps::Process& process, ob::Ref<mm::SectionObject> image, const ParameterBlock& parameters);

  // An image section of the file at an NT path, opened for execution. Errors: those of opening and of NtCreateSection.
  [[nodiscard]] Result<ob::Ref<mm::SectionObject>> open_image(std::u16string_view nt_path);

  // The system-call stubs of ntdll, those that it was given included, by number; an Nt name is preferred to its Zw twin.
  [[nodiscard]] const std::vector<Stub>& stubs() const { return stubs_; }

  // Brings the clocks of the shared user data page up to date; called at each clock interrupt of processor 0.
  void update_time();

 private:
  explicit Loader(const Dependencies& dependencies);
  [[nodiscard]] Result<ob::Ref<io::FileObject>> open_file(std::u16string_view nt_path);
  [[nodiscard]] Result<ob::Ref<mm::SectionObject>> image_section(io::FileObject& file);
  [[nodiscard]] Result<ob::Ref<mm::SectionObject>> image_section(mm::FileBacking& backing);
  [[nodiscard]] Result<ob::Ref<mm::SectionObject>> ntdll_section(io::FileObject& file, const pe::Image& image);
  struct FileImage;  // a parsed image and the bytes behind it
  [[nodiscard]] Result<FileImage> read_image(io::FileObject& file);
  [[nodiscard]] Status load_ntdll();
  void collect_stubs(const pe::Image& image);
  [[nodiscard]] Status load_api_set();
  [[nodiscard]] Status make_shared_data();
  [[nodiscard]] Result<Va> map_image(ps::Process& process, const mm::SectionObject& section);
  [[nodiscard]] Status map_shared_data(ps::Process& process);
  [[nodiscard]] Status map_ntdll(ps::Process& process);
  [[nodiscard]] Status make_peb(ps::Process& process, Va api_set);

  Dependencies on_;
  ob::Ref<mm::SectionObject> ntdll_;
  ob::Ref<mm::SectionObject> api_set_;
  u32 api_set_offset_ = 0;
  std::vector<Stub> stubs_;
  ps::UserEntryPoints entry_offsets_;     // relative to ntdll's base
  Va unix_call_dispatcher_offset_ = 0;    // 0: not Wine's ntdll
  Pfn shared_data_frame_{};
  Pfn stub_frame_{};
};

}  // namespace vitrine::ldr
