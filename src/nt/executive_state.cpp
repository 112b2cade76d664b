#include "nt/executive_state.h"

#include "nt/executive.h"

namespace vitrine::nt {

std::shared_ptr<ExecutiveState> make_executive_state() { return std::make_shared<ExecutiveState>(); }

}  // namespace vitrine::nt
