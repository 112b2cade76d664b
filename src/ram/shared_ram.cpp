#include "ram/shared_ram.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace vitrine::ram {

std::expected<GuestRam, std::string> create_shared_ram(u64 bytes) {
  auto ram = GuestRam::create(bytes);
  if (!ram) return ram;
  const int file = memfd_create("vitrine-ram", MFD_CLOEXEC);
  if (file < 0) return std::unexpected(std::string(std::strerror(errno)));
  const u64 size = ram->page_count() << kPageShift;
  // In place of the private pages; the mapping keeps the file, and nobody else ever has its descriptor.
  const bool mapped =
      ftruncate(file, static_cast<off_t>(size)) == 0 &&
      mmap(ram->base(), size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file, 0) != MAP_FAILED;
  const int reason = errno;
  close(file);
  if (!mapped) return std::unexpected(std::string(std::strerror(reason)));
  return ram;
}

}  // namespace vitrine::ram
