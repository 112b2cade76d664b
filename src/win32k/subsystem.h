// Subsystem: the part of win32k that a program without windows meets: a message queue per GUI thread, the interactive
// window station and its desktop, and the services of the second table that work on them. Windows name: win32k.sys.
//
// Owns queues, station and desktop. Refuses windows, input and drawing: their services say so
// (ERROR_CALL_NOT_IMPLEMENTED).
#pragma once

#include <map>
#include <memory>

#include "nt/executive.h"
#include "nt/win32_threads.h"
#include "win32k/message_queue.h"

namespace vitrine::win32k {

// \Windows\WindowStations\WinSta0, and its desktop "Default". No more than names: there is nothing to show on them.
struct StationObject : ob::Object {
  std::u16string name;
};
struct DesktopObject : ob::Object {
  std::u16string name;
};

class Subsystem final : public nt::Win32Subsystem {
 public:
  struct Dependencies {
    ke::Kernel& kernel;
    ob::ObjectManager& objects;
    ps::ProcessManager& processes;
  };
  // Registers types WindowStation and Desktop, makes the station and the desktop. Errors: those of making objects.
  [[nodiscard]] static Result<std::unique_ptr<Subsystem>> create(const Dependencies& dependencies);
  ~Subsystem() override = default;

  [[nodiscard]] std::span<const nt::Service> services() const override;
  [[nodiscard]] Status thread_begins(ps::Thread& thread, bool first) override;
  void thread_ends(const ps::Thread& thread, bool last) override;
  [[nodiscard]] bool post_quit_message(const ps::Thread& thread, i32 exit_code) override;

  // Null: no GUI thread has that id.
  [[nodiscard]] MessageQueue* queue_of(u32 thread_id);
  // Handles that the process has since its first GUI thread; null handles: it has none.
  struct ProcessHandles {
    ob::Handle station{}, desktop{};
  };
  [[nodiscard]] ProcessHandles handles_of(const ps::Process& process) const;
  [[nodiscard]] ps::ProcessManager& processes() { return on_.processes; }
  [[nodiscard]] const ob::ObjectType& station_type() const { return *station_type_; }
  [[nodiscard]] const ob::ObjectType& desktop_type() const { return *desktop_type_; }

 private:
  explicit Subsystem(const Dependencies& dependencies) : on_(dependencies) {}
  [[nodiscard]] Status make_objects();

  Dependencies on_;
  ob::ObjectType* station_type_ = nullptr;
  ob::ObjectType* desktop_type_ = nullptr;
  ob::Ref<StationObject> station_;
  ob::Ref<DesktopObject> desktop_;
  std::map<u32, std::unique_ptr<MessageQueue>> queues_;  // by thread id
  std::map<u32, ProcessHandles> processes_;              // by process id
};

}  // namespace vitrine::win32k
