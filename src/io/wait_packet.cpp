#include "io/wait_packet.h"

#include <utility>

#include "ke/kernel.h"

namespace vitrine::io {
namespace {

constexpr u32 kAllAccess = 0xF'0001;  // it cannot be waited for itself, so SYNCHRONIZE is not among its rights

}  // namespace

WaitPackets::WaitPackets(ob::ObjectManager& objects, ke::Kernel& kernel) : objects_(objects), kernel_(kernel) {
  ob::TypeTraits traits{.name = u"WaitCompletionPacket", .valid_access = kAllAccess};
  traits.mapping = {se::access::kReadControl, se::access::kReadControl | 1, se::access::kReadControl, kAllAccess};
  traits.body_bytes = sizeof(void*) * 16;  // Assumed: a wait block, a mini packet and three pointers
  traits.close = [](ob::Object& object, const ob::CloseEvent& event) {
    auto& self = static_cast<WaitPacketObject&>(object);
    if (event.handle_count_before == 1) (void)self.owner.cancel(self, true);
  };
  type_ = &objects.register_type(traits);
}

Result<ob::Ref<WaitPacketObject>> WaitPackets::create(const ob::CreateRequest& request) {
  return objects_.create<WaitPacketObject>(*type_, request, *this);
}

Result<bool> WaitPackets::associate(WaitPacketObject& packet, Association association) {
  if (packet.port) return Failure(Status::invalid_parameter_1);
  ke::DispatcherHeader* header = ob::dispatcher_header(*association.target);
  if (header == nullptr || header->type == ke::DispatcherType::mutant) return Failure(Status::object_type_mismatch);
  packet.packet.record = association.record;
  packet.packet.owner = &packet;
  packet.packet.release = packet_left;
  packet.port = std::move(association.port);
  packet.target = std::move(association.target);
  ob::reference(packet);  // until the packet has left, or the cancellation
  return kernel_.notify_queue(packet.notification, *header, packet.port->queue, packet.packet);
}

Status WaitPackets::cancel(WaitPacketObject& packet, bool take_back) {
  if (!packet.port) return Status::cancelled;
  if (!kernel_.cancel_notification(packet.notification)) {
    if (!take_back || !kernel_.remove_queue_entry(packet.port->queue, packet.packet)) return Status::pending;
  }
  forget(packet);
  return Status::success;
}

void WaitPackets::packet_left(CompletionPacket& packet) { forget(*static_cast<WaitPacketObject::Packet&>(packet).owner); }

void WaitPackets::forget(WaitPacketObject& packet) {
  const ob::Ref<WaitPacketObject> keep(packet);
  packet.port.reset();
  packet.target.reset();
  ob::dereference(packet);
}

}  // namespace vitrine::io
