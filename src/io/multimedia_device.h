// MultimediaDevice: \Device\MMCSS, through which avrt.dll registers its caller's thread with the multimedia class
// scheduler. One open file is one registration. It owns nothing of the scheduler; what a task's name means is looked up
// by whoever made it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "io/device.h"
#include "ke/multimedia.h"

namespace vitrine::io {

class IoManager;

class MultimediaDevice final : public Device {
 public:
  struct Dependencies {
    IoManager& manager;
    ke::MultimediaScheduler& scheduler;
    // Of a task by its name, without regard to case; nullopt: there is no such task.
    std::function<std::optional<ke::MultimediaTask>(std::u16string_view name)> find_task;
    // Makes the scheduler's thread run; called before the first registration.
    std::function<Status()> start;
  };
  explicit MultimediaDevice(Dependencies dependencies) : on_(std::move(dependencies)) {}
  ~MultimediaDevice() override;

  // Its registration ends with it.
  void thread_ends(ke::Thread& thread);

  [[nodiscard]] abi::DeviceType type(const FileObject&) const override { return abi::DeviceType::unknown; }
  Result<abi::CreateAction> create(FileObject& file, const CreateParameters& parameters) override;
  void cleanup(FileObject& file) override;
  Status dispatch(Irp& irp) override;
  void cancel(Irp&) override {}  // nothing ever pends
  Status query_information(FileObject&, abi::FileInformationClass, std::span<u8>, u32*) override {
    return Status::invalid_device_request;
  }
  Status set_information(FileObject&, abi::FileInformationClass, std::span<const u8>) override {
    return Status::invalid_device_request;
  }
  Status query_volume(FileObject& file, abi::VolumeInformationClass information_class, std::span<u8> out,
                      u32* written) override;

 private:
  struct Registration;
  Status join(Irp& irp, Registration& registration);
  void end(Registration& registration);

  Dependencies on_;
  bool started_ = false;
  u32 next_index_ = 1;
  std::vector<Registration*> active_;
};

}  // namespace vitrine::io
