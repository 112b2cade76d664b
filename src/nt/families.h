// The service families: one file each, one table each. A new family adds its line here and in families.cpp.
#pragma once

#include <span>

#include "nt/service.h"

namespace vitrine::nt {

[[nodiscard]] std::span<const Service> memory_services();       // memory_services.cpp
[[nodiscard]] std::span<const Service> section_services();      // section_services.cpp
[[nodiscard]] std::span<const Service> wait_services();         // wait_services.cpp
[[nodiscard]] std::span<const Service> sync_services();         // sync_services.cpp
[[nodiscard]] std::span<const Service> timer_services();        // timer_services.cpp
[[nodiscard]] std::span<const Service> thread_services();       // thread_services.cpp
[[nodiscard]] std::span<const Service> thread_information_services();   // thread_information.cpp
[[nodiscard]] std::span<const Service> process_services();      // process_services.cpp
[[nodiscard]] std::span<const Service> process_information_services();  // process_information.cpp
[[nodiscard]] std::span<const Service> process_creation_services();  // process_creation.cpp
[[nodiscard]] std::span<const Service> job_services();          // job_services.cpp
[[nodiscard]] std::span<const Service> exception_services();    // exception_services.cpp
[[nodiscard]] std::span<const Service> object_services();       // object_services.cpp
[[nodiscard]] std::span<const Service> file_services();         // file_services.cpp
[[nodiscard]] std::span<const Service> file_information_services();     // file_information.cpp
[[nodiscard]] std::span<const Service> pipe_services();         // pipe_services.cpp
[[nodiscard]] std::span<const Service> port_services();         // port_services.cpp
[[nodiscard]] std::span<const Service> completion_services();   // completion_services.cpp
[[nodiscard]] std::span<const Service> wait_packet_services();  // wait_packet_services.cpp
[[nodiscard]] std::span<const Service> worker_factory_services();  // worker_factory_services.cpp
[[nodiscard]] std::span<const Service> registry_services();     // registry_services.cpp
[[nodiscard]] std::span<const Service> token_services();        // token_services.cpp
[[nodiscard]] std::span<const Service> system_services();       // system_services.cpp
[[nodiscard]] std::span<const Service> locale_services();       // locale_services.cpp
[[nodiscard]] std::span<const Service> wine_services();         // wine_services.cpp

[[nodiscard]] std::span<const std::span<const Service>> service_families();

}  // namespace vitrine::nt
