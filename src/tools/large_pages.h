// LargePages: asks the host to back a heap that grows by gigabytes with large pages. A page fault for every fourth
// thread would cost as much as making it.
#pragma once

namespace vitrine::tools {

class LargePages {
 public:
  // The heap grows by large steps from now on.
  LargePages();
  // Asks for what the heap has grown by; cheap when it has not.
  void follow_heap();

 private:
  char* asked_to_ = nullptr;
};

}  // namespace vitrine::tools
