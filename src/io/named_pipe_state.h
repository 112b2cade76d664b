// The inside of NamedPipeDevice: names, instances, ends.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "abi/file_info.h"
#include "ex/unicode.h"
#include "io/file_object.h"
#include "io/named_pipe.h"
#include "io/pipe_queue.h"
#include "ke/dpc.h"

namespace vitrine::io {

struct Pipe;

// One connection, or the offer of one. Server and client ends share it; the server's disconnect takes it from the
// client.
struct PipeInstance {
  PipeInstance(IoManager& manager, Pipe& pipe_, u32 inbound, u32 outbound)
      : pipe(&pipe_), to_server(manager, inbound), to_client(manager, outbound) {}
  Pipe* pipe;                      // null once the server end is closed
  abi::PipeState state = abi::PipeState::listening;
  FileObject* server = nullptr;    // null when closed
  FileObject* client = nullptr;
  PipeQueue to_server, to_client;  // by where the data goes
  IrpQueue listeners;              // FSCTL_PIPE_LISTEN
};

struct Pipe {
  std::u16string name;             // without a leading backslash
  PipeParameters parameters;
  abi::PipeConfiguration configuration{};
  std::vector<std::shared_ptr<PipeInstance>> instances;  // in order of creation
};

struct PipeNameOrder {
  using is_transparent = void;
  bool operator()(std::u16string_view a, std::u16string_view b) const { return ex::compare_ignoring_case(a, b) < 0; }
};

enum class PipeRole : u8 { root, server, client };

struct PipeEnd final : FileContext {
  PipeRole role = PipeRole::root;
  std::shared_ptr<PipeInstance> instance;  // null: root, or disconnected by the server
  PipeReadMode read_mode = PipeReadMode::byte_stream;
  PipeBlocking blocking = PipeBlocking::queue_operation;
  // Root: the listing in progress.
  std::vector<std::u16string> listing;
  std::size_t next_entry = 0;
  std::u16string pattern;
  bool listed = false;
  // What this end reads from and writes to.
  [[nodiscard]] PipeQueue& incoming() const {
    return role == PipeRole::server ? instance->to_server : instance->to_client;
  }
  [[nodiscard]] PipeQueue& outgoing() const {
    return role == PipeRole::server ? instance->to_client : instance->to_server;
  }
  [[nodiscard]] bool may_read() const;
  [[nodiscard]] bool may_write() const;
};

// FSCTL_PIPE_WAIT in progress.
struct PipeWaiter {
  PipeWaiter(NamedPipeDevice::State& state_, Irp& irp_, std::u16string name_);
  NamedPipeDevice::State* state;
  Irp* irp;
  std::u16string name;
  ke::Timer timer{ke::TimerKind::notification};
  ke::Dpc dpc;
};

struct NamedPipeDevice::State {
  explicit State(IoManager& manager_) : manager(manager_) {}
  IoManager& manager;
  std::map<std::u16string, std::unique_ptr<Pipe>, PipeNameOrder> pipes;
  std::vector<std::unique_ptr<PipeWaiter>> waiters;  // in order of arrival

  Result<abi::CreateAction> create_server(FileObject& file, const CreateParameters& parameters,
                                          std::u16string_view name);
  Result<abi::CreateAction> create_client(FileObject& file, const CreateParameters& parameters,
                                          std::u16string_view name);
  Status read(Irp& irp, PipeEnd& end);
  Status write(Irp& irp, PipeEnd& end);
  Status control(Irp& irp, PipeEnd& end);
  Status listen(Irp& irp, PipeEnd& end);
  Status disconnect(PipeEnd& end);
  Status peek(Irp& irp, PipeEnd& end);
  Status transceive(Irp& irp, PipeEnd& end);
  Status wait(Irp& irp);
  // An instance of `name` listens again: whoever waited for one goes on.
  void instance_available(std::u16string_view name);
  void end_wait(Irp& irp);            // forgets the waiter of a request
  void close_server(PipeEnd& end);
  void close_client(PipeEnd& end);
};

[[nodiscard]] inline PipeEnd& pipe_end(FileObject& file) { return static_cast<PipeEnd&>(*file.context); }

}  // namespace vitrine::io
