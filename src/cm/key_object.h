// KeyObject: an open key (NT: CM_KEY_BODY), an object of type "Key". Keeps its node allocated; owns the notifications
// that were asked for through it.
#pragma once

#include <vector>

#include "base/intrusive_list.h"
#include "cm/key_node.h"
#include "ob/object.h"

namespace vitrine::cm {

class Registry;

// REG_NOTIFY_*
namespace notify_filter {
inline constexpr u32 kName = 1;  // subkey added or deleted
inline constexpr u32 kAttributes = 2;
inline constexpr u32 kLastSet = 4;  // value changed
inline constexpr u32 kSecurity = 8;
inline constexpr u32 kValid = 0x1000'000F;  // and REG_NOTIFY_THREAD_AGNOSTIC
}  // namespace notify_filter

// One NtNotifyChangeKey. Fires once: at the next change that it filters (success), or when its key is closed or deleted
// (notify_cleanup / key_deleted).
struct Notification {
  u32 filter = 0;
  bool watch_tree = false;
  // Called when it fires; must not call back into the registry. Whoever asked keeps `context` alive until then.
  void (*fire)(void* context, Status status) = nullptr;
  void* context = nullptr;
};

struct KeyObject : ob::Object {
  Registry* registry = nullptr;  // null once the registry itself is gone
  KeyNode* node = nullptr;       // never null while there is a registry; may be `deleted`
  ListLink open_link;            // in Registry
  std::vector<Notification> notifications;
};

}  // namespace vitrine::cm
