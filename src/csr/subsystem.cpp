// CSRSS's process, its births and its lock.
#include "csr/subsystem.h"

#include <cstring>

#include "lpc/user_message.h"
#include "ps/access.h"

namespace vitrine::csr {
namespace {

constexpr std::u16string_view kPortName = u"\\Windows\\ApiPort";
constexpr std::u16string_view kImagePath = u"\\??\\C:\\windows\\system32\\csrss.exe";
constexpr u32 kProcessAll = ps::process_access::kAll, kThreadAll = ps::thread_access::kAll;

// NT: CSR_MAKE_API_NUMBER(BASESRV_SERVERDLL_INDEX, n).
constexpr u32 kCreateProcessApi = 0x1'0000, kCreateThreadApi = 0x1'0001;

// STATUS_PORT_CONNECTION_REFUSED.
constexpr Status kConnectionRefused{0xC000'0041};

// CSR_API_MESSAGE with BASE_CREATETHREAD_MSG, x64 [ROS subsys/csr/csrmsg.h, subsys/win/basemsg.h].
struct ApiMessage {
  lpc::PortMessage header;
  u64 capture_buffer;
  u32 api;
  u32 status;
  u32 reserved, padding;
  u64 thread_handle;
  u64 process_id, thread_id;
};
static_assert(sizeof(ApiMessage) == 0x58);

constexpr u64 kTableBlockBytes = 4096;  // the mend's bucket array is taken from the heap in such pieces

}  // namespace

Subsystem::Subsystem(const Dependencies& dependencies, const Strategy& strategy)
    : on_(dependencies), strategy_(strategy), table_(make_thread_table(strategy, records_)) {}

Subsystem::~Subsystem() {
  if (port_) shut_down();
  // Connections first: their ports name the port that goes with us.
  process_records_.clear();
}

void Subsystem::shut_down() { on_.ports.disconnect(*port_); }

Result<std::unique_ptr<Subsystem>> Subsystem::create(const Dependencies& dependencies, const Strategy& strategy) {
  std::unique_ptr<Subsystem> subsystem(new Subsystem(dependencies, strategy));
  if (const Status status = subsystem->initialize(); !is_success(status)) return Failure(status);
  return subsystem;
}

Status Subsystem::initialize() {
  const se::TokenData token = se::make_system_token();
  auto process = on_.processes.create_process({.parent = &on_.processes.system_process(),
                                               .image_path = std::u16string(kImagePath),
                                               .priority_class = ps::PriorityClass::high,  // NT: 13
                                               .token = &token});
  if (!process) return process.error();
  process_ = std::move(*process);
  // NT: nobody but the system may open it.
  se::SecurityDescriptor descriptor;
  descriptor.owner = se::well_known::local_system();
  descriptor.dacl = std::vector<se::Ace>{{.mask = kProcessAll, .sid = se::well_known::local_system()}};
  VITRINE_TRY(on_.objects.set_security(*process_, descriptor,
                                       se::security_information::kOwner | se::security_information::kDacl));
  const sim::StructureSizes& sizes = on_.profile.sizes;
  mm::AddressSpace& space = *process_->space;
  thread_heap_ = std::make_unique<BlockHeap>(space, on_.profile, sizes.csr_thread);
  process_heap_ = std::make_unique<BlockHeap>(space, on_.profile, sizes.csr_process);
  table_heap_ = std::make_unique<BlockHeap>(space, on_.profile, kTableBlockBytes);
  auto port = on_.ports.create(kPortName, *this);
  if (!port) return port.error();
  port_ = std::move(*port);
  VITRINE_TRY(grow_table_heap());
  return start_worker();
}

u64 Subsystem::heap_committed_pages() const {
  return thread_heap_->committed_pages() + process_heap_->committed_pages() + table_heap_->committed_pages();
}

const ThreadRecord* Subsystem::peek(u32 thread_id) const {
  const u32 index = table_->find(thread_id).index;
  return index == kNoRecord ? nullptr : &records_[index];
}

void Subsystem::charge(const sim::Cost& cost, ke::Mode mode) {
  on_.kernel.charge_picoseconds(on_.kernel.executing_processor(), cost.picoseconds, mode);
}

void Subsystem::record(trace::EventType type, u64 a, u64 b, u64 c) {
  const u32 processor = on_.kernel.executing_processor();
  const ps::Thread* current = on_.processes.current();
  on_.trace.record({on_.machine.clock(processor).value,
                    type,
                    static_cast<u16>(processor),
                    current == nullptr ? 0 : current->id,
                    {a, b, c, 0}});
}

// NT: one critical section for all look-ups and insertions [facts 4.3]. Who finds it held waits until its holder's
// processor gave it back: the clocks of the processors say when.
u32 Subsystem::locate(u32 thread_id) {
  const sim::CostTable& costs = on_.profile.costs;
  const u32 processor = on_.kernel.executing_processor();
  const u64 now = on_.machine.clock(processor).value;
  if (lock_holder_ != processor) {
    if (lock_free_ns_ > now) {
      ++statistics_.lock_waits;
      statistics_.lock_wait_ns += lock_free_ns_ - now;
      on_.kernel.charge(processor, {lock_free_ns_ - now}, ke::Mode::user);
    }
    charge(costs.csrss_lock_transfer);
    lock_holder_ = processor;
  }
  const Found found = table_->find(thread_id);
  ++statistics_.lookups;
  statistics_.visits += found.visits;
  visits_of_call_ += found.visits;
  on_.kernel.charge_picoseconds(processor, found.visits * costs.csrss_visit.picoseconds, ke::Mode::user);
  lock_free_ns_ = on_.machine.clock(processor).value;
  return found.index;
}

// ---- births ---------------------------------------------------------------------------------------------------------

Status Subsystem::create_process(ps::Thread* caller, ps::Process& process, ps::Thread& first_thread) {
  return call(caller, {&process, &first_thread, true});
}

Status Subsystem::create_thread(ps::Thread* caller, ps::Thread& thread) {
  if (strategy_.kind == TableKind::bypass) return Status::success;
  return call(caller, {thread.process, &thread, false});
}

// The client's half: CsrClientCallServer.
Status Subsystem::call(ps::Thread* caller, CreateArguments arguments) {
  if (caller == nullptr) {
    const Status status = add(arguments);
    if (!is_success(status)) ++statistics_.refused;
    return status;
  }
  called_ = true;
  visits_of_call_ = 0;
  const auto connection = process_by_id_.find(caller->process->id);
  if (connection == process_by_id_.end()) return Status::port_disconnected;  // it never connected, or was given up
  charge(on_.profile.costs.lpc_call, ke::Mode::kernel);
  const Status status = on_.ports.request(
      *process_records_[connection->second].connection.client,
      {arguments.with_process ? kCreateProcessApi : kCreateThreadApi, {caller->process->id, caller->id}, &arguments});
  if (!is_success(status)) ++statistics_.refused;
  record(trace::EventType::csrss_call, arguments.thread->id, visits_of_call_, static_cast<u32>(status));
  return status;
}

// The kernel connects a process at its birth, in no thread's name; a thread that connects later tells for itself.
Status Subsystem::connect(lpc::PortObject& port, lpc::ClientId client) {
  if (client.thread == 0) return Status::success;
  const auto known = process_by_id_.find(client.process);
  // NT: the client is looked up, and one that CSRSS does not know is turned away [ROS api.c].
  if (known == process_by_id_.end() || locate(client.thread) == kNoRecord) return kConnectionRefused;
  process_records_[known->second].own_connection = ob::Ref<lpc::PortObject>(&port);
  return Status::success;
}

bool Subsystem::calls_itself(const ps::Process& process) const {
  const auto known = process_by_id_.find(process.id);
  return known != process_by_id_.end() && process_records_[known->second].own_connection;
}

// NT: CsrApiRequestThread looks the caller up, basesrv duplicates the handles, CsrCreateThread or CsrCreateProcess
// looks the caller up again [facts 4.3].
Status Subsystem::request(lpc::PortObject&, const lpc::Request& request) {
  if (request.api == lpc::kUserApi) return user_request(request);
  if (locate(request.sender.thread) == kNoRecord) return Status::illegal_function;
  charge(on_.profile.costs.csrss_request);
  if (locate(request.sender.thread) == kNoRecord) return Status::illegal_function;
  return add(*static_cast<const CreateArguments*>(request.arguments));
}

// CSR_API_MSG as a program sends it; basesrv's CreateThread is the one call that it may make. What fails is said in the
// message, as by every API of CSRSS.
Status Subsystem::user_request(const lpc::Request& request) {
  const std::span<std::byte> bytes = static_cast<lpc::UserMessage*>(request.arguments)->bytes;
  ApiMessage message;
  if (bytes.size() < sizeof message) return Status::invalid_parameter;
  std::memcpy(&message, bytes.data(), sizeof message);
  called_ = true;
  visits_of_call_ = 0;
  charge(on_.profile.costs.lpc_call, ke::Mode::kernel);
  const auto answer = [&](Status status) {
    message.status = static_cast<u32>(status);
    std::memcpy(bytes.data(), &message, sizeof message);
    if (!is_success(status)) ++statistics_.refused;
    record(trace::EventType::csrss_call, message.thread_id, visits_of_call_, message.status);
    return Status::success;
  };
  if (strategy_.kind == TableKind::bypass) return answer(Status::success);
  if (locate(request.sender.thread) == kNoRecord) return answer(Status::illegal_function);
  charge(on_.profile.costs.csrss_request);
  if (message.api != kCreateThreadApi) return answer(Status::illegal_function);
  const ob::Ref<ps::Process> caller = on_.processes.find_process(request.sender.process);
  if (!caller || !caller->handles) return answer(Status::invalid_handle);
  // NT: CSRSS duplicates the caller's handle into its own table.
  const auto thread = ob::reference_by_handle<ps::Thread>(*caller->handles, {message.thread_handle},
                                                          on_.processes.thread_type(), 0, se::Mode::user);
  if (!thread) return answer(thread.error());
  if ((*thread)->id != message.thread_id) return answer(Status::invalid_cid);
  if (locate(request.sender.thread) == kNoRecord) return answer(Status::illegal_function);
  if (peek((*thread)->id) != nullptr) return answer(Status::invalid_parameter);  // a thread is told of once
  return answer(add({(*thread)->process, thread->get(), false}));
}

Status Subsystem::add(const CreateArguments& arguments) {
  ps::Process& process = *arguments.process;
  if (!arguments.with_process) {
    const auto known = process_by_id_.find(process.id);
    return known == process_by_id_.end() ? Status::unsuccessful : add_thread(*arguments.thread, known->second);
  }
  const auto record = add_process(process);
  if (!record) return record.error();
  const Status status = add_thread(*arguments.thread, *record);
  if (is_success(status)) {
    ++statistics_.process_creates;
  } else {
    destroy_process(*record);
    process.exception_port.reset();
  }
  return status;
}

Result<u32> Subsystem::add_process(ps::Process& process) {
  const auto handle = process_->handles->insert(process, kProcessAll, ex::handle_attributes::kProtectFromClose);
  if (!handle) return Failure(handle.error());
  u32 index = static_cast<u32>(process_records_.size());
  if (!free_process_records_.empty()) index = free_process_records_.back();
  Status status = process_heap_->take(index);
  if (is_success(status)) {
    auto connection = on_.ports.connect(kPortName, {process.id, 0});
    if (connection) {
      if (index == process_records_.size()) {
        process_records_.emplace_back();
      } else {
        free_process_records_.pop_back();
      }
      process_records_[index] = {
          .id = process.id, .handle = *handle, .connection = std::move(*connection), .own_connection = {}};
      process_by_id_[process.id] = index;
      process.exception_port = port_;  // NT: CsrCreateProcess makes the API port the exception port
      return index;
    }
    status = connection.error();
    process_heap_->give_back(index);
  }
  VITRINE_CHECK(is_success(process_->handles->close(*handle, se::Mode::kernel)));
  return Failure(status);
}

Status Subsystem::add_thread(ps::Thread& thread, u32 process_record) {
  // NT: CsrInsertThread refuses a thread whose exit time is set already.
  if (thread.exit_time.value != 0) return Status::thread_is_terminating;
  const auto handle = process_->handles->insert(thread, kThreadAll, ex::handle_attributes::kProtectFromClose);
  if (!handle) return handle.error();
  const u32 index = records_.allocate();
  if (const Status status = thread_heap_->take(index); !is_success(status)) {
    records_.release(index);
    VITRINE_CHECK(is_success(process_->handles->close(*handle, se::Mode::kernel)));
    return status;
  }
  ProcessRecord& owner = process_records_[process_record];
  ThreadRecord& record = records_[index];
  record.id = thread.id;
  record.process = process_record;
  record.handle = static_cast<u32>(handle->value);
  record.create_time = thread.create_time.value;
  record.process_next = owner.first_thread;
  if (owner.first_thread != kNoRecord) records_[owner.first_thread].process_previous = index;
  owner.first_thread = index;
  ++owner.thread_count;
  table_->insert(index);
  if (const Status status = grow_table_heap(); !is_success(status)) {
    destroy_thread(index);
    return status;
  }
  ++statistics_.thread_creates;
  return Status::success;
}

// Books what the table has on the heap; gives back what it no longer has.
Status Subsystem::grow_table_heap() {
  const u64 wanted = (table_->heap_bytes(on_.profile.pointer_size) + kTableBlockBytes - 1) / kTableBlockBytes;
  while (table_blocks_ < wanted) {
    VITRINE_TRY(table_heap_->take(static_cast<u32>(table_blocks_)));
    ++table_blocks_;
  }
  while (table_blocks_ > wanted) table_heap_->give_back(static_cast<u32>(--table_blocks_));
  return Status::success;
}

}  // namespace vitrine::csr
