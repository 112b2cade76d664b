// Services about the system as a whole: information, power, atoms, debug text, and what only a privileged program may
// do.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ex/unicode.h"
#include "nt/executive_state.h"
#include "nt/families.h"
#include "nt/guest_record.h"
#include "nt/strace.h"
#include "nt/system_information.h"

namespace vitrine::nt {
namespace {

// --- power
// -------------------------------------------------------------------------------------------------------------

enum class PowerInformation : u32 { capabilities = 4, battery_state = 5, processor = 11, execution_state = 16 };

struct PowerCapabilities {  // SYSTEM_POWER_CAPABILITIES
  u8 power_button, sleep_button, lid, s1, s2, s3, s4, s5, hibernation_file, full_wake, video_dim, apm, ups,
      thermal_control, processor_throttle, minimum_throttle, maximum_throttle, fast_system_s4, hiberboot, wake_alarm,
      aoac, disk_spin_down;
  std::array<u8, 6> hibernation;
  u8 batteries_present, batteries_are_short_term;
  std::array<u8, 2> padding;
  std::array<u32, 6> battery_scale;
  u32 ac_wake, lid_wake, rtc_wake, minimum_device_wake, default_low_latency_wake;
};
static_assert(sizeof(PowerCapabilities) == 76);

struct BatteryState {  // SYSTEM_BATTERY_STATE
  u8 ac_on_line, battery_present, charging, discharging;
  std::array<u8, 4> spare;
  u32 maximum_capacity, remaining_capacity, rate, estimated_time, default_alert1, default_alert2;
};
static_assert(sizeof(BatteryState) == 32);

struct ProcessorPower {  // PROCESSOR_POWER_INFORMATION
  u32 number, maximum_mhz, current_mhz, mhz_limit, maximum_idle_state, current_idle_state;
};

// A desktop machine: it is on or off, has no battery, and its processors run at one speed.
Status nt_power_information(Call call, u32 level, Buffer input, u32 /*input_length*/, Buffer output, u32 length) {
  constexpr u32 kUserPresent = 4;  // ES_USER_PRESENT
  GuestRecord record(output.address);
  switch (static_cast<PowerInformation>(level)) {
    case PowerInformation::capabilities: {
      PowerCapabilities capabilities{};
      capabilities.power_button = capabilities.s5 = 1;
      capabilities.minimum_throttle = capabilities.maximum_throttle = 100;  // percent
      record.add(capabilities);
      break;
    }
    case PowerInformation::battery_state: {
      BatteryState battery{};
      battery.ac_on_line = 1;
      record.add(battery);
      break;
    }
    case PowerInformation::processor: {
      if (output.is_null() || length == 0) return Status::invalid_parameter;
      const u32 mhz = static_cast<u32>(hal::kTscHz / 1'000'000);
      for (u32 i = 0; i < call->kernel.processor_count(); ++i) record.add(ProcessorPower{i, mhz, mhz, mhz, 0, 0});
      break;
    }
    case PowerInformation::execution_state:
      if (input) return Status::invalid_parameter;
      record.add(kUserPresent);
      break;
    default:
      return Status::not_implemented;  // NT gives this for a level that the platform has not
  }
  return record.deliver(call, output, length, {}, Status::buffer_too_small);
}

// NT: both need SeShutdownPrivilege.
Status nt_shutdown_system(Call, u32) { return Status::privilege_not_held; }
Status nt_initiate_power_action(Call, u32, u32, u32, bool) { return Status::privilege_not_held; }

// --- atoms
// -------------------------------------------------------------------------------------------------------------

// `name` below 0x10000 is an integer atom, as MAKEINTATOM makes it.
Result<std::u16string> capture_atom_name(Call call, Buffer name, u32 bytes) {
  if (name.address < 0x1'0000) return ex::from_utf8(fmt::format("#{}", name.address));
  if (bytes > kMaximumAtomUnits * 2) return Failure(Status::invalid_parameter);
  std::u16string text(bytes / 2, u'\0');
  const Status status = call.space().read(name.address, std::as_writable_bytes(std::span(text)));
  if (!is_success(status)) return Failure(status);
  return text;
}

Status nt_add_atom(Call call, Buffer name, u32 bytes, UserPtr<u16> atom) {
  const auto text = capture_atom_name(call, name, bytes);
  if (!text) return text.error();
  if (atom) VITRINE_TRY(call.space().probe(atom.address, sizeof(u16), 1, true));
  const auto added = call->state->atoms.add(*text);
  if (!added) return added.error();
  return atom ? atom.write(call.space(), *added) : Status::success;
}

Status nt_find_atom(Call call, Buffer name, u32 bytes, UserPtr<u16> atom) {
  const auto text = capture_atom_name(call, name, bytes);
  if (!text) return text.error();
  const auto found = call->state->atoms.find(*text);
  if (!found) return found.error();
  return atom ? atom.write(call.space(), *found) : Status::success;
}

Status nt_delete_atom(Call call, u16 atom) { return call->state->atoms.remove(atom); }

Status nt_query_information_atom(Call call, u16 atom, u32 information_class, Buffer buffer, u32 length,
                                 UserPtr<u32> return_length) {
  constexpr u32 kBasic = 0, kTable = 1;
  constexpr u16 kPinned = 1;
  GuestRecord record;
  if (information_class == kTable) {  // ATOM_TABLE_INFORMATION
    record.add(static_cast<u32>(call->state->atoms.strings().size()));
    for (const auto& [number, entry] : call->state->atoms.strings()) record.add(number);
    return record.deliver(call, buffer, length, return_length);
  }
  if (information_class != kBasic) return Status::invalid_info_class;
  const auto facts = call->state->atoms.query(atom);
  if (!facts) return facts.error();
  // ATOM_BASIC_INFORMATION: usage, flags, length of the name in bytes, the name and its terminator.
  const u16 name_bytes = static_cast<u16>(facts->name.size() * 2);
  record.add(std::array<u16, 3>{facts->usage, facts->pinned ? kPinned : u16{0}, name_bytes});
  const u64 fixed = record.size();
  record.add_text(facts->name);
  record.add(char16_t{0});
  if (length < fixed + sizeof(char16_t)) return record.deliver(call, buffer, 0, return_length);
  return record.deliver(call, buffer, length, return_length, Status::buffer_too_small);
}

// --- text, debugging, licences
// -----------------------------------------------------------------------------------------

Status nt_display_string(Call call, UserPtr<UnicodeString> text) {
  const auto captured = capture_string(call, text);
  if (!captured) return captured.error();
  if (!captured->empty()) call->notice(printable(*captured, 2000));
  return Status::success;
}

Status nt_set_debug_filter_state(Call, u32, u32, bool) { return Status::access_denied; }  // NT: needs SeDebugPrivilege
Status nt_system_debug_control(Call, u32, Buffer, u32, Buffer, u32, UserPtr<u32>) { return Status::access_denied; }

// Event tracing: no session exists, so nothing can be registered or traced.
Status nt_trace_control(Call, u32, Buffer, u32, Buffer, u32, UserPtr<u32>) { return Status::not_supported; }

// NT: licence values come from the product's policy. This product has none.
Status nt_query_license_value(Call call, UserPtr<UnicodeString> name, UserPtr<u32>, Buffer, u32, UserPtr<u32>) {
  const auto text = capture_string(call, name);
  if (!text) return text.error();
  return text->empty() ? Status::invalid_parameter : Status::object_name_not_found;
}

// --- privileged
// --------------------------------------------------------------------------------------------------------

Status nt_set_system_information(Call, u32, Buffer, u32) { return Status::privilege_not_held; }
Status nt_query_system_environment_value(Call, UserPtr<UnicodeString>, Buffer, u32, UserPtr<u32>) {
  return Status::privilege_not_held;  // NT: firmware variables need SeSystemEnvironmentPrivilege
}
Status nt_query_system_environment_value_ex(Call, UserPtr<UnicodeString>, Buffer, Buffer, UserPtr<u32>, UserPtr<u32>) {
  return Status::privilege_not_held;
}
Status nt_load_driver(Call, UserPtr<UnicodeString>) { return Status::privilege_not_held; }
Status nt_unload_driver(Call, UserPtr<UnicodeString>) { return Status::privilege_not_held; }
Status nt_create_paging_file(Call, UserPtr<UnicodeString>, UserPtr<i64>, UserPtr<i64>, u32) {
  return Status::privilege_not_held;
}
Status nt_set_interval_profile(Call, u32, u32) { return Status::privilege_not_held; }

using enum SupportLevel;
constexpr std::string_view kPrivileged = "needs a privilege that no token here has enabled";

constexpr Service kServices[] = {
    service<&nt_add_atom>("NtAddAtom", complete, "name, bytes, atom"),
    service<&nt_create_paging_file>("NtCreatePagingFile", refused, "name, minimum, maximum, priority", kPrivileged),
    service<&nt_delete_atom>("NtDeleteAtom", complete, "atom"),
    service<&nt_display_string>("NtDisplayString", complete, "text"),
    service<&nt_find_atom>("NtFindAtom", complete, "name, bytes, atom"),
    service<&nt_initiate_power_action>("NtInitiatePowerAction", refused, "action, minimum_state, flags, asynchronous",
                                       kPrivileged),
    service<&nt_load_driver>("NtLoadDriver", refused, "service_name", kPrivileged),
    service<&nt_power_information>("NtPowerInformation", partial, "level, input, input_length, output, output_length",
                                   "levels 4, 5, 11 and 16"),
    service<&nt_query_information_atom>("NtQueryInformationAtom", complete,
                                        "atom, class, buffer, length, return_length"),
    service<&nt_query_license_value>("NtQueryLicenseValue", partial, "name, type, buffer, length, return_length",
                                     "there are no licence values"),
    service<&nt_query_system_environment_value>("NtQuerySystemEnvironmentValue", refused,
                                                "name, value, length, return_length", kPrivileged),
    service<&nt_query_system_environment_value_ex>("NtQuerySystemEnvironmentValueEx", refused,
                                                   "name, vendor, value, length, attributes", kPrivileged),
    service<&nt_query_system_information>("NtQuerySystemInformation", partial, "class, buffer, length, return_length",
                                          "classes 0-3, 5, 8, 11, 16, 21, 23, 28, 35, 37, 44, 57, 58, 62-64, 73, 102, "
                                          "103, 114, 149, 175 and Wine's 1000"),
    service<&nt_query_system_information_ex>("NtQuerySystemInformationEx", partial,
                                             "class, query, query_length, buffer, length, return_length",
                                             "classes 107, 175 and 181"),
    service<&nt_set_debug_filter_state>("NtSetDebugFilterState", refused, "component, level, state", kPrivileged),
    service<&nt_set_interval_profile>("NtSetIntervalProfile", refused, "interval, source", kPrivileged),
    service<&nt_set_system_information>("NtSetSystemInformation", refused, "class, buffer, length", kPrivileged),
    service<&nt_shutdown_system>("NtShutdownSystem", refused, "action", kPrivileged),
    service<&nt_system_debug_control>("NtSystemDebugControl", refused,
                                      "command, input, input_length, output, output_length, return_length",
                                      kPrivileged),
    service<&nt_trace_control>("NtTraceControl", refused,
                               "function, input, input_length, output, output_length, return_length",
                               "there is no event tracing"),
    service<&nt_unload_driver>("NtUnloadDriver", refused, "service_name", kPrivileged),
};

}  // namespace

std::span<const Service> system_services() { return kServices; }

}  // namespace vitrine::nt
