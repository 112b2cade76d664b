// The counters of table 5-12 of Windows Internals 5, read where Performance Monitor reads them: the performance
// registry. Percentages and rates are computed from two samples by the formulas of the counters' types [facts 5.6].
//
// Expected, by the rules: the class is normal (base 8), so below and above normal are 7 and 9 [facts 6.1]; none of the
// three is boosted, because nothing that they waited for was signalled. The one that spins has a processor of its own
// or shares one with a main thread that sleeps: all ticks of the interval are its own. A wait that the program asked
// for has state 5 and reason 6 (UserRequest), suspension state 5 and reason 5 (Suspended) [facts 5.1].
#include <windows.h>
#include <winperf.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "report.h"

namespace {

constexpr DWORD kProcess = 230, kThread = 232;
constexpr DWORD kProcessorTime = 6, kUserTime = 142, kPrivilegedTime = 144, kSwitches = 146, kElapsed = 684,
                kCurrent = 694, kBase = 682, kStart = 706, kState = 46, kReason = 336, kIdProcess = 784,
                kIdThread = 804;

using Counters = std::map<DWORD, ULONGLONG>;

struct Sample {
  std::vector<BYTE> bytes;
  std::map<DWORD, LONGLONG> time;  // by object: PerfTime, 100 ns
  std::vector<Counters> processes;
  std::map<ULONGLONG, Counters> threads;  // by thread id
};

template <typename T>
const T* at(const void* from, DWORD offset) {
  return reinterpret_cast<const T*>(static_cast<const BYTE*>(from) + offset);
}

void read_object(Sample& sample, const PERF_OBJECT_TYPE* object) {
  sample.time[object->ObjectNameTitleIndex] = object->PerfTime.QuadPart;
  const auto* instance = at<PERF_INSTANCE_DEFINITION>(object, object->DefinitionLength);
  for (LONG i = 0; i < object->NumInstances; ++i) {
    const auto* block = at<PERF_COUNTER_BLOCK>(instance, instance->ByteLength);
    const auto* counter = at<PERF_COUNTER_DEFINITION>(object, object->HeaderLength);
    Counters counters;
    for (DWORD c = 0; c < object->NumCounters;
         ++c, counter = at<PERF_COUNTER_DEFINITION>(counter, counter->ByteLength)) {
      ULONGLONG value = 0;
      std::memcpy(&value, at<BYTE>(block, counter->CounterOffset), counter->CounterSize);
      counters[counter->CounterNameTitleIndex] = value;
    }
    if (object->ObjectNameTitleIndex == kProcess) sample.processes.push_back(counters);
    if (object->ObjectNameTitleIndex == kThread && counters[kIdThread] != 0)
      sample.threads[counters[kIdThread]] = counters;
    instance = at<PERF_INSTANCE_DEFINITION>(block, block->ByteLength);
  }
}

Sample take() {
  Sample sample;
  sample.bytes.resize(0x4000);
  for (;;) {
    DWORD size = static_cast<DWORD>(sample.bytes.size()), type = 0;
    const LONG error = RegQueryValueExA(HKEY_PERFORMANCE_DATA, "230 232", nullptr, &type, sample.bytes.data(), &size);
    if (error == ERROR_SUCCESS) break;
    if (error != ERROR_MORE_DATA || sample.bytes.size() > 0x1000000) {
      Report{"HKEY_PERFORMANCE_DATA: error %ld\n", error};
      ExitProcess(1);
    }
    sample.bytes.resize(sample.bytes.size() * 2);
  }
  RegCloseKey(HKEY_PERFORMANCE_DATA);
  const auto* data = at<PERF_DATA_BLOCK>(sample.bytes.data(), 0);
  const auto* object = at<PERF_OBJECT_TYPE>(data, data->HeaderLength);
  // Wine 8.0's kernelbase counts the header twice: the objects begin behind where it says.
  if (object->TotalByteLength == 0) object = at<PERF_OBJECT_TYPE>(object, sizeof(PERF_DATA_BLOCK));
  for (DWORD i = 0; i < data->NumObjectTypes; ++i) {
    read_object(sample, object);
    object = at<PERF_OBJECT_TYPE>(object, object->TotalByteLength);
  }
  return sample;
}

volatile bool over;
HANDLE never;

DWORD WINAPI spins(void*) {
  while (!over) {
  }
  return 0;
}
DWORD WINAPI waits(void*) { return WaitForSingleObject(never, INFINITE); }

struct Watched {
  const char* name;
  HANDLE thread;
  DWORD id;
};

void compare(const Watched& watched, Sample& before, Sample& after) {
  Counters& a = before.threads[watched.id];
  Counters& b = after.threads[watched.id];
  const double elapsed = static_cast<double>(after.time[kThread] - before.time[kThread]);
  const auto percent = [&](DWORD counter) { return 100.0 * static_cast<double>(b[counter] - a[counter]) / elapsed; };
  const double seconds = elapsed / 1e7;
  const double rate = static_cast<double>(b[kSwitches] - a[kSwitches]) / seconds;
  Report{"%s: processor time %s, the sum of both %d, a few switches a second at most %d\n", watched.name,
         percent(kProcessorTime) > 90  ? "above 90 %"
         : percent(kProcessorTime) < 1 ? "below 1 %"
                                       : "in between",
         b[kProcessorTime] == b[kUserTime] + b[kPrivilegedTime], rate <= 10};
  const ULONGLONG state = b[kState] == 1 || b[kState] == 2 ? 2 : b[kState];  // ready or running: as it comes
  FILETIME created{}, exited{}, kernel{}, user{};
  GetThreadTimes(watched.thread, &created, &exited, &kernel, &user);
  const ULONGLONG birth = static_cast<ULONGLONG>(created.dwHighDateTime) << 32 | created.dwLowDateTime;
  const double age = static_cast<double>(after.time[kThread] - static_cast<LONGLONG>(b[kElapsed])) / 1e7;
  Report{
      "  elapsed time is since creation %d, at least the interval %d; priority base %llu, current %llu, state %llu%s\n",
      b[kElapsed] == birth,
      age >= seconds,
      b[kBase],
      b[kCurrent],
      state,
      b[kState] == 5 ? (b[kReason] == 5   ? ", suspended"
                        : b[kReason] == 6 ? ", user request"
                                          : ", another reason")
                     : ""};
  Report{"  of this process %d\n", b[kIdProcess] == GetCurrentProcessId()};
}

}  // namespace

int main() {
  never = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  Watched watched[] = {{"spins", nullptr, 0}, {"waits", nullptr, 0}, {"suspended", nullptr, 0}};
  watched[0].thread = CreateThread(nullptr, 0, spins, nullptr, 0, &watched[0].id);
  watched[1].thread = CreateThread(nullptr, 0, waits, nullptr, 0, &watched[1].id);
  watched[2].thread = CreateThread(nullptr, 0, waits, nullptr, CREATE_SUSPENDED, &watched[2].id);
  SetThreadPriority(watched[0].thread, THREAD_PRIORITY_BELOW_NORMAL);
  SetThreadPriority(watched[1].thread, THREAD_PRIORITY_ABOVE_NORMAL);
  Sleep(50);
  Sample before = take();
  Sleep(300);
  Sample after = take();
  for (const Watched& one : watched) compare(one, before, after);
  Report{"the start address is the same for all %d\n",
         after.threads[watched[0].id][kStart] == after.threads[watched[1].id][kStart] &&
             after.threads[watched[0].id][kStart] == after.threads[watched[2].id][kStart] &&
             after.threads[watched[0].id][kStart] != 0};
  for (Counters& process : after.processes) {
    if (process[kIdProcess] != GetCurrentProcessId()) continue;
    Report{"this process: priority base %llu, processor time the sum of both %d, threads listed %d\n", process[kBase],
           process[kProcessorTime] == process[kUserTime] + process[kPrivilegedTime], process[680] >= 4};
  }
  over = true;
  SetEvent(never);
  ResumeThread(watched[2].thread);
  for (const Watched& one : watched) WaitForSingleObject(one.thread, INFINITE);
  return 0;
}
