// What every back end owes the kernel about memory, one test each: faults, rights, and that it forgets what the kernel
// takes away. Each runs on the translator, and on KVM where the host has one.
#include <cstring>
#include <fstream>

#include "backend_contract.h"
#include "cpu/user_flags.h"

namespace vitrine::cpu::test {
namespace {

constexpr Va kCode = GuestMachine::kCode, kData = GuestMachine::kData;
constexpr u64 kStatusFlags = 0x8D5;

TEST_P(BackendContract, APageFaultLeavesEverythingAsBeforeTheInstruction) {
  // mov eax,5; cmp eax,6 (CF, SF); mov [rdi],rax
  guest().code({0xB8, 5, 0, 0, 0, 0x83, 0xF8, 6, 0x48, 0x89, 0x07, 0x0F, 0x05});
  guest().context[Gpr::rdi] = 0x5000'0123;
  const Exit exit = guest().run();
  expect_exception(exit, Vector::page_fault, kCode + 8, page_fault::kUser | page_fault::kWrite);
  EXPECT_EQ(exit.fault_address, 0x5000'0123u);
  expect_retired(exit, 2u);
  EXPECT_EQ(guest().context.rflags & kStatusFlags, 0x95u);  // CF PF AF SF of 5 - 6
  guest().tables.map(0x5000'0000);
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
  EXPECT_EQ(guest().peek(0x5000'0123), 5u);
}

TEST_P(BackendContract, WriteProtectionAndSupervisorPagesFaultWithTheProtectionBit) {
  guest().protect(kData, 0, pte::kWrite);
  guest().code({0x48, 0x8B, 0x07, 0x48, 0xFF, 0x07, 0x0F, 0x05});  // mov rax,[rdi]; inc qword [rdi]
  guest().context[Gpr::rdi] = kData;
  expect_exception(guest().run(), Vector::page_fault, kCode + 3,
                   page_fault::kProtection | page_fault::kUser | page_fault::kWrite);
  guest().protect(kData, pte::kWrite, pte::kUser);
  const u32 write = emulated_kvm() ? 0 : page_fault::kWrite;  // QEMU reads first, as an access of its own
  expect_exception(guest().run(), Vector::page_fault, kCode + 3, page_fault::kProtection | page_fault::kUser | write);
  guest().protect(kData, pte::kUser, 0);
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
}

TEST_P(BackendContract, ExecutingDataFaultsAsAFetch) {
  guest().code({0xFF, 0xE0});  // jmp rax
  guest().context[Gpr::rax] = kData + 0x10;
  const Exit exit = guest().run();
  expect_exception(exit, Vector::page_fault, kData + 0x10,
                   page_fault::kProtection | page_fault::kUser | page_fault::kFetch);
  EXPECT_EQ(exit.fault_address, kData + 0x10);
}

TEST_P(BackendContract, NonCanonicalAddressesAreGeneralProtectionOrStackFaults) {
  guest().code({0x48, 0x8B, 0x07});  // mov rax,[rdi]
  guest().context[Gpr::rdi] = 0x8000'0000'0000'0000;
  expect_exception(guest().run(), Vector::general_protection, kCode);
  guest().context[Gpr::rdi] = 0x0000'8000'0000'0000;
  expect_exception(guest().run(), Vector::general_protection, kCode);
  guest().context[Gpr::rdi] = 0xFFFF'8000'0000'0000;  // the kernel's half is canonical, but not ours
  expect_exception(guest().run(), Vector::page_fault, kCode, page_fault::kUser);
  guest().code({0x50});  // push rax
  guest().context[Gpr::rsp] = 0x4000'0000'0000'0000;
  // QEMU knows no stack faults in 64-bit mode.
  expect_exception(guest().run(), emulated_kvm() ? Vector::general_protection : Vector::stack_fault, kCode);
  EXPECT_EQ(guest().context[Gpr::rsp], 0x4000'0000'0000'0000u);
}

TEST_P(BackendContract, AnAccessAcrossPagesReachesBothFrames) {
  guest().code({0x48, 0x89, 0x07, 0x48, 0x8B, 0x1F, 0xF0, 0x48, 0x0F, 0xC1, 0x17, 0x0F,
                0x05});  // mov [rdi],rax; mov rbx,[rdi]; lock xadd [rdi],rdx
  guest().context[Gpr::rdi] = kData + 0xFFD;
  guest().context[Gpr::rax] = 0x1122'3344'5566'7788;
  guest().context[Gpr::rdx] = 1;
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
  EXPECT_EQ(guest().context[Gpr::rbx], 0x1122'3344'5566'7788u);
  EXPECT_EQ(guest().context[Gpr::rdx], 0x1122'3344'5566'7788u);
  EXPECT_EQ(guest().peek(kData + 0xFFD), 0x1122'3344'5566'7789u);
}

TEST_P(BackendContract, AnAccessAcrossPagesFaultsOnTheSecondBeforeItTouchesTheFirst) {
  guest().code({0x48, 0x89, 0x07});
  const Va last = kData + GuestMachine::kDataPages * kPageSize;
  guest().context[Gpr::rdi] = last - 3;
  guest().context[Gpr::rax] = ~0ull;
  const Exit exit = guest().run();
  expect_exception(exit, Vector::page_fault, kCode, page_fault::kUser | page_fault::kWrite);
  EXPECT_EQ(exit.fault_address, last);
  EXPECT_EQ(guest().peek(last - 3, 3), 0u);
}

TEST_P(BackendContract, AccessedAndDirtyBitsAreSetAsTheHardwareSetsThem) {
  const auto bits = [&] { return *guest().tables.entry(kData, false) & (pte::kAccessed | pte::kDirty); };
  guest().code({0x8A, 0x07, 0x0F, 0x05});  // mov al,[rdi]
  guest().context[Gpr::rdi] = kData;
  EXPECT_EQ(bits(), 0u);
  guest().run();
  EXPECT_EQ(bits(), pte::kAccessed);
  guest().code({0x88, 0x07, 0x0F, 0x05});
  guest().context.rip = kCode;
  guest().run();
  EXPECT_EQ(bits(), pte::kAccessed | pte::kDirty);
  guest().protect(kData, 0, pte::kDirty);  // the kernel clears it and commits: the next write sets it again
  guest().context.rip = kCode;
  guest().run();
  EXPECT_EQ(bits(), pte::kAccessed | pte::kDirty);
}

TEST_P(BackendContract, ACommittedRemapIsSeenByTheNextRun) {
  guest().code({0x48, 0x8B, 0x07, 0x0F, 0x05});
  guest().context[Gpr::rdi] = kData;
  guest().store(kData, 1);
  guest().run();
  EXPECT_EQ(guest().context[Gpr::rax], 1u);
  const Pfn other = guest().tables.allocate();
  u64* entry = guest().tables.entry(kData, false);
  const PteEdit edit{nullptr, kData, *entry, (*entry & ~pte::kFrameMask) | other.address()};
  *entry = edit.new_entry;
  guest().store(kData, 2);
  guest().backend->commit({&edit, 1});
  guest().context.rip = kCode;
  guest().run();
  EXPECT_EQ(guest().context[Gpr::rax], 2u);
}

TEST_P(BackendContract, ALargePageIsWalked) {
  const Va va = 0x4000'0000;
  (void)guest().tables.entry(va, true);
  Pfn table = guest().tables.root();
  for (int shift = 39; shift > 21; shift -= 9)
    table = pte::frame(reinterpret_cast<u64*>(guest().ram.page(table))[(va >> shift) & 511]);
  reinterpret_cast<u64*>(guest().ram.page(table))[(va >> 21) & 511] =
      (32ull << 20) | pte::kPresent | pte::kUser | pte::kWrite | pte::kLarge;
  guest().code({0x48, 0x89, 0x07, 0x0F, 0x05});
  guest().context[Gpr::rdi] = va + 0x12'3458;
  guest().context[Gpr::rax] = 77;
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
  EXPECT_EQ(*reinterpret_cast<u64*>(guest().ram.base() + (32ull << 20) + 0x12'3458), 77u);
}

TEST_P(BackendContract, CodeThatTheKernelRewritesIsTranslatedAgain) {
  guest().code({0xB8, 1, 0, 0, 0, 0x0F, 0x05});
  guest().run();
  EXPECT_EQ(guest().context[Gpr::rax], 1u);
  guest().code({0xB8, 2, 0, 0, 0, 0x0F, 0x05});
  guest().context.rip = kCode;
  guest().run();
  EXPECT_EQ(guest().context[Gpr::rax], 2u);
}

TEST_P(BackendContract, AStringInstructionThatRewritesCodeTakesEffect) {
  // mov edi,target; mov al,0x90; mov ecx,2; rep stosb; target: ud2 (becomes nop nop); syscall
  guest().code({0x48, 0x8D, 0x3D, 9, 0, 0, 0, 0xB0, 0x90, 0xB9, 2, 0, 0, 0, 0xF3, 0xAA, 0x0F, 0x0B, 0x0F, 0x05});
  guest().code({0x48, 0x8D, 0x3D, 9, 0, 0, 0, 0xB0, 0x90, 0xB9, 2, 0, 0, 0, 0xF3, 0xAA, 0x0F, 0x0B, 0x0F, 0x05});
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
}

TEST_P(BackendContract, ABlockThatRewritesItselfRunsItsNewCode) {
  if (emulated_kvm()) GTEST_SKIP() << "QEMU may run the old next instruction once";
  // mov byte [rip+1],0x2A (the immediate of the next instruction); mov al,1; syscall
  guest().code({0xC6, 0x05, 0x01, 0, 0, 0, 0x2A, 0xB0, 0x01, 0x0F, 0x05});
  for (int n = 0; n < 3; ++n) {
    guest().code({0xC6, 0x05, 0x01, 0, 0, 0, 0x2A, 0xB0, 0x01, 0x0F, 0x05});
    guest().context.rip = kCode;
    const Exit exit = guest().run();
    EXPECT_EQ(exit.reason, ExitReason::system_call);
    expect_retired(exit, 3u);
    EXPECT_EQ(guest().context[Gpr::rax] & 0xFF, 0x2Au);
  }
}

TEST_P(BackendContract, AnInstructionAcrossPagesFetchesBoth) {
  const Va at = kCode + 0x1000 - 3;
  guest().code({0x48, 0xB8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x0F, 0x05}, at);  // mov rax,imm64; syscall
  guest().context.rip = at;
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
  EXPECT_EQ(guest().context[Gpr::rax], 0x1122'3344'5566'7788u);
  guest().protect(kCode + 0x1000, pte::kNoExecute, 0);
  guest().context.rip = at;
  const Exit exit = guest().run();
  expect_exception(exit, Vector::page_fault, at, page_fault::kProtection | page_fault::kUser | page_fault::kFetch);
  EXPECT_EQ(exit.fault_address, kCode + 0x1000);
}

TEST_P(BackendContract, TwoSpacesWithOtherPagesAtTheSameAddressDoNotShareJumps) {
  // page 0 (shared): jmp page 1. Page 1 differs between the spaces.
  guest().code({0xE9, 0xFB, 0x0F, 0, 0});
  guest().code({0xB8, 1, 0, 0, 0, 0x0F, 0x05}, kCode + 0x1000);
  guest().run();
  EXPECT_EQ(guest().context[Gpr::rax], 1u);
  PageTables other_tables(guest().ram, 4096);
  *other_tables.entry(kCode, true) = *guest().tables.entry(kCode, false);
  const auto space = guest().backend->create_space(other_tables.root());
  GuestContext context;
  context.rip = kCode;
  const Exit missing = guest().backend->run(1, *space, context, 1'000'000);
  EXPECT_EQ(missing.reason, ExitReason::exception);
  EXPECT_EQ(missing.fault_address, kCode + 0x1000);
  const Pfn page = other_tables.map(kCode + 0x1000);
  constexpr u8 kOther[] = {0xB8, 2, 0, 0, 0, 0x0F, 0x05};
  std::memcpy(guest().ram.page(page), kOther, sizeof kOther);
  EXPECT_EQ(guest().backend->run(1, *space, context, 1'000'000).reason, ExitReason::system_call);
  EXPECT_EQ(context[Gpr::rax], 2u);
}

TEST_P(BackendContract, AJumpToAnotherPageFollowsTheMappingAndTheCodeThere) {
  constexpr Va kNext = kCode + kPageSize;
  guest().code({0xE9, 0xFB, 0x0F, 0, 0});  // jmp kNext
  const auto result = [&] {
    for (int n = 0; n < 3; ++n) {  // the first finds the way, the others know it
      guest().context.rip = kCode;
      EXPECT_EQ(guest().run().reason, ExitReason::system_call);
    }
    return guest().context[Gpr::rax];
  };
  guest().code({0xB8, 1, 0, 0, 0, 0x0F, 0x05}, kNext);
  EXPECT_EQ(result(), 1u);
  guest().code({0xB8, 2, 0, 0, 0, 0x0F, 0x05}, kNext);
  EXPECT_EQ(result(), 2u);
  constexpr u8 kOther[] = {0xB8, 3, 0, 0, 0, 0x0F, 0x05};
  const Pfn frame = guest().tables.allocate();
  std::memcpy(guest().ram.page(frame), kOther, sizeof kOther);
  u64* const entry = guest().tables.entry(kNext, false);
  const PteEdit edit{guest().space.get(), kNext, *entry, (*entry & ~pte::kFrameMask) | frame.address()};
  *entry = edit.new_entry;
  guest().backend->commit({&edit, 1});
  EXPECT_EQ(result(), 3u);
  guest().protect(kNext, pte::kNoExecute, 0);
  guest().context.rip = kCode;
  EXPECT_EQ(guest().run().fault_address, kNext);
}

TEST_P(BackendContract, ATableThatIsTakenOutIsNotWalkedAnyMore) {
  constexpr Va kFar = 0x7000'0000;               // in a table of its own
  guest().code({0x48, 0x8B, 0x07, 0x0F, 0x05});  // mov rax,[rdi]
  guest().context[Gpr::rdi] = kFar + 8;
  const Pfn frame = guest().tables.map(kFar);
  std::memcpy(guest().ram.page(frame) + 8, &kFar, 8);
  run_to_system_call();
  EXPECT_EQ(guest().context[Gpr::rax], kFar);
  // The table of kFar becomes another region's, with another page at the same index.
  constexpr Va kOther = kFar + (2ull << 20);
  u64* const leaf = guest().tables.entry(kFar, false);
  u64* const directory = guest().tables.directory_entry(kFar);
  u64* const other = guest().tables.directory_entry(kOther);
  const PteEdit edits[] = {{guest().space.get(), kFar, *leaf, 0}, {guest().space.get(), kFar, *directory, 0}};
  *leaf = 0;
  *other = std::exchange(*directory, 0);
  guest().backend->commit(edits);
  const Pfn second = guest().tables.map(kOther);
  std::memcpy(guest().ram.page(second) + 8, &kOther, 8);
  guest().context.rip = kCode;
  guest().context[Gpr::rdi] = kOther + 8;
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
  EXPECT_EQ(guest().context[Gpr::rax], kOther);
  guest().context.rip = kCode;
  guest().context[Gpr::rdi] = kFar + 8;
  expect_exception(guest().run(), Vector::page_fault, kCode, page_fault::kUser);
}

TEST_P(BackendContract, AFlushForgetsTheWholeSpace) {
  guest().code({0x48, 0x8B, 0x07, 0x48, 0x8B, 0x1E, 0x0F, 0x05});  // mov rax,[rdi]; mov rbx,[rsi]
  guest().context[Gpr::rdi] = kData;
  guest().context[Gpr::rsi] = kData + kPageSize;
  guest().store(kData, 1);
  guest().store(kData + kPageSize, 2);
  run_to_system_call();
  std::swap(*guest().tables.entry(kData, false), *guest().tables.entry(kData + kPageSize, false));
  guest().backend->flush(*guest().space);
  run_to_system_call();
  EXPECT_EQ(guest().context[Gpr::rax], 2u);
  EXPECT_EQ(guest().context[Gpr::rbx], 1u);
}

TEST_P(BackendContract, APageThatGainsRightsNeedsNoCommit) {
  guest().code({0x48, 0x8B, 0x07, 0x48, 0x89, 0x07, 0x0F, 0x05});  // mov rax,[rdi]; mov [rdi],rax
  guest().context[Gpr::rdi] = kData;
  guest().protect(kData, 0, pte::kWrite);
  expect_exception(guest().run(), Vector::page_fault, kCode + 3,
                   page_fault::kProtection | page_fault::kUser | page_fault::kWrite);
  *guest().tables.entry(kData, false) |= pte::kWrite;
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
}

TEST_P(BackendContract, NothingOfTheKernelsHalfIsThereForAGuest) {
  // mov rax,[rdi]; and, as code, whatever is there
  guest().code({0x48, 0x8B, 0x07, 0x0F, 0x05});
  for (const Va address : {0xFFFF'8000'0000'0000ull, 0xFFFF'8000'0000'1000ull, 0xFFFF'8000'0000'2008ull,
                           0xFFFF'8000'0001'0000ull, 0xFFFF'F800'0000'0000ull, 0xFFFF'FFFF'FFFF'F000ull}) {
    guest().context.rip = kCode;
    guest().context[Gpr::rdi] = address;
    const Exit exit = guest().run();
    expect_exception(exit, Vector::page_fault, kCode, page_fault::kUser);
    EXPECT_EQ(exit.fault_address, address);
    guest().context.rip = address;
    expect_exception(guest().run(), Vector::page_fault, address, page_fault::kUser | page_fault::kFetch);
  }
}

TEST(KvmProbe, KnowsHowTheHostTranslates) {
  if (const std::string problem = kvm_problem(); !problem.empty()) GTEST_SKIP() << problem;
  std::string nested;
  for (const char* parameter : {"/sys/module/kvm_amd/parameters/npt", "/sys/module/kvm_intel/parameters/ept"}) {
    std::ifstream file(parameter);
    if (file >> nested) break;
  }
  if (nested.empty()) GTEST_SKIP() << "the host does not say";
  const GuestMachine guest(BackendKind::kvm);
  const bool yes = nested == "Y" || nested == "1";
  EXPECT_EQ(guest.kvm->paging(), yes ? KvmPaging::nested : KvmPaging::shadow);
}

TEST_P(BackendContract, ManySpacesTakeTurns) {
  guest().code({0x48, 0x8B, 0x07, 0x0F, 0x05});
  guest().context[Gpr::rdi] = kData;
  struct Other {
    PageTables tables;
    std::unique_ptr<Space> space;
  };
  std::vector<std::unique_ptr<Other>> others;
  constexpr u64 kSpaces = 600;  // more than the kvm back end has roots
  for (u64 n = 0; n < kSpaces; ++n) {
    others.push_back(std::make_unique<Other>(PageTables(guest().ram, 1000 + 10 * n), nullptr));
    PageTables& tables = others.back()->tables;
    *tables.entry(kCode, true) = *guest().tables.entry(kCode, false);
    const Pfn page = tables.map(kData);
    std::memcpy(guest().ram.page(page), &n, sizeof n);
    others.back()->space = guest().backend->create_space(tables.root());
  }
  for (int round = 0; round < 2; ++round) {
    for (u64 n = 0; n < kSpaces; ++n) {
      guest().context.rip = kCode;
      ASSERT_EQ(guest().backend->run(n % 2 == 0 ? 0 : 1, *others[n]->space, guest().context, 1'000'000).reason,
                ExitReason::system_call);
      ASSERT_EQ(guest().context[Gpr::rax], n);
    }
  }
}

}  // namespace
}  // namespace vitrine::cpu::test
