// CSRSS's worker thread: receives LPC_CLIENT_DIED at the API port and lets go of what ended [facts 4.4].
#include "csr/subsystem.h"

namespace vitrine::csr {

Status Subsystem::start_worker() {
  auto thread = on_.processes.create_thread(*process_, {.flags = ps::cross_thread_flags::kSystem});
  if (!thread) return thread.error();
  process_->thread_extras[(*thread)->id].routine = serve(this, thread->get());  // starts with its first turn on a processor
  return Status::success;
}

// NT: CsrApiRequestThread. Ends when the thread is told to.
Task<Status> Subsystem::serve(Subsystem* self, ps::Thread* thread) {
  const ob::Ref<lpc::PortObject> port = self->port_;
  constexpr ke::WaitParameters kReceive{
      .reason = ke::WaitReason::wr_lpc_receive, .mode = ke::Mode::user, .timeout = {}};
  while (!thread->has_flag(ps::cross_thread_flags::kTerminated)) {
    const auto status = self->on_.kernel.try_wait_single(thread->tcb, port->arrivals.header, kReceive);
    if (!status && !is_success(co_await self->on_.kernel.wait_single(&thread->tcb, &port->arrivals.header, kReceive)))
      continue;
    if (status && !is_success(*status)) continue;
    const auto message = self->on_.ports.receive(*port);
    if (!message) continue;
    self->handle(*message);
    co_await ke::Kernel::Pause{&thread->tcb};  // whoever is more urgent gets the processor now
  }
  co_return Status::thread_is_terminating;
}

void Subsystem::handle(const lpc::Message& message) {
  visits_of_call_ = 0;
  charge(on_.profile.costs.csrss_request);
  if (message.type == lpc::MessageType::client_died) client_died(message);
}

void Subsystem::client_died(const lpc::Message& message) {
  ++statistics_.deaths;
  const u32 index = locate(message.sender.thread);
  const bool known = index != kNoRecord && records_[index].create_time == message.create_time;
  if (known) {
    (void)locate(message.sender.thread);  // NT: CsrDestroyThread looks it up again
    records_[index].flags |= thread_flags::kTerminated;
    destroy_thread(index);
    (void)grow_table_heap();  // it has become smaller, if anything
  } else {
    ++statistics_.unknown_deaths;  // NT: ignored
  }
  const u64 now = on_.machine.clock(on_.kernel.executing_processor()).value;
  record(trace::EventType::csrss_death, message.sender.thread, visits_of_call_,
         now > message.sent_ns ? now - message.sent_ns : 0);
}

// The last reference is gone: out of both lists, its handle closed (which may delete the thread object), freed.
void Subsystem::destroy_thread(u32 index) {
  ThreadRecord& record = records_[index];
  if (--record.references != 0) return;
  const u32 process_record = record.process;
  ProcessRecord& owner = process_records_[process_record];
  table_->remove(index);
  if (record.process_next != kNoRecord) records_[record.process_next].process_previous = record.process_previous;
  if (record.process_previous != kNoRecord) {
    records_[record.process_previous].process_next = record.process_next;
  } else {
    owner.first_thread = record.process_next;
  }
  VITRINE_CHECK(is_success(process_->handles->close({record.handle}, se::Mode::kernel)));
  thread_heap_->give_back(index);
  records_.release(index);
  if (--owner.thread_count == 0) destroy_process(process_record);
}

// NT: CsrDestroyProcess, with the last thread.
void Subsystem::destroy_process(u32 process_record) {
  ProcessRecord& record = process_records_[process_record];
  VITRINE_CHECK(is_success(process_->handles->close(record.handle, se::Mode::kernel)));
  process_by_id_.erase(record.id);
  record = ProcessRecord{};
  process_heap_->give_back(process_record);
  free_process_records_.push_back(process_record);
}

}  // namespace vitrine::csr
