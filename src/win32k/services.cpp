#include "win32k/services.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "abi/teb.h"
#include "base/check.h"
#include "nt/executive_state.h"
#include "win32k/subsystem.h"

namespace vitrine::win32k {
namespace {

std::vector<nt::Service> collect() {
  std::vector<nt::Service> all;
  for (const auto family : {message_services(), wait_services(), station_services()})
    all.insert(all.end(), family.begin(), family.end());
  std::ranges::sort(all, {}, &nt::Service::name);
  return all;
}

}  // namespace

std::span<const nt::Service> all_services() {
  static const std::vector<nt::Service> services = collect();  // constant data, the same for every machine
  return services;
}

Subsystem& subsystem(nt::Call call) { return static_cast<Subsystem&>(*call->state->win32.subsystem); }

MessageQueue& own_queue(nt::Call call) {
  MessageQueue* const queue = subsystem(call).queue_of(call.thread->id);
  VITRINE_CHECK(queue != nullptr);
  return *queue;
}

Value fail(nt::Call call, u32 win32_error) {
  (void)call.space().write_value(call.thread->teb + offsetof(abi::Teb, last_error), win32_error);
  return kFalse;
}

}  // namespace vitrine::win32k
