// Images of the floating-point state. FIP and FDP are guest addresses; FOP is always 0, as on processors that record
// it only for unmasked
// exceptions; the x87 selectors are 0, as on processors that have deprecated them.
#include <array>
#include <cstring>

#include "cpu/translator/helpers.h"

namespace vitrine::cpu::translator {
namespace {

constexpr std::size_t kMxcsr = 24, kX87Registers = 32, kXmm = 160, kXmmEnd = 416, kHeader = 512, kYmmHigh = 576,
                      kImageEnd = 832;
constexpr u64 kX87 = 1, kSse = 2, kAvx = 4, kAll = 7;
using Image = std::array<std::byte, kImageEnd>;

// The whole state as an image in standard format. The host's x87 registers keep what they had.
Image capture(Runtime& runtime) {
  Frame& frame = runtime.frame();
  if (frame.x87_loaded != 0) {
    runtime.store_x87();
    runtime.load_x87();
  }
  Image image{};
  std::memcpy(image.data(), runtime.context().xsave.data(), kXmm);
  const u32 mxcsr_mask = 0xFFFF;
  std::memcpy(image.data() + kMxcsr, &frame.guest_mxcsr, 4);
  std::memcpy(image.data() + kMxcsr + 4, &mxcsr_mask, 4);
  for (std::size_t n = 0; n < 16; ++n) {
    std::memcpy(image.data() + kXmm + 16 * n, frame.ymm[n].data(), 16);
    std::memcpy(image.data() + kYmmHigh + 16 * n, frame.ymm[n].data() + 16, 16);
  }
  return image;
}

void restore_x87(Runtime& runtime, const std::byte* image) {
  std::byte* home = runtime.context().xsave.data();
  std::memcpy(home, image, kMxcsr);
  std::memcpy(home + kX87Registers, image + kX87Registers, kXmm - kX87Registers);
  // By way of the processor, which drops what is reserved and works out the error summary.
  const bool loaded = runtime.frame().x87_loaded != 0;
  runtime.load_x87();
  if (!loaded) runtime.store_x87();
}

void initialise_x87(Runtime& runtime) {
  Image image{};
  const u16 control = 0x37F;
  std::memcpy(image.data(), &control, 2);
  restore_x87(runtime, image.data());
}

void restore_vectors(Runtime& runtime, const std::byte* image, bool low, bool high) {
  for (std::size_t n = 0; n < 16; ++n) {
    if (low) std::memcpy(runtime.frame().ymm[n].data(), image + kXmm + 16 * n, 16);
    if (high) std::memcpy(runtime.frame().ymm[n].data() + 16, image + kYmmHigh + 16 * n, 16);
  }
}

bool set_mxcsr(Runtime& runtime, u32 value) {
  if ((value & ~0xFFFFu) != 0) {
    (void)runtime.raise(Vector::general_protection);
    return false;
  }
  runtime.frame().guest_mxcsr = value;
  runtime.note_unmasked_exceptions();
  return true;
}

// Of an address that is canonical; one that is not is found by the access.
bool misaligned(Va at, u64 alignment) { return (at & (alignment - 1)) != 0 && is_canonical(at); }

HelperResult do_fxsave(Runtime& runtime, const Instruction& instruction, Va at) {
  if (misaligned(at, 16)) return runtime.raise(Vector::general_protection);
  Image image = capture(runtime);
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_FXSAVE) {  // 32-bit pointers, then selectors
    std::memset(image.data() + 12, 0, 4);
    std::memset(image.data() + 20, 0, 4);
  }
  return runtime.write(at, image.data(), kXmmEnd, instruction.memory.stack) ? HelperResult::next : HelperResult::fault;
}

HelperResult do_fxrstor(Runtime& runtime, const Instruction& instruction, Va at) {
  if (misaligned(at, 16)) return runtime.raise(Vector::general_protection);
  Image image{};
  if (!runtime.read(at, image.data(), kHeader, instruction.memory.stack)) return HelperResult::fault;
  u32 mxcsr;
  std::memcpy(&mxcsr, image.data() + kMxcsr, 4);
  if (!set_mxcsr(runtime, mxcsr)) return HelperResult::fault;
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_FXRSTOR) {
    std::memset(image.data() + 12, 0, 4);
    std::memset(image.data() + 20, 0, 4);
  }
  restore_x87(runtime, image.data());
  restore_vectors(runtime, image.data(), true, false);
  return HelperResult::next;
}

u64 requested(Runtime& runtime) { return runtime.frame().gpr[0] & kAll; }
u64 requested_avx512(Runtime& runtime) { return runtime.frame().gpr[0] & runtime.state_components() & ~kAll; }

// The components of AVX-512, which lie in a row from Frame::mask on. `layout`: XCOMP_BV of the compacted format, 0 for
// the standard one. Calls `part(offset, data, bytes)` for those that are wanted until one fails.
template <typename Part>
bool for_each_avx512_part(Runtime& runtime, u64 wanted, u64 layout, Part&& part) {
  struct Component {
    u64 bit, offset, bytes;
  };
  constexpr Component kComponents[] = {{1u << 5, 1088, 64}, {1u << 6, 1152, 512}, {1u << 7, 1664, 1024}};
  u64 compact = (layout & kAvx) != 0 ? kImageEnd : kYmmHigh;
  auto* data = reinterpret_cast<std::byte*>(&runtime.frame()) + offsetof(Frame, mask);
  for (const auto& [bit, standard, bytes] : kComponents) {
    const u64 offset = layout != 0 ? compact : standard;
    if ((wanted & bit) != 0 && !part(offset, data, bytes)) return false;
    if ((layout & bit) != 0) compact += bytes;
    data += bytes;
  }
  return true;
}

HelperResult do_xsave(Runtime& runtime, const Instruction& instruction, Va at) {
  if (misaligned(at, 64)) return runtime.raise(Vector::general_protection);
  const u64 mask = requested(runtime);
  const bool compact =
      instruction.mnemonic() == ZYDIS_MNEMONIC_XSAVEC || instruction.mnemonic() == ZYDIS_MNEMONIC_XSAVEC64;
  const u64 length = (mask & kAvx) != 0 ? kImageEnd : kYmmHigh;
  Image old{};
  const bool stack = instruction.memory.stack;
  const u64 more = requested_avx512(runtime), layout = compact ? mask | more | 1ull << 63 : 0;
  const auto may_write = [&](u64 offset, std::byte*, u64 bytes) {
    return runtime.may_write(at + offset, bytes, stack);
  };
  if (!for_each_avx512_part(runtime, more, layout, may_write)) return HelperResult::fault;
  if (!runtime.may_write(at, length, stack) || !runtime.read(at, old.data(), length, stack)) return HelperResult::fault;
  const Image now = capture(runtime);
  if ((mask & kX87) != 0) {
    std::memcpy(old.data(), now.data(), kMxcsr);
    std::memcpy(old.data() + kX87Registers, now.data() + kX87Registers, kXmm - kX87Registers);
  }
  if ((mask & (kSse | kAvx)) != 0) std::memcpy(old.data() + kMxcsr, now.data() + kMxcsr, 8);
  if ((mask & kSse) != 0) std::memcpy(old.data() + kXmm, now.data() + kXmm, kXmmEnd - kXmm);
  if ((mask & kAvx) != 0) std::memcpy(old.data() + kYmmHigh, now.data() + kYmmHigh, kImageEnd - kYmmHigh);
  u64 header[2];
  std::memcpy(header, old.data() + kHeader, sizeof header);
  header[0] = compact ? mask | more : header[0] | mask | more;
  if (compact) header[1] = layout;
  std::memcpy(old.data() + kHeader, header, sizeof header);
  if (!runtime.write(at, old.data(), length, stack)) return HelperResult::fault;
  const auto write = [&](u64 offset, std::byte* data, u64 bytes) {
    return runtime.write(at + offset, data, bytes, stack);
  };
  return for_each_avx512_part(runtime, more, layout, write) ? HelperResult::next : HelperResult::fault;
}

HelperResult do_xrstor(Runtime& runtime, Va at, bool stack) {
  if (misaligned(at, 64)) return runtime.raise(Vector::general_protection);
  const u64 mask = requested(runtime);
  Image image{};
  if (!runtime.read(at, image.data(), kYmmHigh, stack)) return HelperResult::fault;
  u64 header[2];
  std::memcpy(header, image.data() + kHeader, sizeof header);
  const bool compact = (header[1] >> 63) != 0;
  if ((header[0] & ~runtime.state_components()) != 0 || (!compact && header[1] != 0) ||
      (compact && (header[0] & ~header[1]) != 0)) {
    return runtime.raise(Vector::general_protection);
  }
  const u64 load = mask & header[0];
  if ((load & kAvx) != 0 && !runtime.read(at + kYmmHigh, image.data() + kYmmHigh, kImageEnd - kYmmHigh, stack))
    return HelperResult::fault;
  const u64 more = requested_avx512(runtime), layout = compact ? header[1] : 0;
  const auto may_read = [&](u64 offset, std::byte*, u64 bytes) {
    std::array<std::byte, 1024> ignored;
    return runtime.read(at + offset, ignored.data(), bytes, stack);
  };
  if (!for_each_avx512_part(runtime, more & header[0], layout, may_read)) return HelperResult::fault;
  if ((mask & (kSse | kAvx)) != 0) {
    u32 mxcsr;
    std::memcpy(&mxcsr, image.data() + kMxcsr, 4);
    if (!set_mxcsr(runtime, mxcsr)) return HelperResult::fault;
  }
  if ((mask & kX87) != 0) {
    if ((load & kX87) != 0)
      restore_x87(runtime, image.data());
    else
      initialise_x87(runtime);
  }
  if ((load & kSse) == 0) std::memset(image.data() + kXmm, 0, kXmmEnd - kXmm);
  restore_vectors(runtime, image.data(), (mask & kSse) != 0, (mask & kAvx) != 0);
  const auto initialise = [](u64, std::byte* data, u64 bytes) {
    std::memset(data, 0, bytes);
    return true;
  };
  const auto read = [&](u64 offset, std::byte* data, u64 bytes) {
    return runtime.read(at + offset, data, bytes, stack);
  };
  (void)for_each_avx512_part(runtime, more & ~header[0], layout, initialise);
  return for_each_avx512_part(runtime, more & header[0], layout, read) ? HelperResult::next : HelperResult::fault;
}

// The protected-mode environments (SDM vol. 1, figures 8-9 and 8-11): 32-bit fields, or 16-bit ones when the operand
// size says so.
struct Environment {
  u32 control, status, tag, ip, selector, dp, dp_selector;
};
constexpr std::size_t kFields = sizeof(Environment) / 4, kRegistersBytes = 80;
struct SavedX87 {
  Environment environment;
  std::array<std::byte, kRegistersBytes> registers;
};
static_assert(sizeof(Environment) == 28 && sizeof(SavedX87) == 108);

// In guest memory: `width` bytes a field.
struct EnvironmentImage {
  std::array<std::byte, sizeof(SavedX87)> bytes{};
  u64 width = 4;
  [[nodiscard]] u64 length() const { return kFields * width; }
};

u64 environment_width(const Instruction& instruction) { return instruction.z.operand_width == 16 ? 2 : 4; }

EnvironmentImage show(Runtime& runtime, Environment environment, u64 width) {
  environment.ip = static_cast<u32>(runtime.frame().x87_ip);
  environment.dp = static_cast<u32>(runtime.frame().x87_dp);
  environment.selector = environment.dp_selector = 0;
  EnvironmentImage image;
  image.width = width;
  for (std::size_t n = 0; n < kFields; ++n) {
    std::memcpy(image.bytes.data() + n * width, reinterpret_cast<const std::byte*>(&environment) + 4 * n, width);
  }
  return image;
}

Environment parse(const EnvironmentImage& image) {
  Environment environment{};
  for (std::size_t n = 0; n < kFields; ++n) {
    std::memcpy(reinterpret_cast<std::byte*>(&environment) + 4 * n, image.bytes.data() + n * image.width, image.width);
  }
  return environment;
}

HelperResult do_store_environment(Runtime& runtime, Va at, u64 width, bool stack) {
  Environment environment;
  asm volatile("fnstenv %0" : "=m"(environment) : : "memory");
  const EnvironmentImage shown = show(runtime, environment, width);
  if (runtime.write(at, shown.bytes.data(), shown.length(), stack)) return HelperResult::next;
  asm volatile("fldenv %0" : : "m"(environment) : "memory");
  return HelperResult::fault;
}

void restore_pointers(Runtime& runtime, const Environment& environment) {
  runtime.frame().x87_ip = environment.ip;
  runtime.frame().x87_dp = environment.dp;
}

HelperResult do_load_environment(Runtime& runtime, Va at, u64 width, bool stack) {
  EnvironmentImage image;
  image.width = width;
  if (!runtime.read(at, image.bytes.data(), image.length(), stack)) return HelperResult::fault;
  const Environment environment = parse(image);
  asm volatile("fldenv %0" : : "m"(environment) : "memory");
  restore_pointers(runtime, environment);
  return HelperResult::next;
}

HelperResult do_save_x87(Runtime& runtime, Va at, u64 width, bool stack) {
  SavedX87 saved;
  asm volatile("fnsave %0" : "=m"(saved) : : "memory");
  EnvironmentImage shown = show(runtime, saved.environment, width);
  std::memcpy(shown.bytes.data() + shown.length(), saved.registers.data(), kRegistersBytes);
  if (runtime.write(at, shown.bytes.data(), shown.length() + kRegistersBytes, stack)) {
    runtime.frame().x87_ip = runtime.frame().x87_dp = 0;
    return HelperResult::next;
  }
  asm volatile("frstor %0" : : "m"(saved) : "memory");
  return HelperResult::fault;
}

HelperResult do_restore_x87(Runtime& runtime, Va at, u64 width, bool stack) {
  EnvironmentImage image;
  image.width = width;
  if (!runtime.read(at, image.bytes.data(), image.length() + kRegistersBytes, stack)) return HelperResult::fault;
  SavedX87 saved{parse(image), {}};
  std::memcpy(saved.registers.data(), image.bytes.data() + image.length(), kRegistersBytes);
  asm volatile("frstor %0" : : "m"(saved) : "memory");
  restore_pointers(runtime, saved.environment);
  return HelperResult::next;
}

}  // namespace

HelperResult execute_state(Runtime& runtime, const Instruction& instruction) {
  const Va at = effective_address(runtime.frame(), instruction.memory);
  const u64 width = environment_width(instruction);
  const bool stack = instruction.memory.stack;
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
      return do_fxsave(runtime, instruction, at);
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
      return do_fxrstor(runtime, instruction, at);
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
      return do_xsave(runtime, instruction, at);
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
      return do_xrstor(runtime, at, stack);
    case ZYDIS_MNEMONIC_FNSTENV:
      return do_store_environment(runtime, at, width, stack);
    case ZYDIS_MNEMONIC_FLDENV:
      return do_load_environment(runtime, at, width, stack);
    case ZYDIS_MNEMONIC_FNSAVE:
      return do_save_x87(runtime, at, width, stack);
    case ZYDIS_MNEMONIC_FRSTOR:
      return do_restore_x87(runtime, at, width, stack);
    case ZYDIS_MNEMONIC_VLDMXCSR:
    case ZYDIS_MNEMONIC_LDMXCSR: {
      u32 value;
      if (!runtime.read(at, &value, 4, instruction.memory.stack)) return HelperResult::fault;
      return set_mxcsr(runtime, value) ? HelperResult::next : HelperResult::fault;
    }
    default:
      return HelperResult::not_mine;
  }
}

}  // namespace vitrine::cpu::translator
