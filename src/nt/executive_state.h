// ExecutiveState: the few things that system services keep between calls and that belong to no manager. One per
// machine.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "io/multimedia_device.h"
#include "io/wait_packet.h"
#include "mm/section.h"
#include "nt/atom_table.h"
#include "nt/win32_threads.h"
#include "ps/worker_factory.h"

namespace vitrine::nt {

// NT: ExAllocateLocallyUniqueId starts here; smaller ones are the system's own (0x3E7 is LocalSystem's logon) [WDK
// ntifs.h].
inline constexpr u64 kFirstLuid = 1001;

struct ExecutiveState {
  AtomTable atoms;
  Win32Threads win32;
  std::unique_ptr<io::WaitPackets> wait_packets;        // made with the machine, as the next
  std::unique_ptr<ps::WorkerFactories> worker_factories;
  // The multimedia class scheduler and the device that leads to it; null: the profile's NT has none.
  std::unique_ptr<ke::MultimediaScheduler> multimedia;
  std::unique_ptr<io::MultimediaDevice> multimedia_device;
  u64 next_luid = kFirstLuid;
  u32 system_locale = 0x409;  // en-US, the same on every host
  u32 user_locale = 0x409;
  u16 user_language = 0x409;
  // The sections of \NLS, by the last component of their names: they live as long as the machine.
  std::map<std::u16string, ob::Ref<mm::SectionObject>> nls_sections;
  // What has already been named to the user as missing: unix calls (module base, code) and information classes.
  std::set<std::pair<u64, u64>> reported;
  // What threads have written to Wine's debug output without a line's end, by thread id. At most 64 of 4,096 bytes.
  std::map<u64, std::string> debug_lines;
};

}  // namespace vitrine::nt
