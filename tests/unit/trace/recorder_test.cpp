#include "trace/recorder.h"

#include <gtest/gtest.h>

namespace vitrine::trace {
namespace {

Event event(u64 time, EventType type) { return {time, type, 0, 1, {1, 2, 3, 4}}; }

TEST(Recorder, EqualEventsGiveEqualHashes) {
  Recorder a, b;
  for (u64 i = 0; i < 10; ++i) {
    a.record(event(i, EventType::context_switch));
    b.record(event(i, EventType::context_switch));
  }
  EXPECT_EQ(a.hash(), b.hash());
}

TEST(Recorder, OrderTimeTypeAndEveryArgumentCount) {
  const auto hash_of = [](std::initializer_list<Event> events) {
    Recorder r;
    for (const Event& e : events) r.record(e);
    return r.hash();
  };
  const Event x = event(1, EventType::clock_tick), y = event(1, EventType::wait_end);
  EXPECT_NE(hash_of({x, y}), hash_of({y, x}));
  EXPECT_NE(hash_of({x}), hash_of({event(2, EventType::clock_tick)}));
  for (std::size_t i = 0; i < 4; ++i) {
    Event z = x;
    ++z.arguments[i];
    EXPECT_NE(hash_of({x}), hash_of({z}));
  }
}

TEST(Recorder, AbsorbedBytesChangeTheHashButAreNoEvent) {
  Recorder a, b;
  a.absorb("out", 3);
  EXPECT_NE(a.hash(), b.hash());
  EXPECT_EQ(a.total(), 0u);
}

TEST(Recorder, ListenersSeeEveryEventAndDoNotChangeTheHash) {
  Recorder watched, alone;
  int seen = 0;
  watched.add_listener([&](const Event& e) { seen += e.type == EventType::file_io; });
  for (Recorder* r : {&watched, &alone}) r->record(event(1, EventType::file_io));
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(watched.hash(), alone.hash());
  EXPECT_EQ(watched.count(EventType::file_io), 1u);
  EXPECT_EQ(watched.count(EventType::page_fault), 0u);
}

TEST(Recorder, EveryEventTypeHasANameOfItsOwn) {
  for (u16 i = 0; i < static_cast<u16>(EventType::count_of_types); ++i) {
    EXPECT_FALSE(event_name(static_cast<EventType>(i)).empty());
    for (u16 j = 0; j < i; ++j) EXPECT_NE(event_name(static_cast<EventType>(i)), event_name(static_cast<EventType>(j)));
  }
}

}  // namespace
}  // namespace vitrine::trace
