#include "abi/registry_information.h"
#include "service_fixture.h"

namespace vitrine::nt {
namespace {

class RegistryServices : public ServiceTest {
 protected:
  RegistryServices() {
    EXPECT_TRUE(registry.make(u"\\Registry\\Machine\\Software").has_value());
    const Va handle = room(8);
    EXPECT_EQ(invoke("NtCreateKey", handle, 0xF003F, attributes(u"\\Registry\\Machine\\Software\\Test"), 0, 0, 0, 0),
              Status::success);
    key = value<u64>(handle);
  }
  u64 key = 0;
};

TEST_F(RegistryServices, AValueTooLongForItsBufferIsCutAndItsLengthReported) {
  ASSERT_EQ(invoke("NtSetValueKey", key, text(u"name"), 0, 3, place_bytes("12345678"), 8), Status::success);
  const Va buffer = room(64), length = room(4);
  EXPECT_EQ(invoke("NtQueryValueKey", key, text(u"NAME"), 2, buffer, 64, length), Status::success);
  EXPECT_EQ(value<u32>(length), 20u);
  EXPECT_EQ(bytes(buffer + 12, 8), "12345678");
  EXPECT_EQ(invoke("NtQueryValueKey", key, text(u"name"), 2, buffer, 15, length), Status::buffer_overflow);
  EXPECT_EQ(invoke("NtQueryValueKey", key, text(u"name"), 2, buffer, 11, length), Status::buffer_too_small);
  EXPECT_EQ(value<u32>(length), 20u);
}

TEST_F(RegistryServices, SubkeysAreEnumeratedUntilThereAreNoMore) {
  const Va handle = room(8), buffer = room(64), length = room(4);
  ASSERT_EQ(invoke("NtCreateKey", handle, 0xF003F, attributes(u"sub", key), 0, 0, 0, 0), Status::success);
  EXPECT_EQ(invoke("NtEnumerateKey", key, 0, 0, buffer, 64, length), Status::success);
  EXPECT_EQ(value<abi::KeyBasicInformation>(buffer).name_length, 6u);
  EXPECT_EQ(invoke("NtEnumerateKey", key, 1, 0, buffer, 64, length), Status::no_more_entries);
}

TEST_F(RegistryServices, AnAsynchronousNotificationSetsItsEventAndStatusBlock) {
  const Va event = room(8), io_status = room(16);
  ASSERT_EQ(invoke("NtCreateEvent", event, 0x1F0003, 0, 0, 0), Status::success);
  ASSERT_EQ(invoke("NtNotifyChangeKey", key, value<u64>(event), 0, 0, io_status, 4, 0, 0, 0, 1), Status::pending);
  EXPECT_EQ(value<u32>(io_status), 0u);
  ASSERT_EQ(invoke("NtSetValueKey", key, text(u"x"), 0, 4, place(u32{1}), 4), Status::success);
  EXPECT_EQ(value<u32>(io_status), static_cast<u32>(Status::notify_enum_dir));
  EXPECT_EQ(invoke("NtWaitForSingleObject", value<u64>(event), 0, place(i64{0})), Status::success);
}

TEST_F(RegistryServices, RightsOfTheHandleAreChecked) {
  const Va handle = room(8);
  ASSERT_EQ(invoke("NtOpenKey", handle, 0x20019, attributes(u"\\Registry\\Machine\\Software\\Test")), Status::success);
  EXPECT_EQ(invoke("NtSetValueKey", value<u64>(handle), text(u"x"), 0, 4, place(u32{1}), 4), Status::access_denied);
  EXPECT_EQ(invoke("NtDeleteKey", value<u64>(handle)), Status::access_denied);
}

}  // namespace
}  // namespace vitrine::nt
