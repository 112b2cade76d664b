#include "guest_twin.h"

#include <Zydis/Zydis.h>

#include <cstring>
#include <sstream>

namespace vitrine::cpu::test {
namespace {

// The pages of data and edge: guest address, offset in a memory image, whether it is written.
template <typename Visit>
void for_each_page(const Visit& visit) {
  for (u64 at = 0; at < NativeRunner::kDataBytes; at += kPageSize) visit(NativeRunner::kData + at, at, true);
  for (u64 at = 0; at < NativeRunner::kEdgeBytes; at += kPageSize) {
    if (!NativeRunner::edge_present(at)) continue;
    visit(NativeRunner::kEdge + at, NativeRunner::kDataBytes + at,
          NativeRunner::kEdge + at != NativeRunner::kEdgeReadOnly);
  }
}

}  // namespace

GuestTwin::GuestTwin(BackendKind kind) : guest_(kind) {
  for (u64 at = 0; at < NativeRunner::kCodeBytes; at += kPageSize) guest_.tables.map(NativeRunner::kCode + at);
  for_each_page([&](Va page, u64, bool written) {
    guest_.tables.map(page, (written ? pte::kWrite : 0) | pte::kUser);
    if (kind != BackendKind::hot_translator) (void)guest_.tables.allocate();
  });
}

GuestContext GuestTwin::context_of(const NativeState& state, Va entry) {
  GuestContext context;
  context.gpr = state.gpr;
  context.rflags = state.rflags;
  context.rip = entry;
  context.gs_base = NativeRunner::kGsBase;
  std::memcpy(context.xsave.data(), state.fxsave.data(), 416);
  for (std::size_t n = 0; n < 16; ++n) {
    std::memcpy(context.xsave.data() + 160 + 16 * n, state.ymm[n].data(), 16);
    std::memcpy(context.xsave.data() + 576 + 16 * n, state.ymm[n].data() + 16, 16);
  }
  return context;
}

void GuestTwin::load_memory(std::span<const u8> memory) {
  for_each_page([&](Va page, u64 offset, bool written) {
    const u8* const from = written ? memory.data() + offset : reinterpret_cast<const u8*>(page);
    std::memcpy(guest_.byte(page), from, kPageSize);
  });
}

void GuestTwin::load_native_memory(std::span<const u8> memory) {
  for_each_page([&](Va page, u64 offset, bool written) {
    if (written) std::memcpy(reinterpret_cast<u8*>(page), memory.data() + offset, kPageSize);
  });
}

NativeEnd GuestTwin::run_natively(NativeRunner& native, std::span<const u8> code, Va at, std::span<const u8> memory,
                                  NativeState& state) {
  const NativeState initial = state;
  NativeEnd end;
  for (u32 tries = 0; tries < 5; ++tries) {
    state = initial;
    load_native_memory(memory);
    end = native.run(code, at, state);
    if (end.vector != static_cast<u64>(Vector::invalid_opcode)) break;
  }
  return end;
}

NativeEnd GuestTwin::run_as_oracle(std::span<const u8> code, Va at, std::span<const u8> memory, NativeState& state) {
  std::vector<u8> bytes(code.begin(), code.end());
  bytes.push_back(0xCC);
  guest_.poke(at, bytes);
  load_memory(memory);
  load(state, at);
  Exit exit;
  do exit = guest_.run();
  while (exit.reason == ExitReason::budget);
  const GuestContext& context = guest_.context;
  state.gpr = context.gpr;
  state.rflags = context.rflags;
  std::memcpy(state.fxsave.data(), context.xsave.data(), state.fxsave.size());
  for (std::size_t n = 0; n < 16; ++n) {
    std::memcpy(state.ymm[n].data(), context.xsave.data() + 160 + 16 * n, 16);
    std::memcpy(state.ymm[n].data() + 16, context.xsave.data() + 576 + 16 * n, 16);
  }
  for_each_page([&](Va page, u64, bool written) {
    if (written) std::memcpy(reinterpret_cast<u8*>(page), guest_.byte(page), kPageSize);
  });
  return {static_cast<u64>(exit.vector), exit.error_code, exit.fault_address, context.rip};
}

std::string GuestTwin::page_difference(Va page, const u8* native, std::span<const Ignored> ignored) {
  const u8* const bytes = guest_.byte(page);
  if (std::memcmp(native, bytes, kPageSize) == 0) return {};
  for (u64 n = 0; n < kPageSize; ++n) {
    if (native[n] == bytes[n]) continue;
    bool skip = false;
    for (const Ignored& range : ignored) skip |= page + n - range.first < range.bytes;
    if (skip) continue;
    std::ostringstream out;
    out << std::hex << "memory " << page + n << ": native " << u32{native[n]} << " guest " << u32{bytes[n]} << "\n";
    return out.str();
  }
  return {};
}

std::string GuestTwin::differences(const NativeState& native, u32 undefined_flags, std::span<const Ignored> ignored) {
  std::ostringstream out;
  out << std::hex;
  const GuestContext& context = guest_.context;
  for (std::size_t n = 0; n < 16; ++n) {
    if (native.gpr[n] != context.gpr[n])
      out << "gpr " << n << ": native " << native.gpr[n] << " guest " << context.gpr[n] << "\n";
  }
  const u64 mask = 0xCD5 & ~u64{undefined_flags};
  if (((native.rflags ^ context.rflags) & mask) != 0)
    out << "flags: native " << (native.rflags & 0xCD5) << " guest " << (context.rflags & 0xCD5) << "\n";
  const auto vector = [&](const char* name, std::size_t n, const u8* a, const std::byte* b) {
    if (std::memcmp(a, b, 16) == 0) return;
    u64 left[2], right[2];
    std::memcpy(left, a, 16), std::memcpy(right, b, 16);
    out << name << n << ": native " << left[1] << ":" << left[0] << " guest " << right[1] << ":" << right[0] << "\n";
  };
  for (std::size_t n = 0; n < 16; ++n) {
    vector("xmm ", n, native.ymm[n].data(), context.xsave.data() + 160 + 16 * n);
    vector("ymm high ", n, native.ymm[n].data() + 16, context.xsave.data() + 576 + 16 * n);
  }
  for (std::size_t n = 0; n < 5; ++n) {
    if (native.fxsave[n] != static_cast<u8>(context.xsave[n]))
      out << "x87 control, status or tags, byte " << n << ": native " << u32{native.fxsave[n]} << " guest "
          << static_cast<u32>(context.xsave[n]) << "\n";
  }
  u32 native_mxcsr;
  std::memcpy(&native_mxcsr, native.fxsave.data() + 24, 4);
  if (native_mxcsr != context.mxcsr()) out << "mxcsr: native " << native_mxcsr << " guest " << context.mxcsr() << "\n";
  for (std::size_t n = 0; n < 8; ++n)
    vector("st ", n, native.fxsave.data() + 32 + 16 * n, context.xsave.data() + 32 + 16 * n);
  for_each_page([&](Va page, u64, bool) { out << page_difference(page, reinterpret_cast<const u8*>(page), ignored); });
  return out.str();
}

std::string disassemble(std::span<const u8> code, Va at) {
  std::ostringstream out;
  ZydisDisassembledInstruction line;
  for (std::size_t n = 0; n < code.size(); n += line.info.length) {
    if (!ZYAN_SUCCESS(
            ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, at + n, code.data() + n, code.size() - n, &line)))
      break;
    out << std::hex << at + n << "  " << line.text << "\n";
  }
  return out.str();
}

}  // namespace vitrine::cpu::test
