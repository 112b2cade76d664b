#include "peer.h"

#include "guest_image.h"

#ifdef BENCH_UNICORN
#include <unicorn/unicorn.h>

namespace vitrine::bench {
namespace {

void check(uc_err error) {
  if (error == UC_ERR_OK) return;
  std::fprintf(stderr, "bench_cpu: unicorn: %s\n", uc_strerror(error));
  std::exit(1);
}

class Unicorn final : public Peer {
 public:
  explicit Unicorn(std::span<const u8> image) {
    check(uc_open(UC_ARCH_X86, UC_MODE_64, &engine_));
    check(uc_mem_map(engine_, kCode, page_ceil(image.size()), UC_PROT_ALL));
    check(uc_mem_map(engine_, kBuffer, kBufferBytes, UC_PROT_ALL));
    check(uc_mem_map(engine_, kReturn, kStackBytes + kPageSize, UC_PROT_ALL));
    check(uc_mem_write(engine_, kCode, image.data(), image.size()));
  }
  ~Unicorn() override { uc_close(engine_); }
  void clear() override {
    const std::vector<u8> zero(kBufferBytes);
    check(uc_mem_write(engine_, kBuffer, zero.data(), zero.size()));
  }
  u64 run(u64 kernel, u64 count) override {
    u64 rsp = kStack + kStackBytes - 4096 - 8, rsi = kBuffer, rax = 0;
    const u64 to = kReturn;
    check(uc_mem_write(engine_, rsp, &to, sizeof to));
    check(uc_reg_write(engine_, UC_X86_REG_RSP, &rsp));
    check(uc_reg_write(engine_, UC_X86_REG_RDI, &kernel));
    check(uc_reg_write(engine_, UC_X86_REG_RSI, &rsi));
    check(uc_reg_write(engine_, UC_X86_REG_RDX, &count));
    check(uc_emu_start(engine_, kCode, kReturn, 0, 0));
    check(uc_reg_read(engine_, UC_X86_REG_RAX, &rax));
    return rax;
  }

 private:
  uc_engine* engine_ = nullptr;
};

}  // namespace

std::unique_ptr<Peer> Peer::create(std::span<const u8> image) { return std::make_unique<Unicorn>(image); }

}  // namespace vitrine::bench
#else
namespace vitrine::bench {
std::unique_ptr<Peer> Peer::create(std::span<const u8>) { return nullptr; }
}  // namespace vitrine::bench
#endif
