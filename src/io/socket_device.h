// SocketDevice: \Device\Afd, sockets over the machine's own loopback interface (NT: the ancillary function driver and TCP/IP below it
// [WI5 ch.12 "Winsock Implementation"]). It owns the sockets, the ports, connections and the data in flight. It refuses every address but
// 127.0.0.0/8 and ::1: there is no way from here to a network of the host.
//
// It speaks what Wine's ws2_32 speaks (abi/socket_device.h). Services translate the codes that carry addresses of guest memory or handles
// first (nt/socket_request.h): then `input` is one of the structures below and its data, `output` likewise, and Irp::objects holds what
// the handles meant.
#pragma once

#include <memory>

#include "io/device.h"
#include "io/socket_address.h"

namespace vitrine::io {

class IoManager;

// In front of the input of SocketControl::send and receive.
struct SocketTransfer {
  u32 flags = 0;          // MSG_xxx
  u32 overlapped = 0;     // not 0: pends even on a non-blocking socket, has no timeout
  u32 address_bytes = 0;  // send: of `address`; 0: where the socket is connected to
  u8 address[kMaximumAddressBytes]{};
};
// In front of the output of SocketControl::receive; the data follows.
struct SocketReceived {
  u32 flags = 0;
  u32 address_bytes = 0;
  u8 address[kMaximumAddressBytes]{};
};

class SocketDevice final : public Device {
 public:
  explicit SocketDevice(IoManager& manager);
  ~SocketDevice() override;

  [[nodiscard]] abi::DeviceType type(const FileObject&) const override { return abi::DeviceType::named_pipe; }
  // NT: IO_NETWORK_INCREMENT.
  [[nodiscard]] i8 completion_increment() const override { return ke::kIncrementNetwork; }
  Result<abi::CreateAction> create(FileObject& file, const CreateParameters& parameters) override;
  void cleanup(FileObject& file) override;
  Status dispatch(Irp& irp) override;
  void cancel(Irp& irp) override;
  Status query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                           u32* written) override;
  Status set_information(FileObject& file, abi::FileInformationClass information_class,
                         std::span<const u8> in) override;
  Status query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                      u32* written) override;

  // Of an open socket: what an address in its answers takes. 0: the file has no socket yet.
  [[nodiscard]] static u64 address_bytes(const FileObject& file);
  [[nodiscard]] static bool is_stream(const FileObject& file);

  struct State;  // io/socket_state.h

 private:
  std::unique_ptr<State> state_;
};

}  // namespace vitrine::io
