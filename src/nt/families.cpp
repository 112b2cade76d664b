#include "nt/families.h"

#include <array>

namespace vitrine::nt {

std::span<const std::span<const Service>> service_families() {
  static const std::array families{
      memory_services(),    section_services(),    wait_services(),          sync_services(),
      timer_services(),     thread_services(),     thread_information_services(), process_services(),
      process_information_services(),
      process_creation_services(), job_services(), exception_services(), object_services(), file_services(),
      file_information_services(),    pipe_services(),      port_services(), completion_services(), wait_packet_services(),
      worker_factory_services(), registry_services(),
      token_services(),     system_services(),     locale_services(),        wine_services()};
  return families;
}

}  // namespace vitrine::nt
