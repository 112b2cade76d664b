#include "io/named_pipe.h"

#include <algorithm>

#include "io/info_buffer.h"
#include "io/io_manager.h"
#include "io/named_pipe_state.h"

namespace vitrine::io {
namespace {

constexpr u32 kMaximumQuota = 16u << 20;   // bytes that one direction may be asked to hold
constexpr u32 kUnlimitedInstances = 0xFFFFFFFF;
constexpr std::size_t kMaximumPipes = 1u << 16;

// NT: the share access of the server says which way data goes [ntifs.h NtCreateNamedPipeFile].
Result<abi::PipeConfiguration> configuration_of(u32 share) {
  switch (share & (abi::kFileShareRead | abi::kFileShareWrite)) {
    case abi::kFileShareRead | abi::kFileShareWrite: return abi::PipeConfiguration::full_duplex;
    case abi::kFileShareRead: return abi::PipeConfiguration::outbound;
    case abi::kFileShareWrite: return abi::PipeConfiguration::inbound;
    default: return Failure(Status::invalid_parameter);
  }
}

PipeBlocking blocking_of(u32 completion_mode) {
  return completion_mode == abi::kPipeCompleteOperation ? PipeBlocking::complete_operation
                                                        : PipeBlocking::queue_operation;
}
PipeReadMode read_mode_of(u32 read_mode) {
  return read_mode == abi::kPipeMessageMode ? PipeReadMode::message : PipeReadMode::byte_stream;
}

// What an end may do in its instance's state, before it looks at data.
Status check_connected(const PipeEnd& end) {
  if (!end.instance) return Status::pipe_disconnected;
  switch (end.instance->state) {
    case abi::PipeState::disconnected: return Status::pipe_disconnected;
    case abi::PipeState::listening: return Status::pipe_listening;
    case abi::PipeState::connected:
    case abi::PipeState::closing: return Status::success;
  }
  return Status::invalid_pipe_state;
}

}  // namespace

bool PipeEnd::may_read() const {
  const abi::PipeConfiguration way = instance->pipe != nullptr ? instance->pipe->configuration
                                                               : abi::PipeConfiguration::full_duplex;
  return way != (role == PipeRole::server ? abi::PipeConfiguration::outbound : abi::PipeConfiguration::inbound);
}
bool PipeEnd::may_write() const {
  const abi::PipeConfiguration way = instance->pipe != nullptr ? instance->pipe->configuration
                                                               : abi::PipeConfiguration::full_duplex;
  return way != (role == PipeRole::server ? abi::PipeConfiguration::inbound : abi::PipeConfiguration::outbound);
}

NamedPipeDevice::NamedPipeDevice(IoManager& manager) : state_(std::make_unique<State>(manager)) {}
NamedPipeDevice::~NamedPipeDevice() { state_->manager.abandon_device(*this); }

Result<abi::CreateAction> NamedPipeDevice::create(FileObject& file, const CreateParameters& parameters) {
  std::u16string_view name = parameters.path;
  if (parameters.related != nullptr && pipe_end(*parameters.related).role != PipeRole::root) {
    return Failure(Status::invalid_parameter);
  }
  if (name.starts_with(u'\\')) name.remove_prefix(1);
  if (name.empty()) {
    if (parameters.pipe != nullptr) return Failure(Status::object_name_invalid);
    file.context = std::make_unique<PipeEnd>();
    file.name = u"\\";
    return abi::CreateAction::opened;
  }
  if ((parameters.options & abi::kFileDirectoryFile) != 0) return Failure(Status::object_path_not_found);
  auto action = parameters.pipe != nullptr ? state_->create_server(file, parameters, name)
                                           : state_->create_client(file, parameters, name);
  if (action) file.name = u'\\' + std::u16string(name);
  return action;
}

namespace {

Status check_parameters(const PipeParameters& p) {
  if ((p.type & ~(abi::kPipeMessageType | abi::kPipeRejectRemoteClients)) != 0) return Status::invalid_parameter;
  if (p.read_mode > abi::kPipeMessageMode || p.completion_mode > abi::kPipeCompleteOperation)
    return Status::invalid_parameter;
  const bool messages = (p.type & abi::kPipeMessageType) != 0;
  if (!messages && p.read_mode == abi::kPipeMessageMode) return Status::invalid_parameter;
  return p.maximum_instances == 0 ? Status::invalid_parameter : Status::success;
}

}  // namespace

Result<abi::CreateAction> NamedPipeDevice::State::create_server(FileObject& file, const CreateParameters& parameters,
                                                               std::u16string_view name) {
  const PipeParameters& wanted = *parameters.pipe;
  if (const Status status = check_parameters(wanted); !is_success(status)) return Failure(status);
  const auto configuration = configuration_of(parameters.share);
  if (!configuration) return Failure(configuration.error());
  const auto found = pipes.find(name);
  const bool exists = found != pipes.end();
  if (exists && parameters.disposition == abi::CreateDisposition::create) return Failure(Status::access_denied);
  if (!exists && parameters.disposition == abi::CreateDisposition::open) return Failure(Status::object_name_not_found);
  if (!exists && pipes.size() >= kMaximumPipes) return Failure(Status::insufficient_resources);
  Pipe* pipe = exists ? found->second.get() : nullptr;
  if (exists) {
    // NT: later instances must agree with the first in type and direction.
    const bool same = ((pipe->parameters.type ^ wanted.type) & abi::kPipeMessageType) == 0 &&
                      pipe->configuration == *configuration;
    if (!same) return Failure(Status::access_denied);
    const u32 limit = pipe->parameters.maximum_instances;
    if (limit != kUnlimitedInstances && pipe->instances.size() >= limit) return Failure(Status::instance_not_available);
  } else {
    auto made = std::make_unique<Pipe>();
    made->name = name;
    made->parameters = wanted;
    made->configuration = *configuration;
    pipe = made.get();
    pipes.emplace(std::u16string(name), std::move(made));
  }
  auto instance = std::make_shared<PipeInstance>(manager, *pipe, std::min(wanted.inbound_quota, kMaximumQuota),
                                                 std::min(wanted.outbound_quota, kMaximumQuota));
  instance->server = &file;
  pipe->instances.push_back(instance);
  auto end = std::make_unique<PipeEnd>();
  end->role = PipeRole::server;
  end->instance = std::move(instance);
  end->read_mode = read_mode_of(wanted.read_mode);
  end->blocking = blocking_of(wanted.completion_mode);
  file.context = std::move(end);
  instance_available(name);
  return exists ? abi::CreateAction::opened : abi::CreateAction::created;
}

Result<abi::CreateAction> NamedPipeDevice::State::create_client(FileObject& file, const CreateParameters& parameters,
                                                               std::u16string_view name) {
  const auto found = pipes.find(name);
  if (found == pipes.end()) return Failure(Status::object_name_not_found);
  Pipe& pipe = *found->second;
  const u32 access = parameters.access;
  const bool reads = (access & abi::kFileReadData) != 0, writes = (access & abi::kFileWriteData) != 0;
  if ((reads && pipe.configuration == abi::PipeConfiguration::inbound) ||
      (writes && pipe.configuration == abi::PipeConfiguration::outbound)) {
    return Failure(Status::access_denied);
  }
  const auto free = std::ranges::find_if(
      pipe.instances, [](const auto& instance) { return instance->state == abi::PipeState::listening; });
  if (free == pipe.instances.end()) return Failure(Status::pipe_not_available);
  const std::shared_ptr<PipeInstance> instance = *free;
  instance->state = abi::PipeState::connected;
  instance->client = &file;
  auto end = std::make_unique<PipeEnd>();
  end->role = PipeRole::client;
  end->instance = instance;  // NT: a client starts in byte mode, blocking
  file.context = std::move(end);
  while (!instance->listeners.empty()) manager.complete(*instance->listeners.pop_front(), Status::success, 0);
  return abi::CreateAction::opened;
}

void NamedPipeDevice::cleanup(FileObject& file) {
  if (file.context == nullptr) return;
  PipeEnd& end = pipe_end(file);
  if (!end.instance) return;
  if (end.role == PipeRole::server) {
    state_->close_server(end);
  } else {
    state_->close_client(end);
  }
}

void NamedPipeDevice::State::close_server(PipeEnd& end) {
  const std::shared_ptr<PipeInstance> instance = std::move(end.instance);
  instance->server = nullptr;
  while (!instance->listeners.empty()) manager.complete(*instance->listeners.pop_front(), Status::pipe_broken, 0);
  instance->state = abi::PipeState::closing;
  instance->to_server.reader_closed(Status::pipe_broken);
  instance->to_client.writer_closed(Status::pipe_broken);
  Pipe* pipe = std::exchange(instance->pipe, nullptr);
  std::erase(pipe->instances, instance);
  if (pipe->instances.empty()) pipes.erase(pipes.find(pipe->name));
}

void NamedPipeDevice::State::close_client(PipeEnd& end) {
  const std::shared_ptr<PipeInstance> instance = std::move(end.instance);
  instance->client = nullptr;
  instance->state = abi::PipeState::closing;
  instance->to_client.reader_closed(Status::pipe_broken);
  instance->to_server.writer_closed(Status::pipe_broken);
}

Status NamedPipeDevice::dispatch(Irp& irp) {
  if (irp.file->context == nullptr) return Status::file_closed;
  PipeEnd& end = pipe_end(*irp.file);
  if (end.role == PipeRole::root) {
    const bool wait = irp.function == MajorFunction::fs_control &&
                      static_cast<abi::FsControl>(irp.control_code) == abi::FsControl::pipe_wait;
    return wait ? state_->wait(irp) : Status::invalid_device_request;
  }
  switch (irp.function) {
    case MajorFunction::read: return state_->read(irp, end);
    case MajorFunction::write: return state_->write(irp, end);
    case MajorFunction::flush: {
      VITRINE_TRY(check_connected(end));
      return end.instance->state == abi::PipeState::closing ? Status::pipe_broken : end.outgoing().flush(irp);
    }
    case MajorFunction::fs_control: return state_->control(irp, end);
    default: return Status::invalid_device_request;
  }
}

Status NamedPipeDevice::State::read(Irp& irp, PipeEnd& end) {
  VITRINE_TRY(check_connected(end));
  if (!end.may_read()) return Status::invalid_parameter;
  if (end.instance->state == abi::PipeState::closing && end.incoming().empty()) return Status::pipe_broken;
  return end.incoming().read(irp, end.read_mode, end.blocking);
}

Status NamedPipeDevice::State::write(Irp& irp, PipeEnd& end) {
  VITRINE_TRY(check_connected(end));
  if (end.instance->state == abi::PipeState::closing) return Status::pipe_closing;
  if (!end.may_write()) return Status::invalid_parameter;
  const bool messages = (end.instance->pipe->parameters.type & abi::kPipeMessageType) != 0;
  return end.outgoing().write(irp, messages, end.blocking);
}

void NamedPipeDevice::cancel(Irp& irp) {
  PipeEnd& end = pipe_end(*irp.file);
  if (end.role == PipeRole::root) {
    state_->end_wait(irp);
    return;
  }
  if (irp.device_link.is_linked()) {
    irp.device_link.unlink();
    return;
  }
  if (end.instance) end.outgoing().cancel(irp);  // a write that waits for room
}

Status NamedPipeDevice::query_information(FileObject& file, abi::FileInformationClass information_class,
                                          std::span<u8> out, u32* written) {
  PipeEnd& end = pipe_end(file);
  using Class = abi::FileInformationClass;
  if (information_class == Class::basic) {
    return put(out, abi::FileBasicInformation{0, 0, 0, 0, abi::kFileAttributeNormal, 0}, written);
  }
  if (information_class == Class::ea) return put(out, abi::FileEaInformation{0}, written);
  if (information_class == Class::internal) return put(out, abi::FileInternalInformation{0}, written);
  if (end.role == PipeRole::root) return Status::invalid_info_class;
  if (information_class == Class::pipe) {
    const abi::FilePipeInformation modes{
        end.read_mode == PipeReadMode::message ? abi::kPipeMessageMode : abi::kPipeByteStreamMode,
        end.blocking == PipeBlocking::complete_operation ? abi::kPipeCompleteOperation : abi::kPipeQueueOperation};
    return put(out, modes, written);
  }
  if (!end.instance) return Status::pipe_disconnected;
  const PipeInstance& instance = *end.instance;
  if (information_class == Class::standard) {
    const i64 quota = static_cast<i64>(instance.to_server.quota()) + instance.to_client.quota();
    return put(out, abi::FileStandardInformation{quota, static_cast<i64>(end.incoming().unread()), 1, 1, 0, 0},
               written);
  }
  if (information_class != Class::pipe_local) return Status::invalid_info_class;
  const Pipe* pipe = instance.pipe;
  const abi::FilePipeLocalInformation local{
      pipe != nullptr ? pipe->parameters.type & abi::kPipeMessageType : 0,
      static_cast<u32>(pipe != nullptr ? pipe->configuration : abi::PipeConfiguration::full_duplex),
      pipe != nullptr ? pipe->parameters.maximum_instances : 0,
      pipe != nullptr ? static_cast<u32>(pipe->instances.size()) : 0,
      instance.to_server.quota(),
      static_cast<u32>(end.incoming().unread()),
      instance.to_client.quota(),
      static_cast<u32>(end.outgoing().room()),
      static_cast<u32>(instance.state),
      end.role == PipeRole::server ? abi::kPipeServerEnd : abi::kPipeClientEnd};
  return put(out, local, written);
}

Status NamedPipeDevice::set_information(FileObject& file, abi::FileInformationClass information_class,
                                        std::span<const u8> in) {
  PipeEnd& end = pipe_end(file);
  if (information_class != abi::FileInformationClass::pipe || end.role == PipeRole::root)
    return Status::invalid_info_class;
  const auto modes = take<abi::FilePipeInformation>(in);
  if (!modes) return Status::info_length_mismatch;
  if (modes->read_mode > abi::kPipeMessageMode || modes->completion_mode > abi::kPipeCompleteOperation) {
    return Status::invalid_parameter;
  }
  if (!end.instance) return Status::pipe_disconnected;
  const Pipe* pipe = end.instance->pipe;
  const bool messages = pipe != nullptr && (pipe->parameters.type & abi::kPipeMessageType) != 0;
  if (modes->read_mode == abi::kPipeMessageMode && !messages) return Status::invalid_parameter;
  // NT: the completion mode cannot change under requests that wait.
  const PipeBlocking blocking = blocking_of(modes->completion_mode);
  const bool waiting = end.incoming().has_waiters() || end.outgoing().has_waiters();
  if (blocking == PipeBlocking::complete_operation && blocking != end.blocking && waiting) return Status::pipe_busy;
  end.read_mode = read_mode_of(modes->read_mode);
  end.blocking = blocking;
  return Status::success;
}

Status NamedPipeDevice::query_volume(FileObject&, abi::VolumeInformationClass information_class, std::span<u8> out,
                                     u32* written) {
  switch (information_class) {
    case abi::VolumeInformationClass::device:
      return put(out, abi::FileFsDeviceInformation{static_cast<u32>(abi::DeviceType::named_pipe), characteristics()},
                 written);
    case abi::VolumeInformationClass::attribute: {
      const abi::FileFsAttributeInformation fixed{0, 0xFFFFFFFF, 8};
      return put_with_name(out, &fixed, abi::kFileFsAttributeNameOffset, u"NPFS", written);
    }
    default: return Status::invalid_info_class;
  }
}

}  // namespace vitrine::io
