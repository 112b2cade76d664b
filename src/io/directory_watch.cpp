#include "io/directory_watch.h"

#include <algorithm>
#include <cstring>

namespace vitrine::io {
namespace {

constexpr u64 kNameOffset = 12;  // FILE_NOTIFY_INFORMATION: next, action, length, name

u64 record_bytes(const DirectoryEvent& event) { return align_up(kNameOffset + event.name.size() * 2, 4); }

}  // namespace

void DirectoryWatch::add(DirectoryEvent event) {
  if (overflowed_) return;
  // One more write of the same file says nothing new.
  if (event.action == abi::NotifyAction::modified && !events_.empty() && events_.back().action == event.action &&
      events_.back().name == event.name) {
    return;
  }
  bytes_ += record_bytes(event);
  if (bytes_ > capacity_) {
    overflowed_ = true;
    events_.clear();
    return;
  }
  events_.push_back(std::move(event));
}

Status DirectoryWatch::answer(Irp& irp) {
  const bool fits = !overflowed_ && bytes_ <= irp.length;
  irp.output.clear();
  if (fits) {
    irp.output.resize(bytes_);
    std::size_t at = 0;
    for (const DirectoryEvent& event : events_) {
      const bool last = &event == &events_.back();
      const u32 fixed[3] = {last ? 0 : static_cast<u32>(record_bytes(event)), static_cast<u32>(event.action),
                            static_cast<u32>(event.name.size() * 2)};
      std::memcpy(&irp.output[at], fixed, sizeof fixed);
      std::memcpy(&irp.output[at + kNameOffset], event.name.data(), event.name.size() * 2);
      at += record_bytes(event);
    }
  }
  overflowed_ = false;
  bytes_ = 0;
  events_.clear();
  irp.information = irp.output.size();
  return fits ? Status::success : Status::notify_enum_dir;
}

}  // namespace vitrine::io
