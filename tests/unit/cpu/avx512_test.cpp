// AVX-512 on request: the same code under the translator and on the host, in one window and in windows of one
// instruction; what masks keep from faulting; and #UD where it is not on request.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

#include "translator_fixture.h"

namespace vitrine::cpu::test {
namespace {

constexpr u64 kBufferBytes = GuestMachine::kDataPages * kPageSize;
// Where the program finds and leaves its registers, from RDI on.
constexpr std::size_t kZmm = 0, kMask = 2048, kR10 = 2176, kR11 = 2184, kFlags = 2200, kOperand = 4096;
constexpr std::size_t kIndices = kZmm + 31 * 64;

struct Sample {
  std::vector<u8> code;
  const char* text;
};

// clang-format off
const Sample kSamples[] = {
    {{0x62, 0xF1, 0x64, 0x5A, 0x58, 0x0E}, "vaddps zmm1{k2}, zmm3, [rsi]{1to16}"},
    {{0x62, 0xF1, 0x64, 0xCA, 0x58, 0x0E}, "vaddps zmm1{k2}{z}, zmm3, [rsi]"},
    {{0x62, 0xF1, 0x64, 0x58, 0x58, 0x4E, 0x10}, "vaddps zmm1, zmm3, [rsi+64]{1to16}"},
    {{0x62, 0xF1, 0x66, 0x0A, 0x58, 0x0E}, "vaddss xmm1{k2}, xmm3, [rsi]"},
    {{0x62, 0xF1, 0x7E, 0x0A, 0x10, 0x0E}, "vmovss xmm1{k2}, [rsi]"},
    {{0x62, 0xF1, 0x7E, 0x0A, 0x11, 0x0E}, "vmovss [rsi]{k2}, xmm1"},
    {{0x62, 0xF1, 0x7F, 0xCA, 0x6F, 0x8E, 0x03, 0x00, 0x00, 0x00}, "vmovdqu8 zmm1{k2}{z}, [rsi+3]"},
    {{0x62, 0xF1, 0xFF, 0x4B, 0x7F, 0x8E, 0x05, 0x00, 0x00, 0x00}, "vmovdqu16 [rsi+5]{k3}, zmm1"},
    {{0x62, 0xE1, 0xFD, 0x4A, 0x6F, 0x4E, 0x01}, "vmovdqa64 zmm17{k2}, [rsi+64]"},
    {{0x62, 0x61, 0x7C, 0x48, 0x11, 0xB6, 0x07, 0x00, 0x00, 0x00}, "vmovups [rsi+7], zmm30"},
    {{0x62, 0x61, 0x7C, 0x48, 0x10, 0xAE, 0x09, 0x00, 0x00, 0x00}, "vmovups zmm29, [rsi+9]"},
    {{0x62, 0xF2, 0x7D, 0x4B, 0x8B, 0x16}, "vpcompressd [rsi]{k3}, zmm2"},
    {{0x62, 0xF2, 0xFD, 0x4B, 0x89, 0x16}, "vpexpandq zmm2{k3}, [rsi]"},
    {{0x62, 0xF2, 0x7D, 0x48, 0x88, 0x16}, "vexpandps zmm2, [rsi]"},
    {{0x62, 0xF2, 0xFD, 0x48, 0x8A, 0x16}, "vcompresspd [rsi], zmm2"},
    {{0x62, 0xF2, 0x7D, 0x49, 0x18, 0x0E}, "vbroadcastss zmm1{k1}, [rsi]"},
    {{0x62, 0xF2, 0x7D, 0x49, 0x1A, 0x0E}, "vbroadcastf32x4 zmm1{k1}, [rsi]"},
    {{0x62, 0xF2, 0xFD, 0x49, 0x5B, 0x0E}, "vbroadcasti64x4 zmm1{k1}, [rsi]"},
    {{0x62, 0xF2, 0x7D, 0x49, 0x31, 0x0E}, "vpmovzxbd zmm1{k1}, [rsi]"},
    {{0x62, 0xF2, 0x7E, 0x49, 0x31, 0x0E}, "vpmovdb [rsi]{k1}, zmm1"},
    {{0x62, 0xF2, 0x7E, 0x49, 0x34, 0x0E}, "vpmovqw [rsi]{k1}, zmm1"},
    {{0x62, 0xF1, 0x7C, 0x49, 0x5A, 0x0E}, "vcvtps2pd zmm1{k1}, [rsi]"},
    {{0x62, 0xF1, 0xFD, 0x49, 0x5A, 0x0E}, "vcvtpd2ps ymm1{k1}, zmmword ptr [rsi]"},
    {{0x62, 0xF3, 0x7D, 0x49, 0x1D, 0x16, 0x00}, "vcvtps2ph [rsi]{k1}, zmm2, 0"},
    {{0x62, 0xF2, 0x7D, 0x49, 0x13, 0x16}, "vcvtph2ps zmm2{k1}, [rsi]"},
    {{0x62, 0xF3, 0x7D, 0x49, 0x19, 0x16, 0x01}, "vextractf32x4 [rsi]{k1}, zmm2, 1"},
    {{0x62, 0xF3, 0x65, 0x49, 0x38, 0x16, 0x01}, "vinserti32x4 zmm2{k1}, zmm3, [rsi], 1"},
    {{0x62, 0xF1, 0x6D, 0x49, 0xF2, 0x0E}, "vpslld zmm1{k1}, zmm2, [rsi]"},
    {{0x62, 0xF3, 0x65, 0x4A, 0x3E, 0x0E, 0x01}, "vpcmpub k1{k2}, zmm3, [rsi], 1"},
    {{0x62, 0xF1, 0xE5, 0x5A, 0xC2, 0x0E, 0x01}, "vcmppd k1{k2}, zmm3, [rsi]{1to8}, 1"},
    {{0x62, 0xF2, 0x6D, 0x49, 0x36, 0x0E}, "vpermd zmm1{k1}, zmm2, [rsi]"},
    {{0x62, 0xF2, 0x6D, 0x49, 0x00, 0x0E}, "vpshufb zmm1{k1}, zmm2, [rsi]"},
    {{0x62, 0xF1, 0xFF, 0x49, 0x12, 0x0E}, "vmovddup zmm1{k1}, [rsi]"},
    {{0x62, 0xB2, 0x7D, 0x41, 0x90, 0x0C, 0xBE}, "vpgatherdd zmm1{k1}, [rsi+zmm31*4]"},
    {{0x62, 0xB2, 0x7D, 0x41, 0x91, 0x0C, 0x3E}, "vpgatherqd ymm1{k1}, [rsi+zmm31*1]"},
    {{0x62, 0xA2, 0xFD, 0x43, 0x92, 0x5C, 0x7E, 0x01}, "vgatherdpd zmm19{k3}, [rsi+ymm31*2+8]"},
    {{0x62, 0xB2, 0x7D, 0x41, 0xA0, 0x1C, 0xBE}, "vpscatterdd [rsi+zmm31*4]{k1}, zmm3"},
    {{0x62, 0xA2, 0x7D, 0x42, 0xA3, 0x14, 0x3E}, "vscatterqps [rsi+zmm31*1]{k2}, ymm18"},
    {{0x62, 0xF3, 0x6D, 0x49, 0x25, 0x0E, 0x07}, "vpternlogd zmm1{k1}, zmm2, [rsi], 7"},
    {{0x62, 0xF2, 0x7D, 0x49, 0xC4, 0x0E}, "vpconflictd zmm1{k1}, [rsi]"},
    {{0xC4, 0xE1, 0xF8, 0x90, 0x26}, "kmovq k4, [rsi]"},
    {{0xC5, 0xF8, 0x91, 0x1E}, "kmovw [rsi], k3"},
    {{0xC4, 0xC1, 0xFB, 0x92, 0xEB}, "kmovq k5, r11"},
    {{0xC4, 0x61, 0xFB, 0x93, 0xFA, 0x4D, 0x89, 0xFA}, "kmovq r15, k2; mov r10, r15"},
    {{0xC5, 0xF8, 0x98, 0xCA}, "kortestw k1, k2"},
    {{0xC4, 0xE1, 0xF4, 0x42, 0xE2}, "kandnq k4, k1, k2"},
    {{0x62, 0xC1, 0x7D, 0x08, 0x6E, 0xCA}, "vmovd xmm17, r10d"},
    {{0x62, 0xC1, 0xFD, 0x08, 0x7E, 0xE3}, "vmovq r11, xmm20"},
    {{0x62, 0xD2, 0xFD, 0x48, 0x7C, 0xCB}, "vpbroadcastq zmm1, r11"},
    {{0x41, 0xBF, 0x4D, 0x00, 0x00, 0x00, 0x62, 0xC2, 0x7D, 0x49, 0x7C, 0xD7},
     "mov r15d, 77; vpbroadcastd zmm18{k1}, r15d"},
    {{0xC4, 0x61, 0xFB, 0x2C, 0xD3}, "vcvttsd2si r10, xmm3"},
    {{0x62, 0xC1, 0xE7, 0x08, 0x7B, 0xEB}, "vcvtusi2sd xmm21, xmm3, r11"},
    {{0x62, 0xE3, 0x75, 0x00, 0x22, 0x0E, 0x01}, "vpinsrd xmm17, xmm17, [rsi], 1"},
    {{0x62, 0xE3, 0x7D, 0x08, 0x14, 0x0E, 0x03}, "vpextrb [rsi], xmm17, 3"},
    {{0x62, 0xF1, 0x7E, 0x59, 0x7A, 0x0E}, "vcvtudq2pd zmm1{k1}, [rsi]{1to8}"},
    {{0x62, 0xF3, 0xFD, 0x48, 0x09, 0xE3, 0x04}, "vrndscalepd zmm4, zmm3, 4"},
    {{0x62, 0xF1, 0xE5, 0x78, 0x58, 0xEC}, "vaddpd zmm5, zmm3, zmm4, {rz-sae}"},
    {{0xC5, 0xCC, 0x58, 0xFD}, "vaddps ymm7, ymm6, ymm5"},
    {{0x62, 0x72, 0x7E, 0x48, 0x38, 0xCB}, "vpmovm2d zmm9, k3"},
    {{0x62, 0xF3, 0xED, 0x48, 0x03, 0x4E, 0x01, 0x03}, "valignq zmm1, zmm2, [rsi+64], 3"},
    {{0x62, 0xF2, 0x7D, 0x09, 0x1C, 0x0E}, "vpabsb xmm1{k1}, [rsi]"},
    {{0xC5, 0xF8, 0x28, 0xD1}, "vmovaps xmm2, xmm1"},
    {{0x62, 0xF2, 0x7D, 0x48, 0x2A, 0x4E, 0x01}, "vmovntdqa zmm1, [rsi+64]"},
    {{0x62, 0xF3, 0x7D, 0x4A, 0x66, 0x0E, 0x03}, "vfpclassps k1{k2}, zmmword ptr [rsi], 3"},
    {{0xC5, 0xF9, 0x2E, 0x1E}, "vucomisd xmm3, qword ptr [rsi]"},
    {{0x41, 0xBB, 0x05, 0x00, 0x00, 0x00, 0x62, 0xB2, 0xED, 0x4A, 0x10, 0x0C, 0x1E},
     "mov r11d, 5; vpsrlvw zmm1{k2}, zmm2, [rsi+r11]"},
    {{0x4C, 0x8D, 0x16, 0xB9, 0x03, 0x00, 0x00, 0x00, 0x62, 0x51, 0xFE, 0x48, 0x6F, 0x84, 0xCA, 0x10, 0x00, 0x00,
      0x00, 0x45, 0x31, 0xD2},
     "lea r10, [rsi]; mov ecx, 3; vmovdqu64 zmm8, [r10+rcx*8+16]; xor r10d, r10d"},
    {{0x4C, 0x8D, 0x3E, 0x62, 0x51, 0x7E, 0x49, 0x6F, 0x47, 0x01, 0x45, 0x31, 0xFF},
     "lea r15, [rsi]; vmovdqu32 zmm8{k1}, [r15+0x40]; xor r15d, r15d"},
    {{0xC4, 0xE2, 0x6D, 0x2C, 0x1E}, "vmaskmovps ymm3, ymm2, [rsi]"},
    {{0xC5, 0xFC, 0x28, 0xDC}, "vmovaps ymm3, ymm4"},
    {{0xC5, 0xD9, 0xFE, 0x1E}, "vpaddd xmm3, xmm4, [rsi]"},
};
// clang-format on

class Avx512Test : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!host_supports_avx512()) GTEST_SKIP() << "the host lacks AVX-512";
    std::mt19937_64 random(1);
    for (std::size_t n = 0; n < kBufferBytes; n += 8) {
      const u64 value = random();
      std::memcpy(&start_[n], &value, 8);
    }
    for (u64 n = 0; n < 8; ++n) {
      const u64 index = n * 37 % 64;
      std::memcpy(&start_[kIndices + 8 * n], &index, 8);
    }
  }

  // Loads all registers from RDI on, runs the code with RSI at the operands, and stores all registers.
  static std::vector<u8> program(const std::vector<u8>& code, std::initializer_list<u8> end) {
    std::vector<u8> bytes;
    for (u32 n = 0; n < 32; ++n) move_zmm(bytes, 0x10, n);
    for (u32 n = 1; n < 8; ++n) move_mask(bytes, 0x90, n);
    // mov r10,[rdi+2176]; mov r11,[rdi+2184]; lea rsi,[rdi+4096]; xor edx,edx
    append(bytes, {0x4C, 0x8B, 0x97, 0x80, 0x08, 0, 0, 0x4C, 0x8B, 0x9F, 0x88, 0x08, 0, 0});
    append(bytes, {0x48, 0x8D, 0xB7, 0x00, 0x10, 0, 0, 0x31, 0xD2});
    append(bytes, code);
    append(bytes, {0x9C, 0x58, 0x48, 0x89, 0x87, 0x98, 0x08, 0, 0});  // pushfq; pop rax; mov [rdi+2200],rax
    for (u32 n = 0; n < 32; ++n) move_zmm(bytes, 0x11, n);
    for (u32 n = 1; n < 8; ++n) move_mask(bytes, 0x91, n);
    append(bytes, {0x4C, 0x89, 0x97, 0x80, 0x08, 0, 0, 0x4C, 0x89, 0x9F, 0x88, 0x08, 0, 0});
    append(bytes, end);
    return bytes;
  }

  void load(GuestMachine& guest, const std::vector<u8>& code) {
    guest.poke(GuestMachine::kCode, code);
    for (u64 n = 0; n < kBufferBytes; n += kPageSize) std::memcpy(guest.byte(kData + n), &start_[n], kPageSize);
    guest.context.rip = kCode;
    guest.context[Gpr::rdi] = kData;
  }
  static std::vector<u8> buffer_of(GuestMachine& guest) {
    std::vector<u8> result(kBufferBytes);
    for (u64 n = 0; n < kBufferBytes; n += kPageSize) std::memcpy(&result[n], guest.byte(kData + n), kPageSize);
    return result;
  }
  static void keep_flags(std::vector<u8>& buffer) {
    u64 flags;
    std::memcpy(&flags, &buffer[kFlags], 8);
    flags &= kStatusFlags;
    std::memcpy(&buffer[kFlags], &flags, 8);
  }

  static u64 first_difference(const std::vector<u8>& a, const std::vector<u8>& b) {
    return static_cast<u64>(std::ranges::mismatch(a, b).in1 - a.begin());
  }

  // The same on the host. R15 is the caller's.
  std::vector<u8> run_natively(const std::vector<u8>& code) {
    std::vector<u8> bytes{0x41, 0x57};                                   // push r15
    append(bytes, program(code, {0x41, 0x5F, 0xC5, 0xF8, 0x77, 0xC3}));  // pop r15; vzeroupper; ret
    void* const page = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void* const data = mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memcpy(page, bytes.data(), bytes.size());
    std::memcpy(data, start_.data(), kBufferBytes);
    call(page, data);
    std::vector<u8> result(kBufferBytes);
    std::memcpy(result.data(), data, kBufferBytes);
    munmap(page, kPageSize);
    munmap(data, kBufferBytes);
    return result;
  }

  static void append(std::vector<u8>& to, const std::vector<u8>& bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
  }

  static constexpr TranslatorOptions kOnRequest{.avx512 = true};
  std::vector<u8> start_ = std::vector<u8>(kBufferBytes);

 private:
  [[clang::no_sanitize("function")]] static void call(void* code, void* data) {
    reinterpret_cast<void (*)(void*)>(code)(data);
  }
  static void displacement(std::vector<u8>& to, u64 value) {
    for (int n = 0; n < 4; ++n) to.push_back(static_cast<u8>(value >> 8 * n));
  }
  // vmovups zmm,[rdi+64*n] and back
  static void move_zmm(std::vector<u8>& to, u8 opcode, u32 n) {
    append(to, {0x62, static_cast<u8>(0x61u | ((n & 8) != 0 ? 0u : 0x80u) | ((n & 16) != 0 ? 0u : 0x10u)), 0x7C, 0x48,
                opcode, static_cast<u8>(0x87u | (n & 7) << 3)});
    displacement(to, kZmm + 64ull * n);
  }
  // kmovq k,[rdi+2048+8*n] and back
  static void move_mask(std::vector<u8>& to, u8 opcode, u32 n) {
    append(to, {0xC4, 0xE1, 0xF8, opcode, static_cast<u8>(0x87u | n << 3)});
    displacement(to, kMask + 8ull * n);
  }
};

TEST_F(Avx512Test, InstructionsDoWhatTheyDoOnTheHost) {
  GuestMachine guest(kOnRequest), stepped(kOnRequest);
  for (const Sample& sample : kSamples) {
    std::vector<u8> expected = run_natively(sample.code);
    keep_flags(expected);
    const std::vector<u8> code = program(sample.code, {0x0F, 0x05});
    load(guest, code);
    ASSERT_EQ(guest.run().reason, ExitReason::system_call) << sample.text;
    std::vector<u8> found = buffer_of(guest);
    keep_flags(found);
    EXPECT_EQ(first_difference(found, expected), kBufferBytes) << sample.text;
    load(stepped, code);
    Exit exit;
    do exit = stepped.run(1);
    while (exit.reason == ExitReason::budget);
    ASSERT_EQ(exit.reason, ExitReason::system_call) << sample.text;
    found = buffer_of(stepped);
    keep_flags(found);
    EXPECT_EQ(first_difference(found, expected), kBufferBytes) << "step by step: " << sample.text;
  }
}

TEST_F(Avx512Test, WithoutARequestTheyAreUndefined) {
  GuestMachine guest;
  for (const Sample& sample : kSamples) {
    if (sample.code[0] != 0x62) continue;
    guest.poke(kCode, sample.code);
    guest.context.rip = kCode;
    const Exit exit = guest.run();
    EXPECT_EQ(exit.reason, ExitReason::exception) << sample.text;
    EXPECT_EQ(exit.vector, Vector::invalid_opcode) << sample.text;
  }
  guest.code({0x31, 0xC9, 0x0F, 0x01, 0xD0, 0x0F, 0x05});  // xor ecx,ecx; xgetbv; syscall
  guest.context.rip = kCode;
  ASSERT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 7u);
}

// The operand lies across the end of what is mapped.
TEST_F(Avx512Test, AMaskedElementDoesNotFault) {
  const std::vector<u8> load_bytes{0x62, 0xF1, 0x7F, 0x4A, 0x6F, 0x0E};   // vmovdqu8 zmm1{k2},[rsi]
  const std::vector<u8> store_bytes{0x62, 0xF1, 0x7F, 0x4A, 0x7F, 0x0E};  // vmovdqu8 [rsi]{k2},zmm1
  const std::vector<u8> compress{0x62, 0xF2, 0x7D, 0x4A, 0x8B, 0x0E};     // vpcompressd [rsi]{k2},zmm1
  struct Case {
    const std::vector<u8>& code;
    u64 mask;
    bool faults;
  };
  const Case cases[] = {
      {load_bytes, 0xFFFF'FFFF, false},  {load_bytes, 0x1'FFFF'FFFF, true}, {load_bytes, 0, false},
      {store_bytes, 0xFFFF'FFFF, false}, {store_bytes, 1ull << 32, true},   {store_bytes, 0, false},
      {compress, 0xFF00, false},         {compress, 0xFF01, true},
  };
  for (const Case& one : cases) {
    GuestMachine guest(kOnRequest);
    const Va end = kData + kBufferBytes;
    std::vector<u8> code{0xC4, 0xE1, 0xFB, 0x92, 0xD0};  // kmovq k2,rax
    append(code, one.code);
    append(code, {0x0F, 0x05});
    load(guest, code);
    guest.context[Gpr::rax] = one.mask;
    guest.context[Gpr::rsi] = end - 32;
    const Exit exit = guest.run();
    const bool writes = &one.code != &load_bytes;
    if (!one.faults) {
      EXPECT_EQ(exit.reason, ExitReason::system_call) << one.mask;
      continue;
    }
    EXPECT_EQ(exit.reason, ExitReason::exception);
    EXPECT_EQ(exit.vector, Vector::page_fault);
    EXPECT_EQ(exit.error_code, page_fault::kUser | (writes ? page_fault::kWrite : 0));
    EXPECT_EQ(exit.fault_address, end);
    EXPECT_EQ(guest.context.rip, kCode + 5);
    EXPECT_TRUE(buffer_of(guest) == start_) << "something was written";
  }
}

TEST_F(Avx512Test, AMaskedStoreDropsTranslationsOfWhatItWrites) {
  GuestMachine guest(kOnRequest);
  // kmovq k2,rax; vmovdqu8 [rsi]{k2},zmm0; nop; syscall, where the store turns the NOP into UD2's first byte
  load(guest, {0xC4, 0xE1, 0xFB, 0x92, 0xD0, 0x62, 0xF1, 0x7F, 0x4A, 0x7F, 0x06, 0x90, 0x0F, 0x05});
  guest.context[Gpr::rax] = 1;
  guest.context[Gpr::rsi] = kCode + 11;
  guest.context.xsave[160] = std::byte{0xCC};  // XMM0: INT3
  const Exit exit = guest.run();
  EXPECT_EQ(exit.reason, ExitReason::exception);
  EXPECT_EQ(exit.vector, Vector::breakpoint);
  EXPECT_EQ(guest.context.rip, kCode + 12);
}

// A gather that faults has done the elements before.
TEST_F(Avx512Test, AGatherThatFaultsCanGoOn) {
  GuestMachine guest(kOnRequest);
  // kmovq k1,rax; vpgatherqq zmm1{k1},[rsi+zmm31*1]; kmovq rbx,k1; syscall
  load(guest,
       program({0xC4, 0xE1, 0xFB, 0x92, 0xC8, 0x62, 0xB2, 0xFD, 0x41, 0x91, 0x0C, 0x3E, 0xC4, 0xE1, 0xFB, 0x93, 0xD9},
               {0x0F, 0x05}));
  guest.context[Gpr::rax] = 0xFF;
  const u64 far_away = 1ull << 40;
  guest.store(kData + kIndices + 8 * 3, far_away);
  const Exit exit = guest.run();
  ASSERT_EQ(exit.reason, ExitReason::exception);
  EXPECT_EQ(exit.fault_address, kData + kOperand + far_away);
  u64 mask;
  std::memcpy(&mask, guest.context.avx512.data() + 8, 8);
  EXPECT_EQ(mask, 0xF8u);
}

TEST_F(Avx512Test, XsaveAndXrstorCarryTheWholeState) {
  for (const u8 save : {0x26, 0x20}) {
    GuestMachine guest(kOnRequest);
    // mov eax,0xE7; xor edx,edx; lea r10,[rsi+0x1000]; xsave/xsavec [r10]; vpternlogd zmm20,zmm20,zmm20,0xFF; kxnorq
    // k3,k3,k3; vzeroall; xrstor [r10]; mov r10,[rdi+2176]
    std::vector<u8> code{0xB8, 0xE7, 0, 0, 0, 0x31, 0xD2, 0x4C, 0x8D, 0x96, 0, 0x10, 0, 0};
    append(code, save == 0x26 ? std::vector<u8>{0x41, 0x0F, 0xAE, 0x22} : std::vector<u8>{0x41, 0x0F, 0xC7, 0x22});
    append(code, {0x62, 0xA3, 0x5D, 0x40, 0x25, 0xE4, 0xFF, 0xC4, 0xE1, 0xE4, 0x46, 0xDB, 0xC5, 0xFC, 0x77});
    append(code, {0x41, 0x0F, 0xAE, 0x2A, 0x4C, 0x8B, 0x97, 0x80, 0x08, 0, 0});
    load(guest, program(code, {0x0F, 0x05}));
    std::memset(guest.byte(kData + kOperand + 0x1000), 0, kPageSize);
    ASSERT_EQ(guest.run().reason, ExitReason::system_call);
    const std::vector<u8> found = buffer_of(guest);
    EXPECT_TRUE(std::equal(found.begin(), found.begin() + kMask, start_.begin())) << "vectors";
    EXPECT_TRUE(std::equal(found.begin() + kMask + 8, found.begin() + kMask + 64, start_.begin() + kMask + 8))
        << "masks";
  }
}

}  // namespace
}  // namespace vitrine::cpu::test
