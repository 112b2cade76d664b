// HostVolume: telling open directories what changes in them and below.
#include <algorithm>

#include "ex/unicode.h"
#include "io/host_volume_state.h"
#include "io/io_manager.h"

namespace vitrine::io {
namespace {

// The part of `path` below `directory`; empty: it is not below.
std::u16string_view below(std::u16string_view path, std::u16string_view directory) {
  if (directory == u"\\") return path.substr(1);
  if (path.size() <= directory.size() + 1 || path[directory.size()] != u'\\') return {};
  if (!ex::equal_ignoring_case(path.substr(0, directory.size()), directory)) return {};
  return path.substr(directory.size() + 1);
}

}  // namespace

Status HostVolume::notify(Irp& irp) {
  OpenFile& open = open_file(*irp.file);
  if (!open.directory) return Status::invalid_parameter;
  if (open.fcb->delete_pending) return Status::delete_pending;
  if (!open.watch) {
    open.watch.emplace(irp.control_code, irp.key != 0, irp.length);
    state_->watchers.push_back(&open);
  }
  if (open.watch->waiting.empty() && open.watch->has_news()) return open.watch->answer(irp);
  open.watch->waiting.push_back(irp);
  return Status::pending;
}

void VolumeState::tell(std::initializer_list<Change> changes, u32 kinds) {
  const std::vector<OpenFile*> all = watchers;  // a completion may end one
  for (OpenFile* open : all) {
    if (std::ranges::find(watchers, open) == watchers.end()) continue;
    for (const Change& change : changes) {
      const std::u16string_view name = below(change.path, open->path);
      if (!name.empty() && open->watch->wants(kinds, name)) open->watch->add({change.action, std::u16string(name)});
    }
    Irp* irp = open->watch->waiting.front();
    if (irp == nullptr || !open->watch->has_news()) continue;
    irp->device_link.unlink();
    const Status status = open->watch->answer(*irp);
    manager->complete(*irp, status, irp->information);
  }
}

void VolumeState::end_watch(OpenFile& open, Status status) {
  if (!open.watch) return;
  while (Irp* irp = open.watch->waiting.front()) {
    irp->device_link.unlink();
    irp->output.clear();
    manager->complete(*irp, status, 0);
  }
}

void VolumeState::end_watches(Fcb& fcb, Status status) {
  for (OpenFile& open : fcb.opens) end_watch(open, status);
}

}  // namespace vitrine::io
