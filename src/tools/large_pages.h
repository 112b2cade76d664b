// LargePages: backs a heap that grows by gigabytes with large pages of the host, ahead of its use. The first touch of
// memory costs as much as making the threads that go there (the host clears it, and its hypervisor may have to find
// it), so a second host thread does that while the machine works. Slower where the host refuses, nothing else.
#pragma once

#include <thread>

namespace vitrine::tools {

class LargePages {
 public:
  // The heap grows by large steps from now on. The thread looks at its end only, never at the machine.
  LargePages();
  ~LargePages();
  LargePages(const LargePages&) = delete;
  LargePages& operator=(const LargePages&) = delete;

 private:
  std::jthread worker_;
};

}  // namespace vitrine::tools
