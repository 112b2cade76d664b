#include "cm/registry_text.h"

#include "cm/initial_keys.h"
#include "registry_fixture.h"
#include "sim/random.h"

namespace vitrine::cm {
namespace {

TEST_F(RegistryTest, TextSurvivesARoundTrip) {
  ASSERT_EQ(fill_initial_keys(registry, {.user = token.user}), Status::success);
  const auto k = software(u"quote\" \u00E9 \xD800 \x01");
  (void)registry.set_value(*k, u"back\\slash", 1, bytes("\x01\xFF"));
  (void)registry.set_value(*k, std::u16string(u"nul\0", 4), 0xFFFF'FFFF, {});
  const std::string first = to_text(registry);

  ob::ObjectManager other_objects(profile, pool);
  Registry other(other_objects, [] { return i64{0}; });
  const auto result = add_from_text(other, first);
  ASSERT_TRUE(result) << result.error().line << ": " << result.error().message;
  EXPECT_EQ(to_text(other), first);
  EXPECT_NE(first.find("\\u{d800}"), std::string::npos);
}

TEST_F(RegistryTest, VolatileKeysAreNotStored) {
  (void)software(u"gone", key_options::kVolatile);
  EXPECT_EQ(to_text(registry).find("gone"), std::string::npos);
}

TEST_F(RegistryTest, TheFirstErrorIsReportedWithItsLine) {
  const auto line_of = [&](std::string_view text) {
    const auto result = add_from_text(registry, text);
    return result ? 0u : result.error().line;
  };
  EXPECT_EQ(line_of(""), 1u);
  EXPECT_EQ(line_of("vitrine-registry 2\n"), 1u);
  EXPECT_EQ(line_of("vitrine-registry 1\n"), 0u);
  EXPECT_EQ(line_of("vitrine-registry 1\r\n\r\n# remark\r\n"), 0u);
  EXPECT_EQ(line_of("vitrine-registry 1\nvalue \"a\" 1 00\n"), 2u);  // no key before it
  const std::string key = "vitrine-registry 1\nkey \"\\\\Registry\\\\Machine\\\\Software\\\\x\"\n";
  EXPECT_EQ(line_of(key), 0u);
  for (const char* bad : {"value", "value \"a", "value \"a\\q\" 1 00", "value \"a\" -1 00", "value \"a\" 4294967296 00",
                          "value \"a\" 1 0", "value \"a\" 1 0g", "value \"a\" 1 00 00", "value \"\\u{12345}\" 1",
                          "junk", "key \"\\\\Elsewhere\\\\x\"", "key \"\\\\Registry\\\\Machine\\\\x\" class",
                          "key \"\\\\Registry\\\\Machine\\\\x\" colour"}) {
    EXPECT_EQ(line_of(key + "\n" + bad + "\n"), 4u) << bad;
  }
}

TEST_F(RegistryTest, DamagedTextNeverCrashes) {
  ASSERT_EQ(fill_initial_keys(registry, {.user = token.user}), Status::success);
  const std::string good = to_text(registry).substr(0, 4'000);
  sim::Random random(3, "registry text");
  for (int round = 0; round < 200; ++round) {
    std::string damaged = good;
    for (int i = 0; i < 5; ++i) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    damaged.resize(random.below(damaged.size()));
    (void)add_from_text(registry, damaged);
  }
}

// What Wine 8.0's kernelbase compares before it decides to write its 47 values.
TEST_F(RegistryTest, InitialKeysHoldTheLocaleNameThatKernelbaseLooksFor) {
  ASSERT_EQ(fill_initial_keys(registry, {.user = token.user}), Status::success);
  EXPECT_FALSE(registry.take_changed());
  const auto international = key(*open(u"\\Registry\\User\\S-1-5-21-0-0-0-1000\\Control Panel\\International"));
  const std::vector<std::byte> en_us = bytes(std::string_view("e\0n\0-\0U\0S\0\0\0", 12));
  EXPECT_EQ((*registry.query_value(*international, u"LocaleName"))->data, en_us);
  EXPECT_EQ(registry.query(*international)->values, 41u);
  EXPECT_TRUE(open(u"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Nls\\CodePage"));
  EXPECT_TRUE(open(u"\\Registry\\Machine\\System\\CurrentControlSet\\Hardware Profiles\\Current"));
}

}  // namespace
}  // namespace vitrine::cm
