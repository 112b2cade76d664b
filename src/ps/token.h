// TokenObject: an access token as an executive object; its content is se::TokenData.
#pragma once

#include "ob/object.h"
#include "se/token.h"

namespace vitrine::ps {

struct TokenObject : ob::Object {
  se::TokenData data;
};

}  // namespace vitrine::ps
