// SocketDevice: polls and event selection. A poll asks for states and ends as soon as one of them holds; an event selection is told of
// each once, until the call that re-enables it [Microsoft: WSAEventSelect].
#include "io/socket_state.h"
#include "ob/sync_objects.h"

namespace vitrine::io {
namespace {

constexpr u32 kMaximumPollSockets = 16384;

struct Poll {
  abi::SocketPollHeader header;
  std::vector<abi::SocketPollEntry> entries;
};

// Precondition: the input was checked.
Poll poll_of(const Irp& irp) {
  Poll poll{*input_of<abi::SocketPollHeader>(irp), {}};
  poll.entries.resize(poll.header.count);
  std::memcpy(poll.entries.data(), irp.input.data() + sizeof(poll.header), poll.entries.size() * sizeof(abi::SocketPollEntry));
  return poll;
}

FileObject& polled_file(const Irp& irp, std::size_t index) { return static_cast<FileObject&>(*irp.objects[index]); }
// Null: the file is closed.
Socket* polled_socket(const Irp& irp, std::size_t index) {
  FileObject& file = polled_file(irp, index);
  return file.context == nullptr ? nullptr : &socket_of(file);
}

bool is_exclusive(const Irp& irp) { return input_of<abi::SocketPollHeader>(irp)->exclusive != 0; }

// The answer: the same header, and an entry for each socket that has something to tell.
void fill_answer(Irp& irp, const Poll& poll, const std::vector<u32>& found) {
  irp.output.resize(sizeof(poll.header));
  u32 count = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] == 0) continue;
    const Socket* socket = polled_socket(irp, i);
    const bool failed = (found[i] & abi::kPollConnectFailed) != 0 && socket != nullptr;
    const abi::SocketPollEntry entry{poll.entries[i].socket, found[i], failed ? static_cast<u32>(socket->connect_status) : 0};
    const auto* bytes = reinterpret_cast<const u8*>(&entry);
    irp.output.insert(irp.output.end(), bytes, bytes + sizeof(entry));
    ++count;
  }
  abi::SocketPollHeader header = poll.header;
  header.count = count;
  std::memcpy(irp.output.data(), &header, sizeof(header));
  irp.information = irp.output.size();
}

}  // namespace

u32 SocketDevice::State::levels(const Socket& socket) {
  u32 result = 0;
  if (socket.connect_status != Status::success && socket.state == SocketState::unconnected) result |= abi::kPollConnectFailed;
  switch (socket.state) {
    case SocketState::listening:
      if (!socket.backlog.empty()) result |= abi::kPollAccept;
      break;
    case SocketState::connectionless:
      if (!socket.datagrams.empty()) result |= abi::kPollRead;
      result |= abi::kPollWrite;
      break;
    case SocketState::connected:
      result |= abi::kPollConnect;
      if (!socket.incoming.empty()) result |= abi::kPollRead;
      if (socket.reset) {
        result |= abi::kPollReset;
      } else {
        if (has_room(socket) && !socket.send_shut) result |= abi::kPollWrite;
        // NT: the end is told when everything before it has been read [Microsoft: WSAAsyncSelect, FD_CLOSE].
        if (socket.peer_finished && socket.incoming.empty()) result |= abi::kPollHangUp;
      }
      break;
    case SocketState::created:
    case SocketState::unconnected:
    case SocketState::connecting: break;
  }
  return result;
}

void SocketDevice::State::post(Socket& socket, u32 events) {
  const u32 fresh = events & ~socket.reported_events;
  socket.pending_events |= fresh;
  socket.reported_events |= fresh;
  if (socket.event && (fresh & socket.event_mask) != 0) {
    manager.kernel().set_event(static_cast<ob::EventObject&>(*socket.event).event, ke::kIncrementNetwork);
  }
}

void SocketDevice::State::changed(Socket& socket) {
  // That a connection was made is an event of its own, not a state to be told again.
  post(socket, levels(socket) & ~(abi::kPollConnect | abi::kPollConnectFailed));
  if (socket.polls != 0) end_polls(socket, levels(socket));
}

// Ends the polls that asked for one of `flags` of this socket.
void SocketDevice::State::end_polls(Socket& socket, u32 flags) {
  for (Irp* irp = polls.front(); irp != nullptr;) {
    Irp& current = *irp;
    irp = polls.next(current);
    const Poll poll = poll_of(current);
    std::vector<u32> found(poll.entries.size());
    bool any = false;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (polled_socket(current, i) != &socket) continue;
      // NT: that its socket is closed is told whether it was asked for or not.
      found[i] = flags & (poll.entries[i].flags | abi::kPollClosed);
      any |= found[i] != 0;
    }
    if (!any) continue;
    fill_answer(current, poll, found);
    finish(current, Status::success, current.information);
  }
}

void SocketDevice::State::end_poll(Irp& irp, Status status) {
  const Poll poll = poll_of(irp);
  fill_answer(irp, poll, std::vector<u32>(poll.entries.size()));
  finish(irp, status, irp.information);
}

void SocketDevice::State::leave_poll(Irp& irp) {
  if (!irp.device_link.is_linked()) return;
  for (std::size_t i = 0; i < irp.objects.size(); ++i) {
    if (Socket* socket = polled_socket(irp, i)) --socket->polls;
  }
}

Status SocketDevice::State::poll(Irp& irp) {
  const auto header = input_of<abi::SocketPollHeader>(irp);
  if (!header || header->count == 0 || header->count > kMaximumPollSockets || irp.length < irp.input.size()) {
    return Status::invalid_parameter;
  }
  if (irp.input.size() < sizeof(*header) + header->count * sizeof(abi::SocketPollEntry)) return Status::invalid_parameter;
  if (irp.objects.size() != header->count) return Status::invalid_handle;
  const Poll poll = poll_of(irp);
  std::vector<u32> found(poll.entries.size());
  bool any = false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const FileObject& file = polled_file(irp, i);
    if (file.device != &device || file.context == nullptr) return Status::object_type_mismatch;
    found[i] = levels(static_cast<const Socket&>(*file.context)) & poll.entries[i].flags;
    any |= found[i] != 0;
  }
  if (poll.header.exclusive != 0) {
    // NT: an exclusive poll ends the exclusive one that waits for the same socket.
    for (Irp* other = polls.front(); other != nullptr;) {
      Irp& current = *other;
      other = polls.next(current);
      if (is_exclusive(current) && polled_socket(current, 0) == polled_socket(irp, 0)) end_poll(current, Status::success);
    }
  }
  if (any || poll.header.timeout == 0) {
    fill_answer(irp, poll, found);
    return any ? Status::success : Status::timeout;
  }
  if (poll.header.timeout != abi::kPollForEver) set_timer(irp, poll.header.timeout, Status::timeout);
  for (std::size_t i = 0; i < found.size(); ++i) ++polled_socket(irp, i)->polls;
  polls.push_back(irp);
  return Status::pending;
}

Status SocketDevice::State::select_events(Irp& irp, Socket& socket) {
  const auto wanted = input_of<abi::SocketEventSelect>(irp);
  if (!wanted) return Status::invalid_parameter;
  if (irp.objects.empty() && wanted->mask != 0) return Status::invalid_parameter;
  socket.event = irp.objects.empty() ? ob::Ref<ob::Object>() : irp.objects[0];
  socket.event_mask = wanted->mask;
  socket.nonblocking = true;  // NT: it stays so until it is told otherwise [Microsoft: WSAEventSelect]
  // What holds already is told at once, also if an earlier selection was told.
  const u32 now = (socket.pending_events | levels(socket)) & wanted->mask & ~abi::kPollConnect;
  const u32 events = now | (socket.pending_events & wanted->mask);
  reenable(socket, events);
  post(socket, events);
  return Status::success;
}

Status SocketDevice::State::take_events(Irp& irp, Socket& socket) {
  abi::SocketEvents events{};
  events.flags = socket.pending_events & socket.event_mask;
  events.status[abi::kPollConnectFailedBit] = static_cast<u32>(socket.connect_status);
  const Status status = answer(irp, events);
  if (is_success(status)) socket.pending_events &= ~socket.event_mask;
  return status == Status::success ? status : Status::invalid_parameter;
}

}  // namespace vitrine::io
