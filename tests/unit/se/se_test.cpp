#include <gtest/gtest.h>

#include "se/access_check.h"
#include "se/security_descriptor.h"
#include "se/token.h"

namespace vitrine::se {
namespace {

constexpr GenericMapping kMapping{0x0002'0001, 0x0002'0002, 0x0010'0000, 0x001F'0003};

SecurityDescriptor with_dacl(std::vector<Ace> aces) {
  SecurityDescriptor descriptor;
  descriptor.owner = well_known::local_system();
  descriptor.dacl = std::move(aces);
  return descriptor;
}

struct AccessCheckTest : testing::Test {
  TokenData user = make_user_token(1, false);
  TokenData admin = make_user_token(1, true);
  Result<u32> check(const SecurityDescriptor& descriptor, u32 desired) {
    return access_check(&descriptor, user, desired, kMapping, Mode::user);
  }
};

TEST_F(AccessCheckTest, NoDescriptorAndNoListGrantEverythingAskedFor) {
  EXPECT_EQ(access_check(nullptr, user, access::kGenericWrite, kMapping, Mode::user), kMapping.write);
  EXPECT_EQ(check({}, access::kMaximumAllowed), kMapping.all);
}

TEST_F(AccessCheckTest, AnEmptyListGrantsNothing) {
  EXPECT_EQ(check(with_dacl({}), 1).error(), Status::access_denied);
  EXPECT_EQ(check(with_dacl({}), access::kMaximumAllowed).error(), Status::access_denied);
}

TEST_F(AccessCheckTest, TheFirstEntryThatNamesARightDecidesIt) {
  const Ace deny{AceType::denied, 0, 2, well_known::everyone()};
  const Ace allow{AceType::allowed, 0, 3, user.user};
  EXPECT_EQ(check(with_dacl({deny, allow}), 3).error(), Status::access_denied);
  EXPECT_EQ(check(with_dacl({deny, allow}), 1), 1u);
  EXPECT_EQ(check(with_dacl({allow, deny}), 3), 3u);
  EXPECT_EQ(check(with_dacl({deny, allow}), access::kMaximumAllowed), 1u);
}

TEST_F(AccessCheckTest, GenericRightsInEntriesAreMapped) {
  EXPECT_EQ(check(with_dacl({{AceType::allowed, 0, access::kGenericAll, user.user}}), access::kGenericRead),
            kMapping.read);
}

TEST_F(AccessCheckTest, ADenyOnlyGroupDeniesButNeverGrants) {
  EXPECT_FALSE(check(with_dacl({{AceType::allowed, 0, 1, well_known::administrators()}}), 1));
  const Ace deny{AceType::denied, 0, 1, well_known::administrators()};
  const Ace allow{AceType::allowed, 0, 1, user.user};
  EXPECT_FALSE(check(with_dacl({deny, allow}), 1));
  const SecurityDescriptor for_admins = with_dacl({{AceType::allowed, 0, 1, well_known::administrators()}});
  EXPECT_TRUE(access_check(&for_admins, admin, 1, kMapping, Mode::user));
}

TEST_F(AccessCheckTest, TheOwnerMayAlwaysReadAndChangeTheList) {
  SecurityDescriptor descriptor = with_dacl({});
  descriptor.owner = user.user;
  EXPECT_EQ(check(descriptor, access::kReadControl | access::kWriteDac), access::kReadControl | access::kWriteDac);
  EXPECT_FALSE(check(descriptor, access::kWriteOwner));
}

TEST_F(AccessCheckTest, InheritOnlyEntriesDoNotApply) {
  EXPECT_FALSE(check(with_dacl({{AceType::allowed, ace_flags::kInheritOnly, 1, user.user}}), 1));
}

TEST_F(AccessCheckTest, SystemSecurityNeedsItsPrivilegeEnabled) {
  EXPECT_EQ(check({}, access::kAccessSystemSecurity).error(), Status::privilege_not_held);
  EXPECT_FALSE(admin.has_privilege(Privilege::security));  // held, not enabled
  ASSERT_TRUE(admin.adjust_privilege({8, 0}, privilege_attributes::kEnabled));
  EXPECT_EQ(access_check(nullptr, admin, access::kAccessSystemSecurity, kMapping, Mode::user),
            access::kAccessSystemSecurity);
}

TEST_F(AccessCheckTest, KernelCallersAreNotChecked) {
  const SecurityDescriptor nothing = with_dacl({});
  EXPECT_EQ(access_check(&nothing, user, access::kGenericAll, kMapping, Mode::kernel), kMapping.all);
}

TEST(TokenTest, AdjustingAPrivilegeThatIsNotHeldSaysSo) {
  TokenData token = make_user_token(1, false);
  EXPECT_EQ(token.adjust_privilege({20, 0}, privilege_attributes::kEnabled).error(), Status::not_all_assigned);
  EXPECT_EQ(token.adjust_privilege({23, 0}, 0), 3u);
  EXPECT_FALSE(token.has_privilege(Privilege::change_notify));
  EXPECT_TRUE(token.adjust_privilege({23, 0}, privilege_attributes::kRemoved));
  EXPECT_EQ(token.find_privilege({23, 0}), nullptr);
}

TEST(SidTest, TextIsTheWellKnownForm) {
  EXPECT_EQ(well_known::administrators().text(), "S-1-5-32-544");
  EXPECT_EQ(well_known::machine_user(1000).text(), "S-1-5-21-0-0-0-1000");
}

TEST(SidTest, RefusesBadRevisionsCountsAndCutOffBytes) {
  std::vector<std::byte> bytes;
  append_sid(bytes, well_known::administrators());
  EXPECT_EQ(*parse_sid(bytes), well_known::administrators());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(parse_sid(std::span(bytes).first(length))) << length;
  }
  bytes[1] = std::byte{16};
  bytes.resize(200);
  EXPECT_EQ(parse_sid(bytes).error(), Status::invalid_sid);
}

SecurityDescriptor full_descriptor() {
  SecurityDescriptor descriptor = with_dacl({{AceType::allowed, 1, 0x1F'0003, well_known::everyone()},
                                             {AceType::denied, 0, 2, well_known::machine_user(1000)}});
  descriptor.group = well_known::users();
  descriptor.sacl = {{AceType::mandatory_label, 0, 1, well_known::integrity(0x2000)}};
  return descriptor;
}

TEST(SecurityDescriptorTest, SelfRelativeFormSurvivesARoundTrip) {
  const SecurityDescriptor before = full_descriptor();
  const std::vector<std::byte> bytes = serialize_self_relative(before, security_information::kAll);
  EXPECT_EQ(bytes.size(), before.booked_bytes());
  const Result<SecurityDescriptor> after = parse_self_relative(bytes);
  ASSERT_TRUE(after);
  EXPECT_EQ(*after->owner, *before.owner);
  EXPECT_EQ(*after->group, *before.group);
  ASSERT_EQ(after->dacl->size(), 2u);
  EXPECT_EQ((*after->dacl)[1].type, AceType::denied);
  EXPECT_EQ((*after->dacl)[1].sid, well_known::machine_user(1000));
  EXPECT_EQ((*after->sacl)[0].mask, 1u);
}

TEST(SecurityDescriptorTest, ANullListIsNotAnEmptyOne) {
  SecurityDescriptor descriptor;
  Result<SecurityDescriptor> parsed =
      parse_self_relative(serialize_self_relative(descriptor, security_information::kAll));
  EXPECT_FALSE(parsed->dacl.has_value());
  descriptor.dacl.emplace();
  parsed = parse_self_relative(serialize_self_relative(descriptor, security_information::kAll));
  ASSERT_TRUE(parsed->dacl.has_value());
  EXPECT_TRUE(parsed->dacl->empty());
}

// Every cut and every changed byte must be answered with a status or a descriptor, never a crash.
TEST(SecurityDescriptorTest, DamagedBytesNeverReadOutOfBounds) {
  const std::vector<std::byte> good = serialize_self_relative(full_descriptor(), security_information::kAll);
  for (std::size_t length = 0; length < good.size(); ++length) {
    const std::vector<std::byte> cut(good.begin(), good.begin() + static_cast<long>(length));
    EXPECT_FALSE(parse_self_relative(cut)) << length;
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const u8 value : {0, 1, 0x7F, 0x80, 0xFF}) {
      std::vector<std::byte> damaged = good;
      damaged[i] = std::byte{value};
      (void)parse_self_relative(std::vector<std::byte>(damaged));
    }
  }
}

}  // namespace
}  // namespace vitrine::se
