// Scripted: a Backend whose guest programs are C++20 coroutines, for scenario tests of the kernel. A program is
// registered once and gets an entry address; a thread whose GuestContext.rip is that address runs its own instance of
// the coroutine.
//
// Owns: the registered programs and one coroutine frame per context that has run and not ended. Nothing is kept for a
// context that never ran. Page tables are real: `access` walks them and raises page faults exactly as the translator
// does. Instructions are counted exactly: every co_await costs one, `compute(n)` costs n. Not for use from two host
// threads, except `kick`.
//
// A program sees only values (ScriptContext): it must not keep pointers into the kernel across a co_await. A script
// that ends leaves its thread at an address that raises #UD: a program has to end itself with a system call, as a real
// one.
#pragma once

#include <array>
#include <coroutine>
#include <cstdlib>
#include <functional>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "cpu/backend.h"
#include "ram/guest_ram.h"

namespace vitrine::cpu {

namespace script {

// What a script asks of its processor; one of these is pending whenever the coroutine is suspended.
struct Compute {
  u64 instructions;
};
struct SystemCall {
  u32 number;
  std::vector<u64> arguments;
};  // arguments 1-4 in R10, RDX, R8, R9; the rest at RSP+0x28...
struct Pause {};
struct Access {
  Va address;
  u32 size;
  bool write;
  u64 data;
};  // size 1, 2, 4 or 8
struct Raise {
  Vector vector;
  u32 error_code;
};
using Request = std::variant<std::monostate, Compute, SystemCall, Pause, Access, Raise>;

}  // namespace script

// The coroutine type of a program.
class Script {
 public:
  struct promise_type {
    script::Request request;
    u64 result = 0;  // RAX after a system call, the data read by an access
    Script get_return_object() { return Script(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
  explicit Script(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Script(Script&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Script& operator=(Script&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Script() {
    if (handle_) handle_.destroy();
  }
  [[nodiscard]] std::coroutine_handle<promise_type> handle() const { return handle_; }

 private:
  std::coroutine_handle<promise_type> handle_;
};

// A script's view of its thread. Valid as long as the script runs.
class ScriptContext {
 public:
  struct Awaiter {
    script::Request request;
    std::coroutine_handle<Script::promise_type> self;
    bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<Script::promise_type> handle) noexcept {
      self = handle;
      handle.promise().request = std::move(request);
    }
    u64 await_resume() noexcept { return self.promise().result; }
  };

  // RAX after the call. `number` travels in RAX, the arguments as Windows passes them.
  template <typename... Args>
  [[nodiscard]] Awaiter syscall(u32 number, Args... arguments) {
    return {script::SystemCall{number, {static_cast<u64>(arguments)...}}, {}};
  }
  [[nodiscard]] Awaiter compute(u64 instructions) { return {script::Compute{instructions}, {}}; }
  [[nodiscard]] Awaiter pause() { return {script::Pause{}, {}}; }
  // One load or store; the value read. A page fault is raised as the translator raises it, and the access is repeated
  // after it.
  [[nodiscard]] Awaiter load(Va address, u32 size = 8) { return {script::Access{address, size, false, 0}, {}}; }
  [[nodiscard]] Awaiter store(Va address, u64 data, u32 size = 8) {
    return {script::Access{address, size, true, data}, {}};
  }
  [[nodiscard]] Awaiter access(Va address, u32 size, bool write, u64 data = 0) {
    return {script::Access{address, size, write, data}, {}};
  }
  // Raises the exception once; the script goes on if the kernel resumes the thread at the same address.
  [[nodiscard]] Awaiter raise(Vector vector, u32 error_code = 0) { return {script::Raise{vector, error_code}, {}}; }

  // The registers as they were when the thread first ran here (RCX, RDX: thread procedure and parameter).
  [[nodiscard]] u64 initial(Gpr reg) const { return initial_[static_cast<u8>(reg)]; }
  [[nodiscard]] Va initial_gs_base() const { return initial_gs_base_; }
  // The registers as they are now. Valid between two co_awaits only.
  [[nodiscard]] GuestContext& registers() {
    VITRINE_CHECK(current_ != nullptr);
    return *current_;
  }

 private:
  friend class ScriptedCpu;
  std::array<u64, 16> initial_{};
  Va initial_gs_base_ = 0;
  GuestContext* current_ = nullptr;
};

class Scripted : public Backend {
 public:
  using Program = std::function<Script(ScriptContext&)>;
  // The entry address of the program, in user space and never mapped: a thread starts it by having it in RIP. Addresses
  // are handed out in order of registration, so that they are the same in every run.
  [[nodiscard]] virtual Va register_program(Program program) = 0;
  // Drops the instance of a thread that will not run again. Not needed for one whose context record is reused for a new
  // thread.
  virtual void forget(const GuestContext& context) = 0;
  // Coroutine instances alive now.
  [[nodiscard]] virtual u64 live_instances() const = 0;
};

// `ram` must outlive the back end.
[[nodiscard]] std::unique_ptr<Scripted> make_scripted(ram::GuestRam& ram);

}  // namespace vitrine::cpu
