// WaitGraph: who waits for whom, now: for each waiting thread what it waits for and which threads could end that; which
// threads can never run again because only each other could wake them; the cycles among these (deadlocks); and priority
// inversions. All in order of thread creation.
//
// What counts as able to run again, as far as the kernel can know: a thread that is not waiting; one whose wait ends by
// itself (a time-out, a set timer, a request under way); and, from there, whom such a thread could wake: the waiters of
// a lock that it owns, of its own end, and of any object that its process has a handle to. Everyone else is stuck.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kd/critical_section.h"
#include "kd/target.h"

namespace vitrine::kd {

struct WaitEdge {
  const ke::DispatcherHeader* header = nullptr;  // null: not a dispatcher object (an address, a key)
  const ob::Object* object = nullptr;            // around the header, where one is known
  std::string what;                              // `mutant "A" 0xfffffa80...`
  // Who holds it, or whose end is waited for. Empty: anybody who can reach it may signal it.
  std::vector<const ps::Thread*> holders;
  std::string relation;  // "held by", "which ends with": how the holders come in
};

struct Wait {
  const ps::Thread* thread = nullptr;
  std::string act;   // "waits for", "sleeps", "is suspended"
  bool all = false;  // needs all edges at once
  bool timed = false;
  bool ends_by_itself = false;
  bool stuck = false;
  std::vector<WaitEdge> edges;
};

struct Deadlock {
  std::vector<const Wait*> cycle;  // each waits for something that the next one holds; begins with the oldest thread
};

struct Inversion {
  const ps::Thread* high;
  const ps::Thread* low;                  // holds what `high` waits for, directly or through others; ready, not running
  const WaitEdge* edge;                   // of `high`
  std::vector<const ps::Thread*> middle;  // keep `low` from running; each below `high`
};

class WaitGraph {
 public:
  explicit WaitGraph(const Target& target);
  WaitGraph(const WaitGraph&) = delete;
  WaitGraph& operator=(const WaitGraph&) = delete;

  [[nodiscard]] const std::vector<Wait>& waits() const { return waits_; }
  [[nodiscard]] const Wait* of(const ps::Thread& thread) const;
  [[nodiscard]] const std::vector<Deadlock>& deadlocks() const { return deadlocks_; }
  [[nodiscard]] const std::vector<Inversion>& inversions() const { return inversions_; }

  // `waits for mutant "A", held by thread 0x14`.
  [[nodiscard]] std::string describe(const Wait& wait) const;

 private:
  void add(const ps::Thread& thread);
  void add_objects(Wait& wait) const;
  void add_user_wait(Wait& wait) const;
  [[nodiscard]] WaitEdge edge_to(const ke::DispatcherHeader& header) const;
  void find_stuck();
  [[nodiscard]] bool may_end(const Wait& wait, const WaitEdge& edge, const std::vector<const ps::Thread*>& live) const;
  void find_deadlocks();
  void find_inversions();
  [[nodiscard]] const ps::Thread* last_holder(const Wait& wait, const WaitEdge& edge) const;

  const Target& target_;
  std::vector<Wait> waits_;
  std::vector<Deadlock> deadlocks_;
  std::vector<Inversion> inversions_;
};

}  // namespace vitrine::kd
