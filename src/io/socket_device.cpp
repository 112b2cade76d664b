#include "io/socket_device.h"

#include "abi/file_info.h"
#include "io/info_buffer.h"
#include "io/socket_state.h"

namespace vitrine::io {

Socket::Socket() = default;
Socket::~Socket() = default;

SocketTimer::SocketTimer(SocketDevice::State& state_, Irp* irp_, Socket* socket_, Status status_)
    : state(&state_), irp(irp_), socket(socket_), status(status_),
      dpc([](ke::Kernel&, ke::Dpc&, void* context) {
        const auto* self = static_cast<SocketTimer*>(context);
        SocketDevice::State& owner = *self->state;
        if (self->socket != nullptr) {
          owner.connection_refused(*self->socket);  // frees the timer
        } else if (static_cast<abi::SocketControl>(self->irp->control_code) == abi::SocketControl::poll) {
          owner.end_poll(*self->irp, self->status);
        } else {
          owner.finish(*self->irp, self->status, 0);
        }
      }, this) {}

SocketTimer::~SocketTimer() {
  (void)state->manager.kernel().cancel_timer(timer);
  (void)ke::Kernel::remove_dpc(dpc);
}

SocketDevice::SocketDevice(IoManager& manager) : state_(std::make_unique<State>(manager, *this)) {}
SocketDevice::~SocketDevice() { state_->manager.abandon_device(*this); }

// NT: what follows the device's name is AFD's own business ("\Device\Afd\Endpoint"); an open is a socket to be.
Result<abi::CreateAction> SocketDevice::create(FileObject& file, const CreateParameters& parameters) {
  if ((parameters.options & abi::kFileDirectoryFile) != 0) return Failure(Status::not_a_directory);
  auto socket = std::make_unique<Socket>();
  socket->file = &file;
  file.context = std::move(socket);
  file.name = parameters.path;
  return abi::CreateAction::opened;
}

void SocketDevice::cleanup(FileObject& file) {
  if (file.context != nullptr) state_->close(socket_of(file));
}

Status SocketDevice::dispatch(Irp& irp) {
  if (irp.file->context == nullptr) return Status::file_closed;
  Socket& socket = socket_of(*irp.file);
  if (irp.function == MajorFunction::read) return state_->receive(irp, socket);
  if (irp.function == MajorFunction::write) return state_->send(irp, socket);
  if (irp.function == MajorFunction::flush) return Status::success;
  if (irp.function != MajorFunction::device_control) return Status::invalid_device_request;
  using Control = abi::SocketControl;
  const auto code = static_cast<Control>(irp.control_code);
  if (code == Control::poll) return state_->poll(irp);  // works on other files, too
  if (code == Control::create) return state_->make(irp, socket);
  if (socket.state == SocketState::created) return Status::invalid_handle;  // NT: no socket
  switch (code) {
    case Control::bind: return state_->bind(irp, socket);
    case Control::listen: return state_->listen(irp, socket);
    case Control::connect: return state_->connect(irp, socket);
    case Control::accept:
    case Control::accept_into: return state_->accept(irp, socket);
    case Control::shutdown: return state_->shut_down(irp, socket);
    case Control::send: return state_->send(irp, socket);
    case Control::receive: return state_->receive(irp, socket);
    case Control::event_select: return state_->select_events(irp, socket);
    case Control::get_events: return state_->take_events(irp, socket);
    default: return state_->option(irp, socket);
  }
}

void SocketDevice::cancel(Irp& irp) {
  state_->timers.erase(irp.sequence);
  if (static_cast<abi::SocketControl>(irp.control_code) == abi::SocketControl::poll &&
      irp.function == MajorFunction::device_control) {
    state_->leave_poll(irp);
  }
  if (irp.device_link.is_linked()) irp.device_link.unlink();
  if (irp.file->context == nullptr) return;
  Socket& socket = socket_of(*irp.file);
  if (socket.connector == &irp) socket.connector = nullptr;
}

void SocketDevice::State::set_timer(Irp& irp, i64 due_100ns, Status status) {
  auto timer = std::make_unique<SocketTimer>(*this, &irp, nullptr, status);
  manager.kernel().set_timer(timer->timer, Ticks{due_100ns}, 0, &timer->dpc);
  timers[irp.sequence] = std::move(timer);
}

void SocketDevice::State::finish(Irp& irp, Status status, u64 information) {
  device.cancel(irp);  // out of every queue
  manager.complete(irp, status, information);
}

u64 SocketDevice::address_bytes(const FileObject& file) {
  if (file.context == nullptr) return 0;
  const auto& socket = static_cast<const Socket&>(*file.context);
  return socket.state == SocketState::created ? 0 : SocketAddress::any(socket.family, 0).sockaddr_bytes();
}

bool SocketDevice::is_stream(const FileObject& file) {
  return file.context != nullptr && static_cast<const Socket&>(*file.context).is_stream();
}

Status SocketDevice::query_information(FileObject&, abi::FileInformationClass information_class, std::span<u8> out,
                                       u32* written) {
  using Class = abi::FileInformationClass;
  if (information_class == Class::standard) return put(out, abi::FileStandardInformation{0, 0, 1, 0, 0, 0}, written);
  if (information_class == Class::basic) {
    return put(out, abi::FileBasicInformation{0, 0, 0, 0, abi::kFileAttributeNormal, 0}, written);
  }
  return Status::invalid_info_class;
}

Status SocketDevice::set_information(FileObject&, abi::FileInformationClass, std::span<const u8>) {
  return Status::invalid_info_class;
}

Status SocketDevice::query_volume(FileObject&, abi::VolumeInformationClass information_class, std::span<u8> out,
                                  u32* written) {
  if (information_class != abi::VolumeInformationClass::device) return Status::invalid_info_class;
  return put(out, abi::FileFsDeviceInformation{static_cast<u32>(abi::DeviceType::named_pipe), characteristics()}, written);
}

}  // namespace vitrine::io
