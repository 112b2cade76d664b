// WaitPacketObject (NT 6.2: WaitCompletionPacket): joins a waitable object to a completion port. When the object is signalled its
// wait is satisfied and a packet arrives at the port; then the object can be used again [Microsoft:
// NtAssociateWaitCompletionPacket, NtCancelWaitCompletionPacket].
//
// Owns its one packet; while it is associated it keeps the port and the target alive. Closing its last handle cancels.
#pragma once

#include "io/io_completion.h"
#include "ob/object_manager.h"

namespace vitrine::io {

class WaitPackets;

struct WaitPacketObject : ob::Object {
  explicit WaitPacketObject(WaitPackets& owner_) : owner(owner_) {}
  struct Packet : CompletionPacket {
    WaitPacketObject* owner = nullptr;
  };
  WaitPackets& owner;
  ke::QueueNotification notification;
  Packet packet;
  ob::Ref<IoCompletionObject> port;  // null: not associated
  ob::Ref<ob::Object> target;
};

// What an association says: the record that the port's reader receives.
struct Association {
  ob::Ref<IoCompletionObject> port;
  ob::Ref<ob::Object> target;  // has a dispatcher header, and is no mutant
  CompletionRecord record;
};

class WaitPackets {
 public:
  // Registers the type. Both outlive this.
  WaitPackets(ob::ObjectManager& objects, ke::Kernel& kernel);
  WaitPackets(const WaitPackets&) = delete;
  WaitPackets& operator=(const WaitPackets&) = delete;

  [[nodiscard]] ob::ObjectType& type() const { return *type_; }
  [[nodiscard]] Result<ob::Ref<WaitPacketObject>> create(const ob::CreateRequest& request);
  // True: the target was signalled, the packet is at the port. Errors: invalid_parameter_1 (it is associated, or its packet has
  // not been received), object_type_mismatch (nothing to wait on, or a mutant, which only a thread can own. Assumed).
  [[nodiscard]] Result<bool> associate(WaitPacketObject& packet, Association association);
  // success: it waits no more, or its packet was taken back (`take_back`); pending: the packet is at the port or on its way to a
  // reader; cancelled: there was nothing to cancel.
  Status cancel(WaitPacketObject& packet, bool take_back);

 private:
  static void packet_left(CompletionPacket& packet);
  static void forget(WaitPacketObject& packet);

  ob::ObjectManager& objects_;
  ke::Kernel& kernel_;
  ob::ObjectType* type_ = nullptr;
};

}  // namespace vitrine::io
