#include "ke/types.h"

namespace vitrine::ke {

std::string_view thread_state_name(ThreadState state) {
  static constexpr std::string_view kNames[] = {"Initialized", "Ready",      "Running",       "Standby", "Terminated",
                                                "Waiting",     "Transition", "DeferredReady", "GateWait"};
  const auto index = static_cast<u8>(state);
  return index < std::size(kNames) ? kNames[index] : "?";
}

std::string_view wait_reason_name(WaitReason reason) {
  static constexpr std::string_view kNames[] = {
      "Executive",        "FreePage",         "PageIn",           "PoolAllocation",   "DelayExecution",
      "Suspended",        "UserRequest",      "WrExecutive",      "WrFreePage",       "WrPageIn",
      "WrPoolAllocation", "WrDelayExecution", "WrSuspended",      "WrUserRequest",    "WrEventPair",
      "WrQueue",          "WrLpcReceive",     "WrLpcReply",       "WrVirtualMemory",  "WrPageOut",
      "WrRendezvous",     "WrKeyedEvent",     "WrTerminated",     "WrProcessInSwap",  "WrCpuRateControl",
      "WrCalloutStack",   "WrKernel",         "WrResource",       "WrPushLock",       "WrMutex",
      "WrQuantumEnd",     "WrDispatchInt",    "WrPreempted",      "WrYieldExecution", "WrFastMutex",
      "WrGuardedMutex",   "WrRundown",        "WrAlertByThreadId"};
  static_assert(std::size(kNames) == static_cast<u8>(WaitReason::maximum));
  const auto index = static_cast<u8>(reason);
  return index < std::size(kNames) ? kNames[index] : "?";
}

}  // namespace vitrine::ke
