#include "base/status.h"

#include <gtest/gtest.h>

namespace vitrine {
namespace {

TEST(Status, SeverityDecidesSuccess) {
  EXPECT_TRUE(is_success(Status::success));
  EXPECT_TRUE(is_success(Status::timeout));
  EXPECT_TRUE(is_success(Status::image_not_at_base));
  EXPECT_FALSE(is_success(Status::buffer_overflow));  // a warning
  EXPECT_FALSE(is_success(Status::access_denied));
  EXPECT_FALSE(is_error(Status::buffer_overflow));
  EXPECT_TRUE(is_error(Status::access_denied));
}

TEST(Status, NamesAreNtsAndUnknownOnesAreNumbers) {
  EXPECT_EQ(status_name(Status::object_name_not_found), "STATUS_OBJECT_NAME_NOT_FOUND");
  EXPECT_EQ(status_name(static_cast<Status>(0xE06D7363)), "0xE06D7363");
}

}  // namespace
}  // namespace vitrine
