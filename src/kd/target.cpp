#include "kd/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ex/unicode.h"

namespace vitrine::kd {

std::vector<const ps::Process*> Target::processes() const {
  std::vector<const ps::Process*> list;
  for (const ps::Process& process : executive_.processes.active_processes()) list.push_back(&process);
  return list;
}

std::vector<const ps::Thread*> Target::threads() const {
  std::vector<const ps::Thread*> list;
  for (const ps::Process* process : processes()) {
    for (const ps::Thread& thread : process->threads) list.push_back(&thread);
  }
  return list;
}

std::expected<const ps::Process*, std::string> Target::process(std::string_view text) const {
  if (text == ".") {
    const ps::Thread* current = executive_.processes.current();
    if (current != nullptr) return current->process;
    return std::unexpected("no thread is running, so there is no current process; give a process id");
  }
  const auto id = parse_number(text);
  for (const ps::Process* process : processes()) {
    if (id ? process->id == *id : process->short_name() == text) return process;
  }
  return std::unexpected(fmt::format("there is no process {}; `!process` lists them", text));
}

std::expected<const ps::Thread*, std::string> Target::thread(std::string_view text) const {
  if (text == ".") {
    if (const ps::Thread* current = executive_.processes.current()) return current;
    return std::unexpected("no thread is running; give a thread id");
  }
  const auto id = parse_number(text);
  for (const ps::Thread* thread : threads()) {
    if (id && thread->id == *id) return thread;
    const auto extra = thread->process->thread_extras.find(thread->id);
    if (extra != thread->process->thread_extras.end() && !extra->second.name.empty() &&
        ex::to_utf8(extra->second.name) == text) {
      return thread;
    }
  }
  return std::unexpected(fmt::format("there is no thread {}; `!thread` lists them", text));
}

const ps::Thread* Target::thread_by_id(u64 id) const {
  for (const ps::Thread* thread : threads()) {
    if (thread->id == id) return thread;
  }
  return nullptr;
}

namespace {

// Calls `visit(object)` for every object that a handle leads to, and for processes and threads, until it returns true.
template <typename Visit>
const ob::Object* find_object(const Target& target, Visit visit) {
  for (const ps::Process* process : target.processes()) {
    if (visit(*process)) return process;
    for (const ps::Thread& thread : process->threads) {
      if (visit(thread)) return &thread;
    }
  }
  for (const ps::Process* process : target.processes()) {
    if (process->handles == nullptr) continue;
    for (ex::Handle h = process->handles->next({0}); h; h = process->handles->next(h)) {
      const ob::Object* object = process->handles->peek(h);
      if (object != nullptr && visit(*object)) return object;
    }
  }
  return nullptr;
}

}  // namespace

const ob::Object* Target::object_of(const ke::DispatcherHeader& header) const {
  return find_object(*this, [&header](const ob::Object& object) {
    return ob::dispatcher_header(const_cast<ob::Object&>(object)) == &header;
  });
}

std::expected<const ob::Object*, std::string> Target::object(std::string_view text) const {
  if (const auto colon = text.find(':'); colon != text.npos) {
    const auto owner = process(text.substr(0, colon));
    if (!owner) return std::unexpected(owner.error());
    const auto value = parse_number(text.substr(colon + 1));
    const ob::Object* object =
        value && (*owner)->handles != nullptr ? (*owner)->handles->peek(ex::Handle{*value}) : nullptr;
    if (object != nullptr) return object;
    return std::unexpected(fmt::format("process {:#x} has no handle {}; `!handle {:#x}` lists them", (*owner)->id,
                                       text.substr(colon + 1), (*owner)->id));
  }
  if (const auto wanted = parse_number(text)) {
    const ob::Object* object =
        find_object(*this, [&](const ob::Object& candidate) { return address(candidate) == *wanted; });
    if (object != nullptr) return object;
  }
  return std::unexpected(
      fmt::format("there is no object {}; give an object's address, or PROCESS:HANDLE as `!handle` lists them", text));
}

u64 Target::now_ns() const {
  u64 latest = 0;
  for (u32 p = 0; p < executive_.machine.processor_count(); ++p) {
    latest = std::max(latest, executive_.machine.clock(p).value);
  }
  return std::max(latest - start_.value, stands_at_ns_);
}

u64 Target::ticks_ago_ns(u32 tick_count_low) const {
  const u32 ticks = static_cast<u32>(executive_.kernel.tick_count()) - tick_count_low;
  return u64{ticks} * executive_.machine.clock_interval().value;
}

std::optional<u64> parse_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  }
  u64 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string hex(u64 value) { return fmt::format("{:#x}", value); }

std::string milliseconds(u64 nanoseconds) { return fmt::format("{:.3f} ms", static_cast<double>(nanoseconds) / 1e6); }

std::string name_of(const ps::Thread& thread) {
  const auto extra = thread.process->thread_extras.find(thread.id);
  if (extra == thread.process->thread_extras.end() || extra->second.name.empty()) {
    return fmt::format("thread {:#x}", thread.id);
  }
  return fmt::format("thread {:#x} \"{}\"", thread.id, ex::to_utf8(extra->second.name));
}

std::string name_of(const Target& target, const ob::Object& object) {
  const auto& processes = target.executive().processes;
  if (&object.type() == &processes.thread_type()) return name_of(static_cast<const ps::Thread&>(object));
  if (&object.type() == &processes.process_type()) {
    const auto& process = static_cast<const ps::Process&>(object);
    return fmt::format("process {:#x} ({})", process.id, process.short_name());
  }
  std::string type = ex::to_utf8(object.type().type_name);
  std::ranges::transform(type, type.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (object.name().empty()) return fmt::format("{} {:#x}", type, target.address(object));
  return fmt::format("{} \"{}\" {:#x}", type, ex::to_utf8(object.name()), target.address(object));
}

std::string state_of(const ps::Thread& thread) {
  const ke::Thread& tcb = thread.tcb;
  const std::string_view state = ke::thread_state_name(tcb.state);
  if (tcb.state != ke::ThreadState::waiting && tcb.state != ke::ThreadState::gate_wait) return std::string(state);
  return fmt::format("{} ({})", state, ke::wait_reason_name(tcb.wait_reason));
}

}  // namespace vitrine::kd
