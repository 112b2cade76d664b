// FILE_IO_COMPLETION_INFORMATION: a packet as NtRemoveIoCompletionEx and NtWaitForWorkViaWorkerFactory return it.
#pragma once

#include "io/io_completion.h"
#include "nt/capture.h"

namespace vitrine::nt {

struct FileIoCompletionInformation {
  u64 key, value;
  abi::IoStatusBlock io_status;
};
static_assert(sizeof(FileIoCompletionInformation) == 32);

inline constexpr u32 kMaximumRemoved = 1024;  // of one call: it may always give fewer than asked for

[[nodiscard]] inline FileIoCompletionInformation completion_information(const io::CompletionRecord& record) {
  return {record.key, record.value, {static_cast<u32>(record.status), 0, record.information}};
}

}  // namespace vitrine::nt
