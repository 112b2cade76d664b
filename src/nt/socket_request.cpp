#include "nt/socket_request.h"

#include <algorithm>
#include <cstring>

#include "abi/socket_device.h"

namespace vitrine::nt {
namespace {

constexpr u32 kMaximumBuffers = 1024;            // of one call; ws2_32's callers use one or two
constexpr u64 kMaximumSendBytes = 256ull << 20;  // of one call; more is WSAENOBUFS
constexpr u64 kMaximumInputBytes = io::kMaximumTransferBytes;

template <typename T>
void append(std::vector<u8>& to, const T& value) {
  const auto* bytes = reinterpret_cast<const u8*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof(value));
}

template <typename T>
Result<T> read_input(Call call, const ControlArguments& arguments) {
  if (arguments.input_length < sizeof(T)) return Failure(Status::invalid_parameter);
  return arguments.input.as<T>().read(call.space());
}

Result<std::vector<abi::SocketBuffer>> read_buffers(Call call, u64 address, u32 count) {
  if (count > kMaximumBuffers) return Failure(Status::insufficient_resources);
  std::vector<abi::SocketBuffer> buffers(count);
  const Status status = call.space().read(address, std::as_writable_bytes(std::span(buffers)));
  if (!is_success(status)) return Failure(status);
  return buffers;
}

Result<FileRequest> make_socket_request(Call call, io::FileObject& file, u64 length,
                                        const ControlArguments& arguments) {
  auto request = make_request(call, file, io::MajorFunction::device_control, length, arguments.target);
  if (request) request->irp->control_code = arguments.code;
  return request;
}

Outcome send(Call call, io::FileObject& file, const ControlArguments& arguments) {
  const auto wanted = read_input<abi::SocketSend>(call, arguments);
  if (!wanted) return wanted.error();
  const auto buffers = read_buffers(call, wanted->buffers, wanted->count);
  if (!buffers) return buffers.error();
  io::SocketTransfer transfer;
  transfer.flags = wanted->flags;
  transfer.overlapped = wanted->overlapped != 0;
  // NT: where a connected stream's data goes is known; an address is ignored [Microsoft: sendto].
  if (wanted->address != 0 && !io::SocketDevice::is_stream(file)) {
    transfer.address_bytes = static_cast<u32>(std::min<u64>(wanted->address_bytes, io::kMaximumAddressBytes));
    const auto address = std::as_writable_bytes(std::span(transfer.address)).first(transfer.address_bytes);
    if (const Status s = call.space().read(wanted->address, address); !is_success(s)) return s;
  }
  auto request = make_socket_request(call, file, 0, arguments);
  if (!request) return request.error();
  std::vector<u8>& input = request->irp->input;
  append(input, transfer);
  u64 total = 0;
  for (const abi::SocketBuffer& buffer : *buffers) {
    total += buffer.bytes;
    if (total > kMaximumSendBytes) return Status::insufficient_resources;
    const auto data = capture_bytes(call, {buffer.address}, buffer.bytes, kMaximumSendBytes);
    if (!data) return data.error();
    input.insert(input.end(), data->begin(), data->end());
  }
  return run_request(std::move(*request));
}

Outcome receive(Call call, io::FileObject& file, const ControlArguments& arguments) {
  const auto wanted = read_input<abi::SocketReceive>(call, arguments);
  if (!wanted) return wanted.error();
  const auto buffers = read_buffers(call, wanted->buffers, wanted->count);
  if (!buffers) return buffers.error();
  io::SocketTransfer transfer;
  if (wanted->flags != 0) {
    const auto flags = UserPtr<u32>{wanted->flags}.read(call.space());
    if (!flags) return flags.error();
    transfer.flags = *flags;
  }
  transfer.overlapped = wanted->overlapped != 0;
  // NT: the address of a stream's other end is not told [Microsoft: recvfrom].
  const bool tells_address = wanted->address != 0 && wanted->address_bytes != 0 && !io::SocketDevice::is_stream(file);
  const u64 address_bytes = io::SocketDevice::address_bytes(file);
  if (tells_address) {
    const auto room = UserPtr<i32>{wanted->address_bytes}.read(call.space());
    if (!room) return room.error();
    if (*room < 0 || static_cast<u64>(*room) < address_bytes) return Status::buffer_too_small;  // WSAEFAULT
    if (const Status s = call.space().probe(wanted->address, address_bytes, 1, true); !is_success(s)) return s;
  }
  std::vector<io::UserSegment> segments{
      {wanted->flags, sizeof(u32)},
      {tells_address ? wanted->address_bytes : 0, sizeof(u32)},
      {tells_address ? wanted->address : 0, address_bytes},
      {0, io::kMaximumAddressBytes - address_bytes},
  };
  u64 total = 0;
  for (const abi::SocketBuffer& buffer : *buffers) {
    const u64 bytes = std::min<u64>(buffer.bytes, io::kMaximumTransferBytes - total);  // a receive may always give less
    if (const Status s = call.space().probe(buffer.address, bytes, 1, true); !is_success(s)) return s;
    segments.push_back({buffer.address, bytes});
    total += bytes;
  }
  auto request = make_socket_request(call, file, sizeof(io::SocketReceived) + total, arguments);
  if (!request) return request.error();
  append(request->irp->input, transfer);
  request->irp->requester.segments = std::move(segments);
  return run_request(std::move(*request));
}

// What the input names by handle.
Status reference_objects(Call call, io::Irp& irp) {
  const auto add_socket = [&](Handle handle, u32 access) -> Status {
    auto file = reference_file(call, handle, access);
    if (!file) return file.error();
    irp.objects.emplace_back(std::move(file->file));
    return Status::success;
  };
  switch (static_cast<abi::SocketControl>(irp.control_code)) {
    case abi::SocketControl::poll: {
      for (u64 at = sizeof(abi::SocketPollHeader); at + sizeof(abi::SocketPollEntry) <= irp.input.size();
           at += sizeof(abi::SocketPollEntry)) {
        abi::SocketPollEntry entry;
        std::memcpy(&entry, irp.input.data() + at, sizeof(entry));
        VITRINE_TRY(add_socket({entry.socket}, 0));
      }
      return Status::success;
    }
    case abi::SocketControl::accept_into: {
      if (irp.input.size() < sizeof(abi::SocketAcceptInto)) return Status::buffer_too_small;
      u32 handle;
      std::memcpy(&handle, irp.input.data(), sizeof(handle));
      return add_socket({handle}, abi::kFileReadData);
    }
    case abi::SocketControl::event_select: {
      abi::SocketEventSelect wanted;
      if (irp.input.size() < sizeof(wanted)) return Status::invalid_parameter;
      std::memcpy(&wanted, irp.input.data(), sizeof(wanted));
      if (wanted.event == 0) return Status::success;
      auto event =
          reference<ob::EventObject>(call, {wanted.event}, call->sync.event(), abi::event_access::kModifyState);
      if (!event) return Status::invalid_parameter;  // NT: WSAEINVAL
      irp.objects.emplace_back(std::move(*event));
      return Status::success;
    }
    default:
      return Status::success;
  }
}

}  // namespace

Outcome socket_control(Call call, io::FileObject& file, const ControlArguments& arguments) {
  const auto code = static_cast<abi::SocketControl>(arguments.code);
  if (code == abi::SocketControl::send) return send(call, file, arguments);
  if (code == abi::SocketControl::receive) return receive(call, file, arguments);
  if (arguments.output_length != 0) {
    const Status s = call.space().probe(arguments.output.address, arguments.output_length, 1, true);
    if (!is_success(s)) return s;
  }
  auto input = capture_bytes(call, arguments.input, arguments.input_length, kMaximumInputBytes);
  if (!input) return input.error();
  auto request =
      make_socket_request(call, file, std::min<u64>(arguments.output_length, io::kMaximumTransferBytes), arguments);
  if (!request) return request.error();
  request->irp->input = std::move(*input);
  request->irp->requester.user_buffer = arguments.output.address;
  if (const Status s = reference_objects(call, *request->irp); !is_success(s)) return s;
  return run_request(std::move(*request));
}

}  // namespace vitrine::nt
