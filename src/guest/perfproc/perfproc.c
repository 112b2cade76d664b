/* perfproc.dll: the objects Process (230) and Thread (232) of the performance registry, as Windows' DLL of that name has them
 * [Microsoft: "Performance Data Format", PERF_OBJECT_TYPE and kin; the counters' documentation]. Whoever asks HKEY_PERFORMANCE_DATA
 * loads it through Services\PerfProc\Performance. It knows nothing of its own: every value comes from the kernel's process
 * list (NtQuerySystemInformation, class 5), in the units that the counter's type names:
 *
 *   times           100 ns, since the thread began: a reader divides the difference by that of the object's PerfTime
 *   elapsed time    the creation's system time: a reader subtracts it from the object's PerfTime, which is the system time
 *   switches        how many so far: a reader divides the difference by the seconds between */
#include <windows.h>
#include <winperf.h>
#include <winternl.h>

#define PROCESS_OBJECT 230
#define THREAD_OBJECT 232
#define UNITS_A_SECOND 10000000
#define LONGEST_NAME 64 /* characters, the end included */
#define LAST_COUNTER 24 /* more than any object has */

/* SYSTEM_PROCESS_INFORMATION and SYSTEM_THREAD_INFORMATION as 64-bit kernels fill them. */
struct thread {
  LARGE_INTEGER kernel_time, user_time, create_time;
  ULONG wait_time, padding;
  ULONGLONG start_address;
  ULONGLONG process_id, thread_id;
  LONG priority, base_priority;
  ULONG context_switches, state, wait_reason, padding_2;
};
struct process {
  ULONG next, thread_count;
  LARGE_INTEGER private_working_set;
  ULONG hard_faults, peak_threads;
  ULONGLONG cycle_time;
  LARGE_INTEGER create_time, user_time, kernel_time;
  UNICODE_STRING name;
  LONG base_priority, padding;
  ULONGLONG id, parent_id;
  ULONG handle_count, session_id;
  ULONGLONG unique_key;
  ULONGLONG peak_virtual_size, virtual_size;
  ULONG page_faults, padding_2;
  ULONGLONG peak_working_set, working_set, peak_paged_pool, paged_pool, peak_nonpaged_pool, nonpaged_pool;
  ULONGLONG pagefile, peak_pagefile, private_bytes;
  ULONGLONG io[6];
  struct thread threads[1];
};

struct counter {
  DWORD title, type, size;
};

static const struct counter kProcessCounters[] = {{6, PERF_100NSEC_TIMER, 8},
                                                  {142, PERF_100NSEC_TIMER, 8},
                                                  {144, PERF_100NSEC_TIMER, 8},
                                                  {172, PERF_COUNTER_LARGE_RAWCOUNT, 8},
                                                  {174, PERF_COUNTER_LARGE_RAWCOUNT, 8},
                                                  {28, PERF_COUNTER_COUNTER, 4},
                                                  {178, PERF_COUNTER_LARGE_RAWCOUNT, 8},
                                                  {180, PERF_COUNTER_LARGE_RAWCOUNT, 8},
                                                  {182, PERF_COUNTER_LARGE_RAWCOUNT, 8},
                                                  {184, PERF_COUNTER_LARGE_RAWCOUNT, 8},
                                                  {186, PERF_COUNTER_LARGE_RAWCOUNT, 8},
                                                  {680, PERF_COUNTER_RAWCOUNT, 4},
                                                  {682, PERF_COUNTER_RAWCOUNT, 4},
                                                  {684, PERF_ELAPSED_TIME, 8},
                                                  {784, PERF_COUNTER_RAWCOUNT, 4},
                                                  {1410, PERF_COUNTER_RAWCOUNT, 4},
                                                  {56, PERF_COUNTER_RAWCOUNT, 4},
                                                  {58, PERF_COUNTER_RAWCOUNT, 4},
                                                  {952, PERF_COUNTER_RAWCOUNT, 4}};

static const struct counter kThreadCounters[] = {{146, PERF_COUNTER_COUNTER, 4},
                                                 {6, PERF_100NSEC_TIMER, 8},
                                                 {142, PERF_100NSEC_TIMER, 8},
                                                 {144, PERF_100NSEC_TIMER, 8},
                                                 {684, PERF_ELAPSED_TIME, 8},
                                                 {694, PERF_COUNTER_RAWCOUNT, 4},
                                                 {682, PERF_COUNTER_RAWCOUNT, 4},
                                                 {706, PERF_COUNTER_LARGE_RAWCOUNT_HEX, 8},
                                                 {46, PERF_COUNTER_RAWCOUNT, 4},
                                                 {336, PERF_COUNTER_RAWCOUNT, 4},
                                                 {784, PERF_COUNTER_RAWCOUNT, 4},
                                                 {804, PERF_COUNTER_RAWCOUNT, 4}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* In the order of kProcessCounters. Returns how many. */
static DWORD process_values(const struct process* p, ULONGLONG* v) {
  DWORD n = 0;
  v[n++] = p->kernel_time.QuadPart + p->user_time.QuadPart;
  v[n++] = p->user_time.QuadPart;
  v[n++] = p->kernel_time.QuadPart;
  v[n++] = p->peak_virtual_size;
  v[n++] = p->virtual_size;
  v[n++] = p->page_faults;
  v[n++] = p->peak_working_set;
  v[n++] = p->working_set;
  v[n++] = p->peak_pagefile;
  v[n++] = p->pagefile;
  v[n++] = p->private_bytes;
  v[n++] = p->thread_count;
  v[n++] = p->base_priority;
  v[n++] = p->create_time.QuadPart;
  v[n++] = p->id;
  v[n++] = p->parent_id;
  v[n++] = p->paged_pool;
  v[n++] = p->nonpaged_pool;
  v[n++] = p->handle_count;
  return n;
}

/* In the order of kThreadCounters. */
static DWORD thread_values(const struct thread* t, ULONGLONG* v) {
  DWORD n = 0;
  v[n++] = t->context_switches;
  v[n++] = t->kernel_time.QuadPart + t->user_time.QuadPart;
  v[n++] = t->user_time.QuadPart;
  v[n++] = t->kernel_time.QuadPart;
  v[n++] = t->create_time.QuadPart;
  v[n++] = t->priority;
  v[n++] = t->base_priority;
  v[n++] = t->start_address;
  v[n++] = t->state;
  v[n++] = t->wait_reason;
  v[n++] = t->process_id;
  v[n++] = t->thread_id;
  return n;
}

/* What is written, or only measured when there is no room. */
struct output {
  BYTE* start;
  DWORD size, room;
};

static void* reserve(struct output* out, DWORD bytes) {
  BYTE* at = out->size + bytes <= out->room ? out->start + out->size : NULL;
  out->size += bytes;
  return at;
}

/* PERF_COUNTER_BLOCK and four bytes, so that what follows is aligned; each value has eight bytes of room. */
static DWORD data_bytes(DWORD count) { return 8 + 8 * count; }

static void put_instance(struct output* out, const struct counter* counters, DWORD count, const ULONGLONG* values,
                         DWORD parent_object, DWORD parent, const WCHAR* name, DWORD characters) {
  const DWORD name_bytes = (characters + 1) * sizeof(WCHAR);
  const DWORD header = (sizeof(PERF_INSTANCE_DEFINITION) + name_bytes + 7) & ~7u;
  BYTE* at = reserve(out, header + data_bytes(count));
  if (at == NULL) return;
  PERF_INSTANCE_DEFINITION* instance = (PERF_INSTANCE_DEFINITION*)at;
  instance->ByteLength = header;
  instance->ParentObjectTitleIndex = parent_object;
  instance->ParentObjectInstance = parent;
  instance->UniqueID = PERF_NO_UNIQUE_ID;
  instance->NameOffset = sizeof(PERF_INSTANCE_DEFINITION);
  instance->NameLength = name_bytes;
  WCHAR* text = (WCHAR*)(instance + 1);
  for (DWORD i = 0; i < characters; ++i) text[i] = name[i];
  text[characters] = 0;
  BYTE* block = at + header;
  ((PERF_COUNTER_BLOCK*)block)->ByteLength = data_bytes(count);
  for (DWORD i = 0; i < count; ++i) {
    if (counters[i].size == 8) {
      *(ULONGLONG*)(block + 8 + 8 * i) = values[i];
    } else {
      *(DWORD*)(block + 8 + 8 * i) = (DWORD)values[i];
    }
  }
}

static DWORD object_header(struct output* out, const struct counter* counters, DWORD count) {
  const DWORD start = out->size;
  const DWORD definition = sizeof(PERF_OBJECT_TYPE) + count * sizeof(PERF_COUNTER_DEFINITION);
  BYTE* at = reserve(out, definition);
  if (at == NULL) return start;
  PERF_COUNTER_DEFINITION* c = (PERF_COUNTER_DEFINITION*)(at + sizeof(PERF_OBJECT_TYPE));
  for (DWORD i = 0; i < count; ++i, ++c) {
    c->ByteLength = sizeof *c;
    c->CounterNameTitleIndex = counters[i].title;
    c->CounterHelpTitleIndex = counters[i].title + 1;
    c->DetailLevel = PERF_DETAIL_NOVICE;
    c->CounterType = counters[i].type;
    c->CounterSize = counters[i].size;
    c->CounterOffset = 8 + 8 * i;
  }
  return start;
}

static void object_end(struct output* out, DWORD start, DWORD title, DWORD count, DWORD instances) {
  if (out->size > out->room) return;
  PERF_OBJECT_TYPE* object = (PERF_OBJECT_TYPE*)(out->start + start);
  object->TotalByteLength = out->size - start;
  object->DefinitionLength = sizeof *object + count * sizeof(PERF_COUNTER_DEFINITION);
  object->HeaderLength = sizeof *object;
  object->ObjectNameTitleIndex = title;
  object->ObjectHelpTitleIndex = title + 1;
  object->DetailLevel = PERF_DETAIL_NOVICE;
  object->NumCounters = count;
  object->DefaultCounter = title == PROCESS_OBJECT ? 0 : 1; /* % Processor Time */
  object->NumInstances = instances;
  object->CodePage = 0; /* names are Unicode */
  FILETIME now;
  GetSystemTimeAsFileTime(&now);
  object->PerfTime.LowPart = now.dwLowDateTime;
  object->PerfTime.HighPart = now.dwHighDateTime;
  object->PerfFreq.QuadPart = UNITS_A_SECOND;
}

static DWORD decimal(ULONG value, WCHAR* text) {
  WCHAR reversed[10];
  DWORD digits = 0;
  do {
    reversed[digits++] = (WCHAR)(L'0' + value % 10);
  } while ((value /= 10) != 0);
  for (DWORD i = 0; i < digits; ++i) text[i] = reversed[digits - 1 - i];
  return digits;
}

/* Windows shows a process without its ".exe". */
static DWORD process_name(const struct process* p, WCHAR* text) {
  static const WCHAR idle[] = L"Idle";
  const WCHAR* name = p->id == 0 ? idle : p->name.Buffer;
  DWORD characters = p->id == 0 ? COUNT(idle) - 1 : p->name.Length / sizeof(WCHAR);
  if (characters > 4 && name[characters - 4] == L'.' && (name[characters - 3] | 0x20) == L'e' &&
      (name[characters - 2] | 0x20) == L'x' && (name[characters - 1] | 0x20) == L'e') {
    characters -= 4;
  }
  if (characters > LONGEST_NAME - 1) characters = LONGEST_NAME - 1;
  for (DWORD i = 0; i < characters; ++i) text[i] = name[i];
  return characters;
}

static const struct process* following(const struct process* p) {
  return p->next == 0 ? NULL : (const struct process*)((const BYTE*)p + p->next);
}

static void put_processes(struct output* out, const struct process* first) {
  ULONGLONG values[LAST_COUNTER];
  WCHAR name[LONGEST_NAME];
  const DWORD start = object_header(out, kProcessCounters, COUNT(kProcessCounters));
  DWORD instances = 0;
  for (const struct process* p = first; p != NULL; p = following(p), ++instances) {
    process_values(p, values);
    put_instance(out, kProcessCounters, COUNT(kProcessCounters), values, 0, 0, name, process_name(p, name));
  }
  object_end(out, start, PROCESS_OBJECT, COUNT(kProcessCounters), instances);
}

/* A thread is named by its place in its process, and its parent is the process's place. */
static void put_threads(struct output* out, const struct process* first) {
  ULONGLONG values[LAST_COUNTER];
  WCHAR name[LONGEST_NAME];
  const DWORD start = object_header(out, kThreadCounters, COUNT(kThreadCounters));
  DWORD instances = 0, parent = 0;
  for (const struct process* p = first; p != NULL; p = following(p), ++parent) {
    for (ULONG i = 0; i < p->thread_count; ++i, ++instances) {
      thread_values(&p->threads[i], values);
      put_instance(out, kThreadCounters, COUNT(kThreadCounters), values, PROCESS_OBJECT, parent, name, decimal(i, name));
    }
  }
  object_end(out, start, THREAD_OBJECT, COUNT(kThreadCounters), instances);
}

/* "Global" asks for everything, a list of numbers for the objects that it names. */
static BOOL asks_for(const WCHAR* query, DWORD object) {
  static const WCHAR global[] = L"global";
  if (query == NULL || query[0] == 0) return TRUE;
  DWORD same = 0;
  while (global[same] != 0 && (query[same] | 0x20) == global[same]) ++same;
  if (global[same] == 0 && query[same] == 0) return TRUE;
  for (const WCHAR* at = query; *at != 0;) {
    DWORD number = 0, digits = 0;
    for (; *at >= L'0' && *at <= L'9'; ++at, ++digits) number = number * 10 + (*at - L'0');
    if (digits > 0 && number == object) return TRUE;
    while (*at != 0 && (*at < L'0' || *at > L'9')) ++at;
  }
  return FALSE;
}

/* The process list, in memory of the process's heap; null: there was none. */
static struct process* snapshot(void) {
  for (ULONG bytes = 0x10000; bytes <= 0x10000000; bytes *= 2) {
    struct process* list = HeapAlloc(GetProcessHeap(), 0, bytes);
    if (list == NULL) return NULL;
    const LONG status = NtQuerySystemInformation(SystemProcessInformation, list, bytes, NULL);
    if (status >= 0) return list;
    HeapFree(GetProcessHeap(), 0, list);
  }
  return NULL;
}

__declspec(dllexport) DWORD WINAPI OpenSysProcessObject(LPWSTR devices) {
  (void)devices;
  return ERROR_SUCCESS;
}

__declspec(dllexport) DWORD WINAPI CloseSysProcessObject(void) { return ERROR_SUCCESS; }

__declspec(dllexport) DWORD WINAPI CollectSysProcessObjectData(LPWSTR query, LPVOID* data, LPDWORD bytes, LPDWORD types) {
  struct output out = {*data, 0, *bytes};
  const BOOL processes = asks_for(query, PROCESS_OBJECT), threads = asks_for(query, THREAD_OBJECT);
  *bytes = 0;
  *types = 0;
  if (!processes && !threads) return ERROR_SUCCESS;
  struct process* first = snapshot();
  if (first == NULL) return ERROR_SUCCESS; /* nothing to tell is no error to the reader's other objects */
  /* Threads name their processes by place: who asks for threads alone gets both. */
  put_processes(&out, first);
  if (threads) put_threads(&out, first);
  HeapFree(GetProcessHeap(), 0, first);
  if (out.size > out.room) return ERROR_MORE_DATA;
  *data = out.start + out.size;
  *bytes = out.size;
  *types = threads ? 2 : 1;
  return ERROR_SUCCESS;
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void* reserved) {
  (void)reserved;
  if (reason == DLL_PROCESS_ATTACH) DisableThreadLibraryCalls(module);
  return TRUE;
}
