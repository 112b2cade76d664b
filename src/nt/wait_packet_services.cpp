// Wait-completion packets: a waitable object reports to a completion port. NT 6.2. [Microsoft: NtCreateWaitCompletionPacket,
// NtAssociateWaitCompletionPacket, NtCancelWaitCompletionPacket]
#include <array>

#include "abi/object_constants.h"
#include "nt/capture.h"
#include "nt/executive_state.h"
#include "nt/families.h"
#include "nt/new_object.h"

namespace vitrine::nt {
namespace {

constexpr u32 kModifyPacket = 1, kModifyPort = 2;

io::WaitPackets& wait_packets(Call call) { return *call->state->wait_packets; }

Status nt_create_wait_completion_packet(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  auto packet = wait_packets(call).create(request_for(call, *captured));
  if (!packet) return packet.error();
  return insert_and_return(call, std::move(*packet), *captured, access, handle);
}

Status nt_associate_wait_completion_packet(Call call, Handle packet_handle, Handle port_handle, Handle target_handle, u64 key, u64 value,
                                           u32 status, u64 information, UserPtr<u8> already_signalled) {
  if (already_signalled) VITRINE_TRY(call.space().probe(already_signalled.address, sizeof(u8), 1, true));
  const auto packet = reference<io::WaitPacketObject>(call, packet_handle, wait_packets(call).type(), kModifyPacket);
  if (!packet) return packet.error();
  auto port = reference<io::IoCompletionObject>(call, port_handle, call->io.completion_type(), kModifyPort);
  if (!port) return port.error();
  auto target = reference_any(call, target_handle, se::access::kSynchronize);
  if (!target) return target.error();
  const auto signalled = wait_packets(call).associate(
      **packet, {std::move(*port), std::move(*target), {key, value, static_cast<Status>(status), information}});
  if (!signalled) return signalled.error();
  return already_signalled ? already_signalled.write(call.space(), *signalled ? 1 : 0) : Status::success;
}

Status nt_cancel_wait_completion_packet(Call call, Handle handle, bool remove_signalled) {
  const auto packet = reference<io::WaitPacketObject>(call, handle, wait_packets(call).type(), kModifyPacket);
  if (!packet) return packet.error();
  return wait_packets(call).cancel(**packet, remove_signalled);
}

using enum SupportLevel;
constexpr Service kServices[] = {
    service<&nt_create_wait_completion_packet>("NtCreateWaitCompletionPacket", complete, "packet, access, attributes"),
    service<&nt_associate_wait_completion_packet>("NtAssociateWaitCompletionPacket", complete,
                                                  "packet, port, target, key, value, status, information, already_signalled"),
    service<&nt_cancel_wait_completion_packet>("NtCancelWaitCompletionPacket", complete, "packet, remove_signalled"),
};

}  // namespace

std::span<const Service> wait_packet_services() { return kServices; }

}  // namespace vitrine::nt
