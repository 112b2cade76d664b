// The instructions of the virtual processor by name: every encoding of each runs, and everything else that the decoder
// knows is refused. A hole in the allow-list, or an instruction that slips in, fails here.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cpu/translator/decoder.h"

namespace vitrine::cpu::test {
namespace {
using translator::Decoder;
using translator::DecodeResult;
using translator::Form;
using translator::Instruction;

// clang-format off: the list stays dense
constexpr const char* kInstructions =
    // x87
    "f2xm1 fabs fadd faddp fbld fbstp fchs fcmovb fcmovbe fcmove fcmovnb fcmovnbe fcmovne fcmovnu fcmovu fcom "
    "fcomi fcomip fcomp fcompp fcos fdecstp fdisi8087_nop fdiv fdivp fdivr fdivrp feni8087_nop ffree ffreep fiadd "
    "ficom ficomp fidiv fidivr fild fimul fincstp fist fistp fisub fisubr fld fld1 fldcw fldenv fldl2e fldl2t "
    "fldlg2 fldln2 fldpi fldz fmul fmulp fnclex fninit fnop fnsave fnstcw fnstenv fnstsw fpatan fprem fprem1 "
    "fptan frndint frstor fscale fsetpm287_nop fsin fsincos fsqrt fst fstp fstpnce fsub fsubp fsubr fsubrp ftst "
    "fucom fucomi fucomip fucomp fucompp fwait fxam fxch fxtract fyl2x fyl2xp1 "
    // MMX
    "emms maskmovq movd movntq movq packssdw packsswb packuswb paddb paddd paddsb paddsw paddusb paddusw paddw "
    "pand pandn pavgb pavgw pcmpeqb pcmpeqd pcmpeqw pcmpgtb pcmpgtd pcmpgtw pextrw pinsrw pmaddwd pmaxsw pmaxub "
    "pminsw pminub pmovmskb pmulhuw pmulhw pmullw por psadbw pshufw pslld psllq psllw psrad psraw psrld psrlq "
    "psrlw psubb psubd psubsb psubsw psubusb psubusw psubw punpckhbw punpckhdq punpckhwd punpcklbw punpckldq "
    "punpcklwd pxor "
    // SSE to SSE4.2, FXSAVE, AES, PCLMULQDQ
    "addpd addps addsd addss addsubpd addsubps aesdec aesdeclast aesenc aesenclast aesimc aeskeygenassist andnpd "
    "andnps andpd andps blendpd blendps blendvpd blendvps cmppd cmpps cmpss comisd comiss crc32 cvtdq2pd cvtdq2ps "
    "cvtpd2dq cvtpd2pi cvtpd2ps cvtpi2pd cvtpi2ps cvtps2dq cvtps2pd cvtps2pi cvtsd2si cvtsd2ss cvtsi2sd cvtsi2ss "
    "cvtss2sd cvtss2si cvttpd2dq cvttpd2pi cvttps2dq cvttps2pi cvttsd2si cvttss2si divpd divps divsd divss dppd "
    "dpps extractps fisttp fxrstor fxrstor64 fxsave fxsave64 haddpd haddps hsubpd hsubps insertps lddqu ldmxcsr "
    "lfence maskmovdqu maxpd maxps maxsd maxss mfence minpd minps minsd minss movapd movaps movddup movdq2q "
    "movdqa movdqu movhlps movhpd movhps movlhps movlpd movlps movmskpd movmskps movntdq movntdqa movnti movntpd "
    "movntps movq2dq movshdup movsldup movss movupd movups mpsadbw mulpd mulps mulsd mulss orpd orps pabsb pabsd "
    "pabsw packusdw paddq palignr pblendvb pblendw pclmulqdq pcmpeqq pcmpestri pcmpestrm pcmpgtq pcmpistri "
    "pcmpistrm pextrb pextrd pextrq phaddd phaddsw phaddw phminposuw phsubd phsubsw phsubw pinsrb pinsrd pinsrq "
    "pmaddubsw pmaxsb pmaxsd pmaxud pmaxuw pminsb pminsd pminud pminuw pmovsxbd pmovsxbq pmovsxbw pmovsxdq "
    "pmovsxwd pmovsxwq pmovzxbd pmovzxbq pmovzxbw pmovzxdq pmovzxwd pmovzxwq pmuldq pmulhrsw pmulld pmuludq "
    "pshufb pshufd pshufhw pshuflw psignb psignd psignw pslldq psrldq psubq ptest punpckhqdq punpcklqdq rcpps "
    "rcpss roundpd roundps roundsd roundss rsqrtps rsqrtss sfence shufpd shufps sqrtpd sqrtps sqrtsd sqrtss "
    "stmxcsr subpd subps subsd subss ucomisd ucomiss unpckhpd unpckhps unpcklpd unpcklps xorpd xorps "
    // AVX, AVX2, FMA, F16C, XSAVE
    "vaddpd vaddps vaddsd vaddss vaddsubpd vaddsubps vaesdec vaesdeclast vaesenc vaesenclast vaesimc "
    "vaeskeygenassist vandnpd vandnps vandpd vandps vblendpd vblendps vblendvpd vblendvps vbroadcastf128 "
    "vbroadcasti128 vbroadcastsd vbroadcastss vcmppd vcmpps vcmpsd vcmpss vcomisd vcomiss vcvtdq2pd vcvtdq2ps "
    "vcvtpd2dq vcvtpd2ps vcvtph2ps vcvtps2dq vcvtps2pd vcvtps2ph vcvtsd2si vcvtsd2ss vcvtsi2sd vcvtsi2ss "
    "vcvtss2sd vcvtss2si vcvttpd2dq vcvttps2dq vcvttsd2si vcvttss2si vdivpd vdivps vdivsd vdivss vdppd vdpps "
    "vextractf128 vextracti128 vextractps vfmadd132pd vfmadd132ps vfmadd132sd vfmadd132ss vfmadd213pd vfmadd213ps "
    "vfmadd213sd vfmadd213ss vfmadd231pd vfmadd231ps vfmadd231sd vfmadd231ss vfmaddsub132pd vfmaddsub132ps "
    "vfmaddsub213pd vfmaddsub213ps vfmaddsub231pd vfmaddsub231ps vfmsub132pd vfmsub132ps vfmsub132sd vfmsub132ss "
    "vfmsub213pd vfmsub213ps vfmsub213sd vfmsub213ss vfmsub231pd vfmsub231ps vfmsub231sd vfmsub231ss "
    "vfmsubadd132pd vfmsubadd132ps vfmsubadd213pd vfmsubadd213ps vfmsubadd231pd vfmsubadd231ps vfnmadd132pd "
    "vfnmadd132ps vfnmadd132sd vfnmadd132ss vfnmadd213pd vfnmadd213ps vfnmadd213sd vfnmadd213ss vfnmadd231pd "
    "vfnmadd231ps vfnmadd231sd vfnmadd231ss vfnmsub132pd vfnmsub132ps vfnmsub132sd vfnmsub132ss vfnmsub213pd "
    "vfnmsub213ps vfnmsub213sd vfnmsub213ss vfnmsub231pd vfnmsub231ps vfnmsub231sd vfnmsub231ss vgatherdpd "
    "vgatherdps vgatherqpd vgatherqps vhaddpd vhaddps vhsubpd vhsubps vinsertf128 vinserti128 vinsertps vlddqu "
    "vldmxcsr vmaskmovdqu vmaskmovpd vmaskmovps vmaxpd vmaxps vmaxsd vmaxss vminpd vminps vminsd vminss vmovapd "
    "vmovaps vmovd vmovddup vmovdqa vmovdqu vmovhlps vmovhpd vmovhps vmovlhps vmovlpd vmovlps vmovmskpd vmovmskps "
    "vmovntdq vmovntdqa vmovntpd vmovntps vmovq vmovsd vmovshdup vmovsldup vmovss vmovupd vmovups vmpsadbw vmulpd "
    "vmulps vmulsd vmulss vorpd vorps vpabsb vpabsd vpabsw vpackssdw vpacksswb vpackusdw vpackuswb vpaddb vpaddd "
    "vpaddq vpaddsb vpaddsw vpaddusb vpaddusw vpaddw vpalignr vpand vpandn vpavgb vpavgw vpblendd vpblendvb "
    "vpblendw vpbroadcastb vpbroadcastd vpbroadcastq vpbroadcastw vpclmulqdq vpcmpeqb vpcmpeqd vpcmpeqq vpcmpeqw "
    "vpcmpestri vpcmpestrm vpcmpgtb vpcmpgtd vpcmpgtq vpcmpgtw vpcmpistri vpcmpistrm vperm2f128 vperm2i128 vpermd "
    "vpermilpd vpermilps vpermpd vpermps vpermq vpextrb vpextrd vpextrq vpextrw vpgatherdd vpgatherdq vpgatherqd "
    "vpgatherqq vphaddd vphaddsw vphaddw vphminposuw vphsubd vphsubsw vphsubw vpinsrb vpinsrd vpinsrq vpinsrw "
    "vpmaddubsw vpmaddwd vpmaskmovd vpmaskmovq vpmaxsb vpmaxsd vpmaxsw vpmaxub vpmaxud vpmaxuw vpminsb vpminsd "
    "vpminsw vpminub vpminud vpminuw vpmovmskb vpmovsxbd vpmovsxbq vpmovsxbw vpmovsxdq vpmovsxwd vpmovsxwq "
    "vpmovzxbd vpmovzxbq vpmovzxbw vpmovzxdq vpmovzxwd vpmovzxwq vpmuldq vpmulhrsw vpmulhuw vpmulhw vpmulld "
    "vpmullw vpmuludq vpor vpsadbw vpshufb vpshufd vpshufhw vpshuflw vpsignb vpsignd vpsignw vpslld vpslldq "
    "vpsllq vpsllvd vpsllvq vpsllw vpsrad vpsravd vpsraw vpsrld vpsrldq vpsrlq vpsrlvd vpsrlvq vpsrlw vpsubb "
    "vpsubd vpsubq vpsubsb vpsubsw vpsubusb vpsubusw vpsubw vptest vpunpckhbw vpunpckhdq vpunpckhqdq vpunpckhwd "
    "vpunpcklbw vpunpckldq vpunpcklqdq vpunpcklwd vpxor vrcpps vrcpss vroundpd vroundps vroundsd vroundss "
    "vrsqrtps vrsqrtss vshufpd vshufps vsqrtpd vsqrtps vsqrtsd vsqrtss vstmxcsr vsubpd vsubps vsubsd vsubss "
    "vtestpd vtestps vucomisd vucomiss vunpckhpd vunpckhps vunpcklpd vunpcklps vxorpd vxorps vzeroall vzeroupper "
    "xgetbv xrstor xrstor64 xsave xsave64 xsavec xsavec64 xsaveopt xsaveopt64 "
    // BMI, LZCNT, POPCNT, MOVBE
    "andn bextr blsi blsmsk blsr bzhi lzcnt movbe mulx pdep pext popcnt rorx sarx shlx shrx tzcnt "
    // the base, and NOPs
    "adc add and bndcl bndcn bndcu bndldx bndmk bndmov bndstx bsf bsr bswap bt btc btr bts call cbw cdq cdqe clc "
    "cld cldemote clflush cmc cmovb cmovbe cmovl cmovle cmovnb cmovnbe cmovnl cmovnle cmovno cmovnp cmovns cmovnz "
    "cmovo cmovp cmovs cmovz cmp cmpsb cmpsd cmpsq cmpsw cmpxchg cmpxchg16b cmpxchg8b cpuid cqo cwd cwde dec div "
    "endbr32 endbr64 enter idiv imul inc int int1 int3 iret iretd iretq jb jbe jecxz jl jle jmp jnb jnbe jnl jnle jno jnp "
    "jns jnz jo jp jrcxz js jz lahf lar lea leave lodsb lodsd lodsq lodsw loop loope loopne lsl mov movsb movsd movsq "
    "movsw movsx movsxd movzx mul neg nop not or pause pop popf popfq prefetch prefetchnta prefetcht0 prefetcht1 "
    "prefetcht2 prefetchw prefetchwt1 push pushf pushfq rcl rcr rdrand rdseed rdsspd rdsspq rdtsc rdtscp ret rol "
    "ror sahf sar sbb scasb scasd scasq scasw setb setbe setl setle setnb setnbe setnl setnle setno setnp setns "
    "setnz seto setp sets setz shl shld shr shrd stc std stosb stosd stosq stosw sub syscall test verr verw xadd xchg "
    "xlat xor ";
// clang-format on

// Some encodings of these do not run: control registers, the 256-bit forms of VAES and VPCLMULQDQ, the VEX forms that
// another processor has for bit counts.
const std::set<std::string> kPartly = {"mov",        "vaesdec", "vaesenc", "vaesdeclast", "vaesenclast",
                                       "vpclmulqdq", "lzcnt",   "popcnt",  "tzcnt"};

bool runs(Form form) { return form != Form::refused && form != Form::invalid && form != Form::privileged; }

struct Seen {
  bool running = false, refused = false;
};

// Every opcode under each prefix that chooses an instruction.
class AllowList : public ::testing::Test {
 protected:
  void see(std::vector<u8> bytes) {
    bytes.resize(ZYDIS_MAX_INSTRUCTION_LENGTH);
    Instruction instruction;
    if (decoder_.decode(bytes, 0x1'4000'0000, instruction) != DecodeResult::ok) return;
    Seen& seen = seen_[instruction.mnemonic()];
    (runs(instruction.form) ? seen.running : seen.refused) = true;
  }

  // Memory forms (with and without SIB) and a register form of each value of the ModRM byte's middle field; `all`:
  // every register form.
  void see_forms(std::vector<u8> opcode, bool all) {
    opcode.push_back(0);
    for (u32 modrm = 0; modrm < 0x100; ++modrm) {
      const bool memory = modrm < 0x40, registers = modrm >= 0xC0;
      const u32 rm = modrm & 7;
      if (!(rm == 0 ? memory || registers : memory ? rm == 4 : registers && all)) continue;
      opcode.back() = static_cast<u8>(modrm);
      see(opcode);
    }
  }

  void see_legacy() {
    const std::vector<std::vector<u8>> prefixes = {{},     {0x66},       {0xF2},       {0xF3},      {0xF0},
                                                   {0x48}, {0x66, 0x48}, {0xF2, 0x48}, {0xF3, 0x48}};
    const std::vector<std::vector<u8>> maps = {{}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}};
    for (const auto& prefix : prefixes) {
      for (const auto& map : maps) {
        for (u32 opcode = 0; opcode < 0x100; ++opcode) {
          std::vector<u8> bytes = prefix;
          bytes.insert(bytes.end(), map.begin(), map.end());
          bytes.push_back(static_cast<u8>(opcode));
          see_forms(std::move(bytes), map.size() < 2);
        }
      }
    }
  }

  // All fields of a three-byte VEX prefix that choose an instruction.
  void see_vex() {
    for (u32 fields = 0; fields < 3 * 32; ++fields) {
      const u32 map = 1 + fields / 32, rest = fields % 32;
      const u8 last = static_cast<u8>((rest & 7) | ((rest & 8) != 0 ? 0x78 : 0) | ((rest & 16) != 0 ? 0x80 : 0));
      for (u32 opcode = 0; opcode < 0x100; ++opcode) {
        see_forms({0xC4, static_cast<u8>(0xE0 | map), last, static_cast<u8>(opcode)}, false);
      }
    }
  }

  Decoder decoder_;
  std::map<ZydisMnemonic, Seen> seen_;
};

TEST_F(AllowList, RunsEveryEncodingOfTheVirtualProcessorAndNothingElse) {
  see_legacy();
  see_vex();
  std::set<std::string> expected;
  std::istringstream names(kInstructions);
  for (std::string name; names >> name;) expected.insert(name);
  for (const auto& [mnemonic, seen] : seen_) {
    const std::string name = ZydisMnemonicGetString(mnemonic);
    const bool known = expected.erase(name) != 0;
    EXPECT_EQ(seen.running, known) << name;
    if (known) EXPECT_EQ(seen.refused, kPartly.contains(name)) << name;
  }
  for (const std::string& name : expected) ADD_FAILURE() << name << " is no instruction that the decoder knows";
}

}  // namespace
}  // namespace vitrine::cpu::test
