#include "ps/thread.h"

#include "ps/process.h"

namespace vitrine::ps {
namespace {

// The records are not standard-layout (they have a base), but clang lays them out at fixed offsets all the same.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winvalid-offsetof"
constexpr std::size_t kTcbOffset = offsetof(Thread, tcb);
constexpr std::size_t kPcbOffset = offsetof(Process, pcb);
#pragma clang diagnostic pop

}  // namespace

Thread* Thread::from(ke::Thread* tcb) {
  return tcb == nullptr ? nullptr : reinterpret_cast<Thread*>(reinterpret_cast<std::byte*>(tcb) - kTcbOffset);
}

Process* Process::from(ke::Process* pcb) {
  return pcb == nullptr ? nullptr : reinterpret_cast<Process*>(reinterpret_cast<std::byte*>(pcb) - kPcbOffset);
}

std::string Process::short_name() const {
  const std::size_t slash = image_path.rfind(u'\\');
  std::string name;
  for (char16_t c : std::u16string_view(image_path).substr(slash == std::u16string::npos ? 0 : slash + 1)) {
    name += c < 0x80 ? static_cast<char>(c) : '?';
  }
  return name.empty() ? "process" : name;
}

}  // namespace vitrine::ps
