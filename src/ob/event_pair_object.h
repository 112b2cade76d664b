// EventPairObject (EEVENT_PAIR): ke's event pair with an object header. SyncTypes registers the type; it is found by
// name, as few ever need it.
#pragma once

#include "ke/event_pair.h"
#include "ob/object_manager.h"

namespace vitrine::ob {

inline constexpr std::u16string_view kEventPairType = u"EventPair";

struct EventPairObject : Object {
  ke::EventPair pair;
};

}  // namespace vitrine::ob
