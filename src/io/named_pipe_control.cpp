// NamedPipeDevice: file system controls: listen, disconnect, peek, transceive, wait.
#include <algorithm>
#include <cstring>

#include "io/directory_buffer.h"
#include "io/io_manager.h"
#include "io/name_rules.h"
#include "io/named_pipe_state.h"

namespace vitrine::io {

Status NamedPipeDevice::State::control(Irp& irp, PipeEnd& end) {
  switch (static_cast<abi::FsControl>(irp.control_code)) {
    case abi::FsControl::pipe_listen: return listen(irp, end);
    case abi::FsControl::pipe_disconnect: return disconnect(end);
    case abi::FsControl::pipe_peek: return peek(irp, end);
    case abi::FsControl::pipe_transceive: return transceive(irp, end);
    case abi::FsControl::pipe_wait: return Status::illegal_function;  // NT: only on the root of the file system
    default: return Status::invalid_device_request;
  }
}

Status NamedPipeDevice::State::listen(Irp& irp, PipeEnd& end) {
  if (end.role != PipeRole::server) return Status::illegal_function;
  PipeInstance& instance = *end.instance;
  switch (instance.state) {
    case abi::PipeState::connected: return Status::pipe_connected;
    case abi::PipeState::closing: return Status::pipe_closing;
    case abi::PipeState::disconnected:
      instance.state = abi::PipeState::listening;
      instance_available(instance.pipe->name);
      break;
    case abi::PipeState::listening: break;
  }
  if (end.blocking == PipeBlocking::complete_operation) return Status::pipe_listening;
  instance.listeners.push_back(irp);
  return Status::pending;
}

Status NamedPipeDevice::State::disconnect(PipeEnd& end) {
  if (end.role != PipeRole::server) return Status::illegal_function;
  PipeInstance& instance = *end.instance;
  if (instance.state == abi::PipeState::disconnected) return Status::pipe_disconnected;
  instance.state = abi::PipeState::disconnected;
  while (!instance.listeners.empty()) manager.complete(*instance.listeners.pop_front(), Status::pipe_disconnected, 0);
  // NT: data that nobody read yet is lost; the client's handle stays open and dead.
  instance.to_server.reader_closed(Status::pipe_disconnected);
  instance.to_client.reader_closed(Status::pipe_disconnected);
  if (FileObject* client = std::exchange(instance.client, nullptr)) pipe_end(*client).instance.reset();
  return Status::success;
}

Status NamedPipeDevice::State::peek(Irp& irp, PipeEnd& end) {
  constexpr u64 kHeader = sizeof(abi::FilePipePeekBuffer);
  if (irp.length < kHeader) return Status::info_length_mismatch;
  if (!end.instance || end.instance->state == abi::PipeState::disconnected) return Status::pipe_disconnected;
  if (end.instance->state == abi::PipeState::listening) return Status::invalid_pipe_state;
  const PipeQueue& queue = end.incoming();
  if (end.instance->state == abi::PipeState::closing && queue.empty()) return Status::pipe_broken;
  const Pipe* pipe = end.instance->pipe;
  const bool messages = pipe != nullptr && (pipe->parameters.type & abi::kPipeMessageType) != 0;
  const u64 in_reach = end.read_mode == PipeReadMode::message ? queue.first_message_bytes() : queue.unread();
  irp.output.resize(kHeader + std::min(irp.length - kHeader, in_reach));
  const u64 copied = queue.peek(std::span(irp.output).subspan(kHeader), end.read_mode);
  const abi::FilePipePeekBuffer header{static_cast<u32>(end.instance->state), static_cast<u32>(queue.unread()),
                                       messages ? queue.message_count() : 0,
                                       messages ? static_cast<u32>(queue.first_message_bytes()) : 0};
  std::memcpy(irp.output.data(), &header, sizeof(header));
  irp.information = kHeader + copied;
  return copied < in_reach ? Status::buffer_overflow : Status::success;
}

Status NamedPipeDevice::State::transceive(Irp& irp, PipeEnd& end) {
  if (!end.instance) return Status::pipe_disconnected;
  if (end.instance->state != abi::PipeState::connected) return Status::invalid_pipe_state;
  if (!end.may_read() || !end.may_write() || end.read_mode != PipeReadMode::message) return Status::invalid_pipe_state;
  if (!end.incoming().empty()) return Status::pipe_busy;  // NT: an unread message is in the way of the answer
  end.outgoing().write_now(irp.input);
  return end.incoming().read(irp, PipeReadMode::message, PipeBlocking::queue_operation);
}

PipeWaiter::PipeWaiter(NamedPipeDevice::State& state_, Irp& irp_, std::u16string name_)
    : state(&state_), irp(&irp_), name(std::move(name_)),
      dpc([](ke::Kernel&, ke::Dpc&, void* context) {
        auto* self = static_cast<PipeWaiter*>(context);
        Irp& waiting = *self->irp;
        NamedPipeDevice::State& owner = *self->state;
        owner.end_wait(waiting);  // frees the waiter
        owner.manager.complete(waiting, Status::io_timeout, 0);
      }, this) {}

Status NamedPipeDevice::State::wait(Irp& irp) {
  constexpr std::size_t kFixed = abi::kFilePipeWaitNameOffset;
  if (irp.input.size() < kFixed) return Status::invalid_parameter;
  abi::FilePipeWaitForBuffer fixed{};
  std::memcpy(&fixed, irp.input.data(), kFixed);
  if (fixed.name_length % 2 != 0 || fixed.name_length == 0 || fixed.name_length > irp.input.size() - kFixed) {
    return Status::invalid_parameter;
  }
  std::u16string name(fixed.name_length / 2, u'\0');
  std::memcpy(name.data(), irp.input.data() + kFixed, fixed.name_length);
  if (name.starts_with(u'\\')) name.erase(0, 1);
  const auto found = pipes.find(name);
  if (found == pipes.end()) return Status::object_name_not_found;
  const Pipe& pipe = *found->second;
  const bool available = std::ranges::any_of(
      pipe.instances, [](const auto& instance) { return instance->state == abi::PipeState::listening; });
  if (available) return Status::success;
  const i64 timeout = fixed.timeout_specified != 0 ? fixed.timeout : pipe.parameters.default_timeout;
  auto waiter = std::make_unique<PipeWaiter>(*this, irp, std::move(name));
  // NT: the largest negative number stands for no timeout (NMPWAIT_WAIT_FOREVER).
  if (timeout != INT64_MIN) manager.kernel().set_timer(waiter->timer, Ticks{timeout}, 0, &waiter->dpc);
  waiters.push_back(std::move(waiter));
  return Status::pending;
}

void NamedPipeDevice::State::end_wait(Irp& irp) {
  const auto found = std::ranges::find_if(waiters, [&](const auto& waiter) { return waiter->irp == &irp; });
  if (found == waiters.end()) return;
  manager.kernel().cancel_timer((*found)->timer);
  manager.kernel().remove_dpc((*found)->dpc);
  waiters.erase(found);
}

void NamedPipeDevice::State::instance_available(std::u16string_view name) {
  for (bool again = true; again;) {
    again = false;
    for (const auto& waiter : waiters) {
      if (!ex::equal_ignoring_case(waiter->name, name)) continue;
      Irp& irp = *waiter->irp;
      end_wait(irp);
      manager.complete(irp, Status::success, 0);
      again = true;
      break;
    }
  }
}

Status NamedPipeDevice::query_directory(FileObject& file, const DirectoryQuery& query, std::span<u8> out, u32* written) {
  PipeEnd& end = pipe_end(file);
  if (end.role != PipeRole::root) return Status::invalid_parameter;
  if (query.pattern.size() > kMaximumComponentUnits) return Status::object_name_invalid;
  const bool first = !end.listed;
  if (first || (query.restart && !query.pattern.empty())) {
    end.pattern = query.pattern.empty() ? u"*" : query.pattern;
  }
  if (first || query.restart) {
    end.listing.clear();
    for (const auto& [name, pipe] : state_->pipes) {
      if (matches_expression(end.pattern, name)) end.listing.push_back(name);
    }
    end.next_entry = 0;
    end.listed = true;
  }
  const auto next = [this, &end]() -> std::optional<DirectoryEntry> {
    if (end.next_entry == end.listing.size()) return std::nullopt;
    const std::u16string& name = end.listing[end.next_entry];
    DirectoryEntry entry{name, {}, 0};
    entry.fixed.attributes = abi::kFileAttributeNormal;
    // NT: the size tells the number of instances, the allocation their limit.
    if (const auto found = state_->pipes.find(name); found != state_->pipes.end()) {
      entry.fixed.end_of_file = static_cast<i64>(found->second->instances.size());
      entry.fixed.allocation_size = static_cast<i32>(found->second->parameters.maximum_instances);
    }
    return entry;
  };
  const Status status = fill_directory_buffer(query.information_class, query.single_entry, next,
                                              [&end] { ++end.next_entry; }, out, written);
  return status == Status::no_more_files && first ? Status::no_such_file : status;
}

}  // namespace vitrine::io
