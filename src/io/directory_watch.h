// DirectoryWatch: what one open directory has been asked to tell of (NT: FSRTL notify structures), and what it has not
// told yet. Changes come from the machine itself: what others do on the host would differ from run to run, and is not
// told.
//
// NT: the filter, the depth and the size of the buffer are those of the first request on the handle; from then on
// changes are collected between requests, too. What does not fit is forgotten, and the next answer is notify_enum_dir:
// look for yourself [ntifs.h FsRtlNotifyFullChangeDirectory].
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/file_constants.h"
#include "io/irp.h"

namespace vitrine::io {

struct DirectoryEvent {
  abi::NotifyAction action;
  std::u16string name;  // below the watched directory
};

class DirectoryWatch {
 public:
  DirectoryWatch(u32 filter, bool tree, u64 capacity) : filter_(filter), tree_(tree), capacity_(capacity) {}

  // Whether a change (FILE_NOTIFY_CHANGE_xxx bits, one of which is enough) of `name` below the directory is to be told.
  [[nodiscard]] bool wants(u32 changes, std::u16string_view name) const {
    return (changes & filter_) != 0 && (tree_ || name.find(u'\\') == name.npos);
  }
  void add(DirectoryEvent event);
  [[nodiscard]] bool has_news() const { return overflowed_ || !events_.empty(); }
  // Fills the request's output with all that is there: success, or notify_enum_dir when it is more than fits.
  Status answer(Irp& irp);

  IrpQueue waiting;

 private:
  u32 filter_;
  bool tree_;
  bool overflowed_ = false;
  u64 capacity_;   // bytes of records
  u64 bytes_ = 0;  // of the records of events_
  std::vector<DirectoryEvent> events_;
};

}  // namespace vitrine::io
