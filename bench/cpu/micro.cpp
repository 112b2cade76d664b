#include "micro.h"

#include "bare_guest.h"
#include "cpu/page_walk.h"
#include "cpu/translator/debug_registers.h"
#include "mm/address_space.h"
#include "mm/memory_manager.h"
#include "sim/profile.h"

namespace vitrine::bench {
namespace {

using cpu::ExitReason;
using cpu::Gpr;

constexpr u64 kNever = 1ull << 40;

void check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "bench_cpu: %s\n", what);
  std::exit(1);
}

void line(const char* name, double value, const char* unit, const char* target) {
  std::printf("  %-58s %9.1f %-5s %s\n", name, value, unit, target);
}

// `syscall; jmp`: out of generated code, through `run`, and back.
double system_call(int processes) {
  constexpr int kCalls = 200'000;
  BareGuest guest;
  guest.map(kCode, kPageSize, 0);
  guest.poke(kCode, std::vector<u8>{0x0F, 0x05, 0xEB, 0xFC});
  std::vector<cpu::GuestContext> contexts(static_cast<std::size_t>(processes));
  for (auto& context : contexts) context.rip = kCode;
  const auto once = [&](cpu::GuestContext& context) {
    check(guest.cpu->run(0, *guest.space, context, kWindow).reason == ExitReason::system_call, "no system call");
  };
  once(contexts[0]);
  const double start = seconds();
  for (int n = 0; n < kCalls; ++n) once(contexts[static_cast<std::size_t>(n % processes)]);
  return (seconds() - start) / kCalls * 1e9;
}

// What each `run`, with its two tests per entry into generated code and one per slow access, pays for debug registers
// while nobody uses them.
double unused_debug_registers() {
  constexpr int kRuns = 5'000'000;
  cpu::GuestContext context;
  cpu::translator::DebugRegisters registers;
  const double start = seconds();
  for (int n = 0; n < kRuns; ++n) {
    asm volatile("" : : "r"(&context), "r"(&registers) : "memory");
    registers.load(context);
    bool used = registers.watches();
    used |= registers.executes();
    used |= registers.met();
    asm volatile("" : : "r"(used));
  }
  return (seconds() - start) / kRuns * 1e9;
}

// A loop of three instructions under TF: each ends in #DB and comes back.
double single_step() {
  constexpr int kSteps = 200'000;
  BareGuest guest;
  guest.map(kCode, kPageSize, 0);
  guest.poke(kCode, std::vector<u8>{0x48, 0xFF, 0xC0, 0x48, 0xFF, 0xC9, 0xEB, 0xF8});  // inc rax; dec rcx; jmp
  guest.context.rip = kCode;
  guest.context.rflags |= 1u << 8;
  const auto once = [&] {
    check(guest.cpu->run(0, *guest.space, guest.context, kWindow).vector == cpu::Vector::debug, "no single step");
  };
  for (int n = 0; n < 3; ++n) once();
  const double start = seconds();
  for (int n = 0; n < kSteps; ++n) once();
  return (seconds() - start) / kSteps * 1e9;
}

// Reads one word of each of `pages` pages again and again; what a round costs for each page.
double touch_pages(u64 pages, bool flush_before) {
  BareGuest guest;
  guest.map(kCode, kPageSize, 0);
  guest.map(kBuffer, pages * kPageSize);
  // again: mov rax, [rsi]; add rsi, 4096; dec rcx; jnz again; syscall; jmp again
  guest.poke(kCode, std::vector<u8>{0x48, 0x8B, 0x06, 0x48, 0x81, 0xC6, 0x00, 0x10, 0x00, 0x00, 0x48, 0xFF, 0xC9, 0x75,
                                    0xF1, 0x0F, 0x05, 0xEB, 0xED});
  guest.context.rip = kCode;
  double total = 0;
  constexpr int kRounds = 20;
  for (int round = -1; round < kRounds; ++round) {
    guest.context[Gpr::rsi] = kBuffer;
    guest.context[Gpr::rcx] = pages;
    if (flush_before) guest.cpu->flush(*guest.space);
    const double start = seconds();
    check(guest.cpu->run(0, *guest.space, guest.context, kNever).reason == ExitReason::system_call, "no system call");
    if (round >= 0) total += seconds() - start;
  }
  return total / kRounds / static_cast<double>(pages) * 1e9;
}

double window() {
  constexpr u64 kWindows = 100'000;
  BareGuest guest;
  guest.map(kCode, kPageSize, 0);
  guest.poke(kCode, std::vector<u8>{0x48, 0xFF, 0xC0, 0x48, 0xFF, 0xC9, 0xEB, 0xF8});  // inc rax; dec rcx; jmp
  guest.context.rip = kCode;
  const auto run = [&](u64 budget, u64 count) {
    const double start = seconds();
    for (u64 n = 0; n < count; ++n) (void)guest.cpu->run(0, *guest.space, guest.context, budget);
    return seconds() - start;
  };
  (void)run(kWindow, 10);
  const double pieces = run(100, kWindows), whole = run(100 * kWindows, 1);
  return (pieces - whole) / kWindows * 1e9;
}

constexpr u64 kLargeCode = std::size(kKernels) - 1;

// MB/s of guest code: what one round of the large code takes more when it has to be translated.
double translation_of(KernelGuest& guest) {
  const u64 before = guest.cpu->statistics().guest_bytes;
  const double start = seconds();
  (void)guest.run(kLargeCode, 1);
  const double cold = seconds() - start, again = seconds();
  (void)guest.run(kLargeCode, 1);
  const double warm = seconds() - again;
  return static_cast<double>(guest.cpu->statistics().guest_bytes - before) / (cold - warm) / 1e6;
}
double translation_again(std::span<const u8> image, KernelGuest& guest) {
  for (u64 at = 0; at < image.size(); at += kPageSize)
    guest.cpu->code_written(cpu::pte::frame(*guest.entry(kCode + at)));
  return translation_of(guest);
}

// Into host memory that was never used: most of a short program's.
double translation_fresh(std::span<const u8> image) {
  KernelGuest guest(image);
  return translation_of(guest);
}
// Into host memory that held translations before.
double translation_recycled(std::span<const u8> image) {
  KernelGuest guest(image, Frames::in_order, {.code_cache_bytes = 8u << 20});
  while (guest.cpu->statistics().cache_flushes == 0) (void)translation_again(image, guest);
  std::vector<double> speed;
  for (int n = 0; n < 5; ++n) speed.push_back(translation_again(image, guest));
  return median(speed);
}

// A loop writes to fresh pages of a committed range: trap, fault path of the memory manager with a zeroed frame, and
// back. The range is freed after each round, so that the frames of the next were used before.
double demand_zero() {
  constexpr u64 kPages = 4096;
  const sim::Profile& profile = *sim::find_profile(sim::kDefaultProfile);
  FixedIdentity identity;
  ram::GuestRam ram = ram::GuestRam::create(256ull << 20).value();
  const auto processor = cpu::make_translator(ram, identity, 1, {});
  mm::PhysicalMemory physical(ram, profile, 0);
  ex::Pool pool(profile, &physical);
  trace::Recorder recorder;
  mm::MemoryManager manager({profile, physical, pool, *processor, recorder});
  const auto space = *manager.create_space({});
  const auto allocate = [&](u64 bytes, u32 protect) {
    return space->allocate({.base = 0, .size = bytes, .type = mm::mem::kCommit | mm::mem::kReserve, .protect = protect})
        ->base;
  };
  const Va code = allocate(kPageSize, mm::page::kExecuteReadWrite);
  // again: mov [rsi], rax; add rsi, 4096; dec rcx; jnz again; syscall; jmp again
  const u8 bytes[] = {0x48, 0x89, 0x06, 0x48, 0x81, 0xC6, 0x00, 0x10, 0x00, 0x00,
                      0x48, 0xFF, 0xC9, 0x75, 0xF1, 0x0F, 0x05, 0xEB, 0xED};
  check(space->handle_fault(code, cpu::page_fault::kUser | cpu::page_fault::kWrite, ke::Mode::user).status ==
            Status::success,
        "code");
  const cpu::Translation at = cpu::walk_page_tables(ram, space->cpu_space().root(), code, cpu::AccessKind::write);
  check(at.ok(), "code page");
  std::memcpy(at.host, bytes, sizeof bytes);
  cpu::GuestContext context;
  context.rip = code;
  double best = 1e9;
  for (int round = 0; round < 6; ++round) {
    const Va base = allocate(kPages * kPageSize, mm::page::kReadWrite);
    context[Gpr::rsi] = base;
    context[Gpr::rcx] = kPages;
    const double start = seconds();
    for (;;) {
      const cpu::Exit exit = processor->run(0, space->cpu_space(), context, kWindow);
      if (exit.reason == ExitReason::system_call) break;
      if (exit.reason == ExitReason::exception)
        check(space->handle_fault(exit.fault_address, exit.error_code, ke::Mode::user).status == Status::success,
              "fault");
    }
    if (round > 0) best = std::min(best, (seconds() - start) / kPages * 1e9);
    check(space->free(base, 0, mm::mem::kRelease).has_value(), "free");
  }
  return best;
}

}  // namespace

void print_micro(std::span<const u8> image, int repetitions) {
  std::vector<double> call, swap, miss, zero, windows, fresh, recycled, unused, steps;
  for (int n = 0; n < repetitions; ++n) {
    call.push_back(system_call(1));
    swap.push_back(system_call(2));
    miss.push_back(touch_pages(4000, true) - touch_pages(4000, false));
    zero.push_back(demand_zero());
    windows.push_back(window());
    fresh.push_back(translation_fresh(image));
    recycled.push_back(translation_recycled(image));
    unused.push_back(unused_debug_registers());
    steps.push_back(single_step());
  }
  std::printf("\n  %-58s %9s\n", "measure (median)", "");
  line("system call out of the guest and back", median(call), "ns", "at most 100");
  line("the same, switching between two threads", median(swap), "ns", "at most 200");
  line("software TLB miss on a mapped page", median(miss), "ns", "at most 100");
  line("demand-zero fault on a used frame: trap, mm, zeroing, back", median(zero), "ns", "at most 600");
  line("end of a window and back", median(windows), "ns", "");
  line("debug registers that are not used, each run", median(unused), "ns", "");
  line("a single step and back", median(steps), "ns", "");
  line("translation of 400 KB of code, into used memory", median(recycled), "MB/s", "at least 15");
  line("the same into memory that the host has yet to clear", median(fresh), "MB/s", "");
}

void print_translation(std::span<const u8> image, int repetitions) {
  KernelGuest guest(image);
  std::vector<double> speed;
  for (int n = 0; n < repetitions; ++n) speed.push_back(translation_again(image, guest));
  const cpu::TranslatorStatistics done = guest.cpu->statistics();
  std::printf("  %.1f guest bytes and %.1f hot bytes a block\n",
              static_cast<double>(done.guest_bytes) / static_cast<double>(done.blocks),
              static_cast<double>(done.host_bytes) / static_cast<double>(done.blocks));
  std::printf("  translation of 400 KB of code: first %.1f MB/s", speed.front());
  std::sort(speed.begin(), speed.end());
  std::printf(", median %.1f, best %.1f of %d\n", median(speed), speed.back(), repetitions);
}

}  // namespace vitrine::bench
