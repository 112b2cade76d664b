#include "cpu/kvm/device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cpu/kvm/kvm.h"

namespace vitrine::cpu::kvm {
namespace {

constexpr const char* kDevice = "/dev/kvm";

// `_IOW` with the size that C sees: the header alone.
constexpr unsigned long with_header(unsigned direction, unsigned number) {
  return _IOC(direction, KVMIO, number, CpuidTable::kHeaderBytes);
}
constexpr unsigned long kGetXsave = _IOC(_IOC_READ, KVMIO, 0xA4, sizeof(XsaveImage));
constexpr unsigned long kSetXsave = _IOC(_IOC_WRITE, KVMIO, 0xA5, sizeof(XsaveImage));
constexpr unsigned long kGetSupportedCpuid = with_header(_IOC_READ | _IOC_WRITE, 0x05);
constexpr unsigned long kSetCpuid = with_header(_IOC_WRITE, 0x90);
constexpr unsigned long kSetMsrs = with_header(_IOC_WRITE, 0x89);

std::string explain_open(int reason) {
  switch (reason) {
    case ENOENT:
      return "/dev/kvm is not there: load kvm_amd or kvm_intel (inside a virtual machine its host must allow nested "
             "virtualisation), or run without --backend kvm; tools/kvm-in-qemu shows it in an emulated machine";
    case EACCES:
    case EPERM:
      return "/dev/kvm may not be opened by this user: join the group that owns it (`sudo usermod -aG kvm $USER`, then "
             "log in again), or run without --backend kvm";
    default:
      return fmt::format("/dev/kvm: {}; run without --backend kvm", std::strerror(reason));
  }
}

// What the back end cannot do without, and since which kernel it is there.
struct Need {
  int capability;
  int bits;
  const char* name;
};
constexpr Need kNeeds[] = {
    {KVM_CAP_USER_MEMORY, 1, "user memory"},
    {KVM_CAP_XSAVE, 1, "XSAVE"},
    {KVM_CAP_XCRS, 1, "XCR0"},
    {KVM_CAP_DEBUGREGS, 1, "debug registers"},
    {KVM_CAP_IMMEDIATE_EXIT, 1, "immediate exit"},
    {KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, "register synchronisation"},
};

std::string missing(int device) {
  const int version = ioctl(device, KVM_GET_API_VERSION, 0);
  if (version != KVM_API_VERSION) return fmt::format("/dev/kvm speaks version {}, not {}", version, KVM_API_VERSION);
  for (const Need& need : kNeeds) {
    const int has = ioctl(device, KVM_CHECK_EXTENSION, need.capability);
    if (has < 0 || (need.bits != 1 && (has & need.bits) != need.bits) || has == 0)
      return fmt::format("/dev/kvm lacks {}: Linux 4.17 or later is needed; run without --backend kvm", need.name);
  }
  return {};
}

}  // namespace

Descriptor::~Descriptor() {
  if (value_ >= 0) close(value_);
}

bool call(int descriptor, unsigned long request, void* argument) { return ioctl(descriptor, request, argument) >= 0; }

bool set_cpuid(int processor, CpuidTable& table) { return call(processor, kSetCpuid, &table); }

bool set_xsave(int processor, XsaveImage& image) { return call(processor, kSetXsave, &image); }

bool get_xsave(int processor, XsaveImage& image) { return call(processor, kGetXsave, &image); }

bool set_msrs(int processor, MsrTable& table) {
  return ioctl(processor, kSetMsrs, &table) == static_cast<int>(table.count);
}

std::expected<Vm, std::string> Vm::open() {
  Descriptor device(::open(kDevice, O_RDWR | O_CLOEXEC));
  if (device.get() < 0) return std::unexpected(explain_open(errno));
  if (std::string lacks = missing(device.get()); !lacks.empty()) return std::unexpected(std::move(lacks));
  Descriptor machine(ioctl(device.get(), KVM_CREATE_VM, 0));
  if (machine.get() < 0) return std::unexpected(explain_open(errno));
  // Otherwise KVM would write another vendor's hypercall instruction over the guest's.
  kvm_enable_cap quirks{};
  quirks.cap = KVM_CAP_DISABLE_QUIRKS2;
  quirks.args[0] = KVM_X86_QUIRK_FIX_HYPERCALL_INSN;
  (void)call(machine.get(), KVM_ENABLE_CAP, &quirks);  // older kernels have no such choice
  return Vm(std::move(device), std::move(machine));
}

void Vm::set_memory(u32 slot, u64 guest_physical, std::byte* host, u64 bytes) const {
  kvm_userspace_memory_region region{};
  region.slot = slot;
  region.guest_phys_addr = guest_physical;
  region.memory_size = bytes;
  region.userspace_addr = reinterpret_cast<u64>(host);
  VITRINE_CHECK(call(machine_.get(), KVM_SET_USER_MEMORY_REGION, &region));
}

CpuidTable Vm::supported_cpuid() const {
  CpuidTable table;
  table.count = static_cast<u32>(table.entries.size());
  if (!call(device_.get(), kGetSupportedCpuid, &table)) table.count = 0;
  return table;
}

}  // namespace vitrine::cpu::kvm
