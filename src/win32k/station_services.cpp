// The window station and desktop as a console program sees them, and what a thread may ask of itself. [Microsoft:
// GetProcessWindowStation, GetThreadDesktop, GetUserObjectInformation, GetGUIThreadInfo]
#include <array>

#include "nt/capture.h"
#include "win32k/services.h"
#include "win32k/subsystem.h"

namespace vitrine::win32k {
namespace {

using nt::Buffer;
using nt::Call;
using nt::Handle;
using nt::UserPtr;
namespace error = abi::win32_error;
namespace uo = abi::user_object;

Value get_process_window_station(Call call) {
  return value(static_cast<u32>(subsystem(call).handles_of(call.process()).station.value));
}

// Every thread of a process is on its desktop: nobody can make another one.
Value get_thread_desktop(Call call, u32 thread_id) {
  const ob::Ref<ps::Thread> thread = subsystem(call).processes().find_thread(thread_id);
  if (!thread || thread->process != &call.process()) return fail(call, error::kInvalidParameter);
  return value(static_cast<u32>(subsystem(call).handles_of(call.process()).desktop.value));
}

// What UOI_FLAGS, UOI_NAME, UOI_TYPE and UOI_USER_SID say of an object. Empty for the last: no user is logged on at it.
Result<std::vector<std::byte>> describe(const Subsystem& win32k, ob::Object& object, u32 attributes, u32 index) {
  const bool is_station = &object.type() == &win32k.station_type();
  if (!is_station && &object.type() != &win32k.desktop_type()) return Failure(Status::invalid_handle);
  std::u16string text;
  switch (index) {
    case uo::kFlags: {
      const bool inherit = (attributes & ex::handle_attributes::kInherit) != 0;
      const uo::Flags flags{inherit, 0, is_station ? uo::kStationVisible : 0};
      const auto bytes = std::as_bytes(std::span(&flags, 1));
      return std::vector<std::byte>(bytes.begin(), bytes.end());
    }
    case uo::kName:
      text = is_station ? static_cast<StationObject&>(object).name : static_cast<DesktopObject&>(object).name;
      break;
    case uo::kType:
      text = object.type().type_name;
      break;
    case uo::kUserSid:
      return std::vector<std::byte>{};
    default:
      return Failure(Status::invalid_parameter);
  }
  const auto bytes = std::as_bytes(std::span(text.c_str(), text.size() + 1));
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

Value get_object_information(Call call, Handle handle, u32 index, Buffer into, u32 length, UserPtr<u32> needed) {
  ob::HandleInformation information{};
  const auto object = call.process().handles->reference(handle, nullptr, 0, se::Mode::user, &information);
  if (!object) return fail(call, error::kInvalidHandle);
  const auto bytes = describe(subsystem(call), **object, information.attributes, index);
  if (!bytes)
    return fail(call, bytes.error() == Status::invalid_handle ? error::kInvalidHandle : error::kInvalidParameter);
  const u32 size = static_cast<u32>(bytes->size());
  if (needed && !is_success(needed.write(call.space(), size))) return fail(call, error::kNoAccess);
  if (length < size) return fail(call, error::kInsufficientBuffer);
  return is_success(call.space().write(into.address, *bytes)) ? kTrue : fail(call, error::kNoAccess);
}

struct GuiThreadInformation {  // GUITHREADINFO
  u32 size, flags;
  u64 active, focus, capture, menu_owner, move_size, caret;
  i32 caret_rectangle[4];
};
static_assert(sizeof(GuiThreadInformation) == 72);

// 0: the thread of the foreground window, of which there is none.
Value get_gui_thread_information(Call call, u32 thread_id, UserPtr<GuiThreadInformation> into) {
  const auto given = UserPtr<u32>{into.address}.read(call.space());
  if (!given) return fail(call, error::kNoAccess);
  if (*given != sizeof(GuiThreadInformation) || thread_id == 0 || subsystem(call).queue_of(thread_id) == nullptr) {
    return fail(call, error::kInvalidParameter);
  }
  const GuiThreadInformation nothing{.size = sizeof(GuiThreadInformation),
                                     .flags = 0,
                                     .active = 0,
                                     .focus = 0,
                                     .capture = 0,
                                     .menu_owner = 0,
                                     .move_size = 0,
                                     .caret = 0,
                                     .caret_rectangle = {}};
  return is_success(into.write(call.space(), nothing)) ? kTrue : fail(call, error::kNoAccess);
}

// user32 shows its window procedures as it is loaded; without windows nothing is done with them. NTSTATUS.
Value initialize_client_procedures(Call, Buffer, Buffer, Buffer, u64) { return Status::success; }

// USER_DEFAULT_SCREEN_DPI.
Value get_system_dpi(Call, Handle) { return value(96); }

// Calls without an argument share a service; the codes are Wine's [seen in Wine 8.0's user32].
Value call_no_parameter(Call call, u32 code) {
  constexpr u32 kGetInputState = 3, kThreadLeavesUser32 = 9, kThreadDetaches = 10;
  constexpr u32 kKeyOrButton = 5;  // QS_KEY, QS_MOUSEBUTTON
  if (code == kGetInputState) return value((own_queue(call).wake_bits() & kKeyOrButton) != 0);
  // What a thread has goes with it.
  if (code == kThreadLeavesUser32 || code == kThreadDetaches) return kFalse;
  return fail(call, error::kCallNotImplemented);
}

}  // namespace

std::span<const nt::Service> station_services() {
  using enum nt::SupportLevel;
  using nt::service;
  static constexpr std::array table{
      service<&get_process_window_station>("NtUserGetProcessWindowStation", complete, ""),
      service<&get_thread_desktop>("NtUserGetThreadDesktop", complete, "thread"),
      service<&get_object_information>("NtUserGetObjectInformation", complete,
                                             "handle, class, buffer, length, needed"),
      service<&get_gui_thread_information>("NtUserGetGUIThreadInfo", complete, "thread, information"),
      service<&initialize_client_procedures>("NtUserInitializeClientPfnArrays", complete, "narrow, wide, workers, module"),
      service<&get_system_dpi>("NtUserGetSystemDpiForProcess", complete, "process"),
      service<&call_no_parameter>("NtUserCallNoParam", partial, "code", "input state and the end of a thread"),
  };
  return table;
}

}  // namespace vitrine::win32k
