#include "sim/profile.h"

#include <algorithm>

namespace vitrine::sim {
namespace {

// Prices of a machine of the 2010 era (about 3 GHz, IPC 1). Only sums and ratios matter to a guest.
constexpr CostTable kCosts2010{
    .instruction = {333, "assumed: 3 GHz, one instruction a cycle"},
    .system_call = {100'000, "assumed: 300 cycles, the order of published SYSCALL round trips of the era"},
    .context_switch = {1'000'000, "assumed: 3,000 cycles with cache effects"},
    .page_fault = {500'000, "assumed: 1,500 cycles, soft fault"},
    .zero_page = {300'000, "assumed: 4 KB at 13 GB/s"},
    .copy_page = {500'000, "assumed: 4 KB at 8 GB/s read and written"},
    .interrupt = {1'500'000, "assumed: 4,500 cycles"},
    .exception_dispatch = {2'000'000, "assumed: 6,000 cycles"},
    .disk_access = {100'000'000, "assumed: 0.1 ms, a cached or solid-state read"},
    .disk_page = {2'000'000, "assumed: 2 GB/s"},
    .thread_create = {50'000'000, "seed 001: 90,000 threads in 5 s are 55.6 us each, of which CSRSS takes what follows"},
    .lpc_call = {2'600'000, "assumed: two context switches, two system calls, two short copies"},
    .csrss_visit = {5'000, "measured on a current machine: 1 to 5 ns a cached visit"},
    .csrss_request = {2'500'000, "assumed: a heap allocation and three system calls of its own"},
    .csrss_lock_transfer = {200'000, "assumed: two cache lines between processors"},
};

constexpr u64 kGiB = 1ull << 30;
constexpr u64 kMiB = 1ull << 20;

// CM: the Windows 7 / 2008 R2 x64 layout; 5.2 x64 has the same pools and system PTE sizes (H. Klein 2007).
constexpr KernelLayout kLayoutX64{
    .system_ptes = {0xFFFF'F880'0000'0000, 128 * kGiB},
    .paged_pool = {0xFFFF'F8A0'0000'0000, 128 * kGiB},
    .nonpaged_pool = {0xFFFF'FA84'0000'0000, 128 * kGiB},  // MmNonPagedPoolStart varies; placed after 16 GiB of PFN database
    .pfn_database = {0xFFFF'FA80'0000'0000, 16 * kGiB},
    .session = {0xFFFF'F900'0000'0000, 512 * kGiB},
    .system_cache = {0xFFFF'F980'0000'0000, 1024 * kGiB},
    .hyperspace = {0xFFFF'F700'0000'0000, 512 * kGiB},
    .page_tables = {0xFFFF'F680'0000'0000, 512 * kGiB},
    .working_set_list = 0xFFFF'F700'0108'0000,  // GC "MMWSL", as the two below
    .nonpaged_percent = 75,
};
// MS-lim: 2003 and XP x64 give nonpaged pool up to 128 GB, 6.1 at most 75 % of RAM.
constexpr KernelLayout earlier(KernelLayout layout) {
  layout.nonpaged_percent = 100;
  layout.working_set_list = 0xFFFF'F700'0008'1000;
  return layout;
}
constexpr KernelLayout kLayout52X64 = earlier(kLayoutX64);
// CM: from here 238 TB are unused. 2^31 system PTEs are as many as a kernel stack's record can name.
constexpr Resizing kResizingX64{0xFFFF'0800'0000'0000, (1ull << 31) * kPageSize};

// Seed 004's slide: the x86 kernel half.
constexpr KernelLayout kLayoutX86{
    .system_ptes = {0xE800'0000, 0xFFBE'0000 - 0xE800'0000},
    .paged_pool = {0xE100'0000, 112 * kMiB},
    .nonpaged_pool = {0x8200'0000, 256 * kMiB},
    .pfn_database = {0x8000'0000, 32 * kMiB},
    .session = {0xA000'0000, 64 * kMiB},
    .system_cache = {0xC100'0000, 512 * kMiB},
    .hyperspace = {0xC040'0000, 4 * kMiB},
    .page_tables = {0xC000'0000, 4 * kMiB},
    .working_set_list = 0xC050'2000,
    .nonpaged_percent = 100,
};
constexpr Resizing kResizingX86{0, kLayoutX86.system_ptes.bytes};

constexpr HandleGeometry kHandlesX86{512, 1024, 32, 1u << 24};
constexpr HandleGeometry kHandlesX64{256, 512, 128, 1u << 24};

// MMWSL of 5.2 and SHARED_CACHE_MAP of the x64 profiles: assumed. VACB of 6.1: WI6p2 ch. 11.
constexpr StructureSizes kSizes52X86{
    .kthread = 0x1B8, .ethread = 0x250, .kprocess = 0x78, .eprocess = 0x278, .ejob = 0x180, .teb = 0xFBC, .peb = 0x230,
    .object_header = 0x18, .object_name_info = 16, .object_handle_info = 8, .object_quota_info = 16, .object_creator_info = 16,
    .quota_info_on_threads = false, .handle_table = 0x44, .handle_table_entry = 8,
    .vad_short = 0x18, .vad = 0x28, .vad_long = 0x34, .pool_header = 8, .pool_granule = 8, .pfn_entry = 24,
    .event = 16, .semaphore = 20, .mutant = 32, .timer = 40, .queue = 40, .keyed_event = 4,
    .segment = 64, .control_area = 56, .subsection = 32, .working_set_list = 0x698, .working_set_entry = 4,
    .shared_cache_map = 0x130, .vacb = 0x18, .file_object = 0x70, .section_object = 0x28, .io_completion_packet = 0x1C,
    .lpc_port = 0xA4, .lpc_message = 0x30 + 0x20, .csr_process = 0x6C, .csr_thread = 0x38, .heap_header = 8,
};
constexpr StructureSizes kSizes52X64{
    .kthread = 0x320, .ethread = 0x428, .kprocess = 0xB8, .eprocess = 0x3E0, .ejob = 0x220, .teb = 0x17D8, .peb = 0x358,
    .object_header = 0x30, .object_name_info = 32, .object_handle_info = 16, .object_quota_info = 32, .object_creator_info = 32,
    .quota_info_on_threads = false, .handle_table = 0x70, .handle_table_entry = 16,
    .vad_short = 0x30, .vad = 0x50, .vad_long = 0x68, .pool_header = 16, .pool_granule = 16, .pfn_entry = 48,
    .event = 24, .semaphore = 32, .mutant = 56, .timer = 64, .queue = 64, .keyed_event = 8,
    .segment = 104, .control_area = 72, .subsection = 48, .working_set_list = 0x80, .working_set_entry = 8,
    .shared_cache_map = 0x1B0, .vacb = 0x28, .file_object = 0xB8, .section_object = 0x40, .io_completion_packet = 0x30,
    .lpc_port = 0x100, .lpc_message = 0x50 + 0x30, .csr_process = 0xB0, .csr_thread = 0x60, .heap_header = 16,
};
constexpr StructureSizes kSizes61X64{
    .kthread = 0x360, .ethread = 0x498, .kprocess = 0x160, .eprocess = 0x4D0, .ejob = 0x1C8, .teb = 0x1818, .peb = 0x380,
    .object_header = 0x30, .object_name_info = 32, .object_handle_info = 16, .object_quota_info = 32, .object_creator_info = 32,
    .quota_info_on_threads = true, .handle_table = 0x68, .handle_table_entry = 16,
    .vad_short = 0x40, .vad = 0x78, .vad_long = 0x90, .pool_header = 16, .pool_granule = 16, .pfn_entry = 48,
    .event = 24, .semaphore = 32, .mutant = 56, .timer = 64, .queue = 64, .keyed_event = 8,
    .segment = 80, .control_area = 128, .subsection = 56, .working_set_list = 0x488, .working_set_entry = 8,
    .shared_cache_map = 0x1F8, .vacb = 0x40, .file_object = 0xD8, .section_object = 0x40, .io_completion_packet = 0x30,
    .lpc_port = 0x1A0, .lpc_message = 0x100 + 0x30, .csr_process = 0x90, .csr_thread = 0x58, .heap_header = 16,
};

// A client with default settings: variable, short quanta, separation 2 ("Programs", 0x26) [facts 6.3].
constexpr u32 kSeparationPrograms = 0x26;

// NT: 64 since Vista: of processes [WDK, PsSetCreateProcessNotifyRoutine], of threads [seed 002, table 5-11]. Before, 8 [ROS; facts 5.5].
// Of images 6.1 as it came had 8, and 64 as updated [WDK, PsSetLoadImageNotifyRoutine: KB 2922790], which the profile is.
constexpr u32 kNotifyRoutines52 = 8, kNotifyRoutines60 = 64;

constexpr std::array<Profile, 3> kProfiles{{
    {.name = "nt52-x86", .version = {5, 2}, .pointer_size = 4, .sizes = kSizes52X86, .stack = {3, 1, 15}, .layout = kLayoutX86,
     .system_pte_resizing = kResizingX86, .handles = kHandlesX86, .csrss_thread_buckets = 256, .notify_routines = kNotifyRoutines52,
     .scheduler = {QuantumKind::units, 100'000, 3, kSeparationPrograms, 300, 512, false, 15},
     .user = {0x0001'0000, 0x7FFF'0000, 1}, .costs = kCosts2010},
    {.name = "nt52-x64", .version = {5, 2}, .pointer_size = 8, .sizes = kSizes52X64, .stack = {6, 1, 18}, .layout = kLayout52X64,
     .system_pte_resizing = kResizingX64, .handles = kHandlesX64, .csrss_thread_buckets = 256, .notify_routines = kNotifyRoutines52,
     .scheduler = {QuantumKind::units, 156'250, 3, kSeparationPrograms, 300, 512, false, 15},
     .user = {0x0001'0000, 0x7FF'FFFF'0000, 1}, .costs = kCosts2010},
    {.name = "nt61-x64", .version = {6, 1}, .pointer_size = 8, .sizes = kSizes61X64, .stack = {6, 1, 18}, .layout = kLayoutX64,
     .system_pte_resizing = kResizingX64, .handles = kHandlesX64, .csrss_thread_buckets = 1024, .notify_routines = kNotifyRoutines60,
     .scheduler = {QuantumKind::cycles, 156'250, 3, kSeparationPrograms, 300, 256, true, 15},
     .user = {0x0001'0000, 0x7FF'FFFF'0000, 3}, .costs = kCosts2010},
}};

}  // namespace

std::expected<Profile, std::string> lay_out(const Profile& profile, const LayoutRequest& request) {
  Profile made = profile;
  KernelLayout& layout = made.layout;
  if (request.system_pte_bytes != 0) {
    const Resizing& limits = profile.system_pte_resizing;
    const u64 bytes = page_ceil(request.system_pte_bytes);
    if (bytes > limits.maximum_bytes) {
      return std::unexpected(std::string("more than the profile has room for; give at most ") +
                             std::to_string(limits.maximum_bytes >> 20) + "M");
    }
    if (bytes > layout.system_ptes.bytes) layout.system_ptes.start = limits.larger_start;
    layout.system_ptes.bytes = bytes;
  }
  if (request.ram_bytes == 0) return made;
  const u64 frames = request.ram_bytes >> kPageShift;
  layout.nonpaged_pool.bytes =
      std::min(layout.nonpaged_pool.bytes, page_floor(frames * layout.nonpaged_percent / 100 * kPageSize));
  // The array of frames takes what it needs; nonpaged pool begins behind it [facts 8.12].
  const u64 array_bytes = align_up(frames * profile.sizes.pfn_entry, kGiB);
  if (array_bytes > layout.pfn_database.bytes && profile.pointer_size == 8) {
    layout.nonpaged_pool.start += array_bytes - layout.pfn_database.bytes;
    layout.pfn_database.bytes = array_bytes;
  }
  return made;
}

std::span<const Profile> all_profiles() { return kProfiles; }

const Profile* find_profile(std::string_view name) {
  for (const Profile& profile : kProfiles) {
    if (profile.name == name) return &profile;
  }
  return nullptr;
}

}  // namespace vitrine::sim
