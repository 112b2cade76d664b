#include "csr/strategy.h"

#include <gtest/gtest.h>

namespace vitrine::csr {
namespace {

TEST(CsrStrategy, EveryNameIsReadAndWrittenTheSame) {
  for (const char* text : {"chained:256", "chained:1024", "chained:1", "chained:16777216", "constant", "resizing",
                           "bypass", "chained:1024,counted", "constant,counted"}) {
    const auto strategy = parse_strategy(text);
    ASSERT_TRUE(strategy.has_value()) << text;
    EXPECT_EQ(format_strategy(*strategy), text);
  }
  EXPECT_EQ(parse_strategy("constant")->buckets, 1u);
  EXPECT_EQ(parse_strategy("chained:256")->buckets, 256u);
}

TEST(CsrStrategy, WhatIsNoneIsRefusedInOneLineThatSaysWhatIs) {
  for (const char* text : {"", "chained", "chained:", "chained:0", "chained:16777217", "chained:12x", "chained:-1",
                           "hashed", "bypass,counted", "resizing,counted", "CONSTANT"}) {
    const auto strategy = parse_strategy(text);
    ASSERT_FALSE(strategy.has_value()) << text;
    EXPECT_NE(strategy.error().find("bypass"), std::string::npos);
    EXPECT_EQ(strategy.error().find('\n'), std::string::npos);
  }
}

// Seed 001: 256 buckets in the older system, 1,024 in 2008 R2.
TEST(CsrStrategy, TheDefaultIsWhatTheProfilesWindowsDoes) {
  EXPECT_EQ(format_strategy(default_strategy(*sim::find_profile("nt52-x64"))), "chained:256");
  EXPECT_EQ(format_strategy(default_strategy(*sim::find_profile("nt61-x64"))), "chained:1024");
}

}  // namespace
}  // namespace vitrine::csr
