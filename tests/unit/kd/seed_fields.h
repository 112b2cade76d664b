// The fields of threads and processes that the sources of the project name: the lectures' slides on process and thread
// structures (KPROCESS, EPROCESS, KTHREAD, ETHREAD), the tables of WI5 ch. 5 (5-9, 5-10), and the tables of thread and
// TEB properties. Transcribed here by hand, so that no field can be lost from kd unnoticed.
#pragma once

#include <array>
#include <string_view>

namespace vitrine::kd::test {

struct SeedFields {
  std::string_view structure;
  std::string_view names;  // separated by spaces, in the source's order
};

inline constexpr std::array kSeedFields{
    SeedFields{"KPROCESS",
               "Header DirectoryTableBase LdtDescriptor Int21Descriptor IopmOffset Iopl ActiveProcessors KernelTime "
               "UserTime ReadyListHead "
               "SwapListEntry ThreadListHead ProcessLock Affinity StackCount BasePriority QuantumReset AutoAlignment "
               "State DisableBoost "
               "PowerState DisableQuantum IdealNode"},
    SeedFields{
        "EPROCESS",
        "Pcb ProcessLock CreateTime ExitTime RundownProtect UniqueProcessId ActiveProcessLinks QuotaUsage QuotaPeak "
        "CommitCharge "
        "PeakVirtualSize VirtualSize SessionProcessLinks DebugPort ExceptionPort ObjectTable Token WorkingSetPage "
        "AddressCreationLock HyperSpaceLock ForkInProgress HardwareTrigger PhysicalVadRoot CloneRoot "
        "NumberOfPrivatePages "
        "NumberOfLockedPages Win32Process Job SectionObject SectionBaseAddress QuotaBlock WorkingSetWatch "
        "Win32WindowStation "
        "InheritedFromUniqueProcessId LdtInformation VadFreeHint VdmObjects DeviceMap Session ImageFileName JobLinks "
        "LockedPagesList ThreadListHead ActiveThreads Peb ReadOperationCount AweInfo Vm Flags ExitStatus PriorityClass "
        "VadRoot"},
    // The slide on jobs: the global list, members, token filters and token, completion port, counters, limits; and the processes'
    // links and session with them.
    SeedFields{"EJOB",
               "Event JobLinks ProcessListHead JobLock TotalUserTime TotalKernelTime TotalPageFaultCount TotalProcesses "
               "ActiveProcesses TotalTerminatedProcesses LimitFlags ActiveProcessLimit Affinity PriorityClass "
               "SchedulingClass UIRestrictionsClass SecurityLimitFlags Token Filter EndOfJobTimeAction CompletionPort "
               "CompletionKey SessionId ProcessMemoryLimit PeakProcessMemoryUsed JobSetLinks"},
    SeedFields{"KTHREAD",
               "Header MutantListHead InitialStack StackLimit KernelStack ThreadLock ContextSwitches State WaitIrql "
               "WaitMode Teb ApcState "
               "ApcQueueLock WaitStatus WaitBlockList Alertable WaitNext WaitReason Priority EnableStackSwap SwapBusy "
               "WaitListEntry "
               "SwapListEntry Queue WaitTime KernelApcDisable SpecialApcDisable Timer WaitBlock QueueListEntry "
               "ApcStateIndex ApcQueueable "
               "Preempted ProcessReadyQueue KernelStackResident IdealProcessor NextProcessor BasePriority "
               "PriorityDecrement Quantum "
               "SystemAffinityActive PreviousMode ResourceIndex DisableBoost UserAffinity Process Affinity "
               "ServiceTable ApcStatePointer "
               "SavedApcState CallbackStack Win32Thread TrapFrame KernelTime UserTime StackBase SuspendApc "
               "SuspendSemaphore TlsArray "
               "ThreadListEntry LargeStack PowerState Iopl FreezeCount SuspendCount UserIdealProcessor "
               "DeferredProcessor AdjustReason "
               "AdjustIncrement"},
    // Table 5-10 has these besides: cycle time, quantum target and reset, alerted flag, gate.
    SeedFields{"KTHREAD", "CycleTime QuantumTarget QuantumReset Alerted GateObject"},
    SeedFields{"ETHREAD",
               "Tcb CreateTime ExitTime LpcReplyChain LpcReplySemaphore LpcReplyMessageId Cid ImpersonationInfo "
               "IrpList ThreadsProcess "
               "StartAddress Win32StartAddress ThreadListEntry RundownProtect ThreadLock"},
    SeedFields{"TEB",
               "ThreadLocalStoragePointer ExceptionList ExceptionCode LastErrorValue CountOfOwnedCriticalSections "
               "IsImpersonating "
               "ImpersonationLocale"},
    // Table 5-10's row of the TEB: thread id, TLS and FLS, PEB pointer, Winsock, RPC, GDI, OpenGL.
    SeedFields{"TEB",
               "ClientId TlsSlots FlsData ProcessEnvironmentBlock WinSockData ActiveRpcHandle GdiTebBatch glContext"},
};

// What only a process with an image has: tests/guest/kd_test.py sees these differ between System and a program.
inline constexpr SeedFields kSeenInAGuest[] = {
    {"EPROCESS", "SectionObject SectionBaseAddress Peb"},
};

}  // namespace vitrine::kd::test
