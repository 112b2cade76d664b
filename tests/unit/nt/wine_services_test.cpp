// Calls that exist for Wine's DLLs only.
#include "service_machine.h"

namespace vitrine::nt::test {
namespace {

class WineServices : public testing::Test {
 protected:
  ServiceMachine m;

  void debug_write(std::string_view text) {
    ASSERT_EQ(m.process->space->write(m.scratch, std::as_bytes(std::span(text))), Status::success);
    EXPECT_EQ(m.call("__wine_dbg_write", {m.scratch, text.size()}), static_cast<Status>(text.size()));
  }
};

TEST_F(WineServices, DebugOutputIsShownInWholeLines) {
  debug_write("one");
  debug_write(" line");
  EXPECT_EQ(m.notices, "");
  debug_write("\n\ntwo\nthr");
  EXPECT_EQ(m.notices, "one line\ntwo\n");
  debug_write("ee\n");
  EXPECT_EQ(m.notices, "one line\ntwo\nthree\n");
}

TEST_F(WineServices, ALineWithoutEndIsCut) {
  const std::string long_line(3000, 'x');
  debug_write(long_line);
  debug_write(long_line);
  EXPECT_EQ(m.notices, std::string(4096, 'x') + "\n");
}

}  // namespace
}  // namespace vitrine::nt::test
