// The families of win32k's services, and what they share: each answers with the value of its Windows function and
// leaves its error in the thread's last error.
#pragma once

#include <span>

#include "nt/service.h"

namespace vitrine::win32k {

class MessageQueue;
class Subsystem;

[[nodiscard]] std::span<const nt::Service> message_services();  // message_services.cpp
[[nodiscard]] std::span<const nt::Service> wait_services();     // wait_services.cpp
[[nodiscard]] std::span<const nt::Service> station_services();  // station_services.cpp
// All of them, in the order of their names: that of their numbers on a machine without win32u.
[[nodiscard]] std::span<const nt::Service> all_services();

// Value of a service: what RAX gets.
using Value = Status;
[[nodiscard]] constexpr Value value(u32 number) { return static_cast<Value>(number); }
inline constexpr Value kTrue = static_cast<Value>(1), kFalse = static_cast<Value>(0);

[[nodiscard]] Subsystem& subsystem(nt::Call call);
// The caller's own: whoever calls is a GUI thread.
[[nodiscard]] MessageQueue& own_queue(nt::Call call);
// Writes TEB.LastErrorValue; gives 0.
Value fail(nt::Call call, u32 win32_error);

}  // namespace vitrine::win32k
