// IoManager: opens files through the object namespace, sends requests to devices and tells whoever asked when they are
// done [WI5 ch.7]. It owns the object types File, Device and IoCompletion and the list of pending asynchronous
// requests.
//
// A service does a read like this:
//   irp = new Irp with captured arguments; Status s = io.send(*irp);                  // never suspends
//   synchronous file:   before: co_await io.acquire(file);  s == pending: s = co_await io.wait(irp.get());
//                       then copies irp->output out, writes the status block, io.release(file)
//   asynchronous file:  s == pending: io.detach(std::move(irp)) and return pending; the CompletionSink gets it later.
//                       otherwise: copies out, writes the status block, and calls io.announce(*irp)
// NT: a request that fails at once (error status, not pending) sets no event, queues no APC and posts no packet.
#pragma once

#include <memory>
#include <string_view>

#include "abi/file_info.h"
#include "base/status.h"
#include "base/task.h"
#include "io/file_object.h"
#include "io/io_completion.h"
#include "io/irp.h"
#include "ke/kernel.h"
#include "ob/object_manager.h"


namespace vitrine::io {

// Finishes asynchronous requests in the context of the thread that asked: copies `output`, writes the status block,
// signals the event, queues the APC (NT: the special kernel APC of IopCompleteRequest). Implemented above `io`; it
// calls IoManager::announce for the parts that are io's own. It owns the request from here on.
class CompletionSink {
 public:
  virtual ~CompletionSink() = default;
  virtual void complete(IrpPtr irp) = 0;
};

struct OpenedFile {
  ob::Ref<FileObject> file;
  abi::CreateAction action{};
};

class IoManager {
 public:
  IoManager(ke::Kernel& kernel, ob::ObjectManager& objects);
  ~IoManager();
  IoManager(const IoManager&) = delete;
  IoManager& operator=(const IoManager&) = delete;

  void set_completion_sink(CompletionSink* sink) { sink_ = sink; }

  // Puts `device` into the namespace: add_device(u"\\Device\\HarddiskVolume1", volume). The device is not owned.
  // `shown_as`: the beginning of its files' names as NtQueryObject gives them; empty: `path`. NT gives the device's name; Wine's
  // kernelbase expects the DOS name of a volume ("\\??\\C:"), and the guest gets what its own DLLs expect (DESIGN 3.3).
  Status add_device(std::u16string_view path, Device& device, std::u16string_view shown_as = {});
  // The device goes away (each device calls this from its destructor): its requests end unheard, its files are closed.
  void abandon_device(Device& device);

  [[nodiscard]] ke::Kernel& kernel() const { return kernel_; }
  [[nodiscard]] ob::ObjectType& file_type() const { return *file_type_; }
  [[nodiscard]] ob::ObjectType& completion_type() const { return *completion_type_; }

  // Opens below `device`; what the parse procedure and NtCreateNamedPipeFile call. Rights are checked by the caller of
  // the device's own rules (read-only mounts, attributes). Errors: those of Device::create.
  Result<OpenedFile> open(Device& device, const CreateParameters& parameters);
  // Opens by full path ("\??\C:\x") or, with `root`, relative to an open directory (an empty path opens it again).
  // Errors: object_path_syntax_bad, object_name_not_found, object_path_not_found, object_type_mismatch, and open's.
  Result<OpenedFile> open_path(FileObject* root, std::u16string_view path, const CreateParameters& parameters);

  // Turns the optional ByteOffset of NtReadFile and NtWriteFile into a position: `given` null or "use file pointer"
  // means the current position of a synchronous file; writes of files opened for appending only go to the end.
  // invalid_parameter: an asynchronous disk file without an offset, or a negative one.
  [[nodiscard]] static Result<i64> resolve_offset(const FileObject& file, const i64* given, MajorFunction function);
  // What a section over the file is backed by; see Device::section_backing.
  [[nodiscard]] Result<mm::FileBacking*> section_backing(FileObject& file);
  // FileRenameInformation and FileLinkInformation, -Ex forms included: `name` as the guest gave it (absolute NT path,
  // relative to `root`, or a plain name in the file's own directory). not_same_device, and Device::rename's errors.
  Status rename(FileObject& file, FileObject* root, std::u16string_view name, RenameParameters parameters);

  // Sends a request to its file's device; moves the position of a synchronous file when it completed. Any final status,
  // or pending.
  Status send(Irp& irp);
  // Waits for a pending request of a synchronous file; cancels it when the wait ends early (user_apc, alerted:
  // cancelled then; thread termination). Afterwards the request is completed. Suspends.
  Task<Status> wait(Irp* irp);
  // Hands a pending asynchronous request over until it completes.
  void detach(IrpPtr irp);
  // Called by a device: `irp` was pending and is done. The request may be gone when this returns.
  void complete(Irp& irp, Status status, u64 information);
  // The parts of completion that are io's: file event, completion packet. Precondition: not an immediate error.
  void announce(const Irp& irp);

  // One request at a time on a synchronous file [WI5 ch.7: the file object's lock]. Suspends only when it is held.
  // Status: success, or user_apc/alerted when the file is alertable.
  [[nodiscard]] bool try_acquire(FileObject& file);
  Task<Status> acquire(ob::Ref<FileObject> file);
  void release(FileObject& file);

  // Cancels the pending requests of `file` that `thread` made (null: anyone) with this status block (0: any).
  // Returns how many were cancelled. NtCancelIoFile, NtCancelIoFileEx.
  u32 cancel(FileObject& file, const ke::Thread* thread, Va io_status);
  // The thread ends: all of its requests are cancelled, in order of submission.
  void cancel_thread(const ke::Thread& thread);

  // NtQueryInformationFile and NtSetInformationFile, all classes but those that name another object (rename, link,
  // completion, replace_completion: the service resolves the handle and calls rename, associate, replace_association).
  // invalid_info_class, info_length_mismatch, buffer_overflow and the device's own. Rights were checked by the caller.
  Status query_information(FileObject& file, abi::FileInformationClass information_class, std::span<u8> out,
                           u32* written);
  Status set_information(FileObject& file, abi::FileInformationClass information_class, std::span<const u8> in);
  // The right that a class needs on the handle; 0: none.
  [[nodiscard]] static u32 query_access(abi::FileInformationClass information_class);
  [[nodiscard]] static u32 set_access(abi::FileInformationClass information_class);
  // NtQueryFullAttributesFile; NtQueryAttributesFile uses its times and attributes. Opens without sharing conflicts.
  Result<abi::FileNetworkOpenInformation> query_attributes(FileObject* root, std::u16string_view path);

  // Completion ports. create: concurrency 0 means the number of processors.
  Result<ob::Ref<IoCompletionObject>> create_port(const ob::CreateRequest& request, u32 concurrency);
  // NT: a file has at most one port for its life (invalid_parameter) and must not be synchronous (invalid_parameter).
  Status associate(FileObject& file, ob::Ref<IoCompletionObject> port, u64 key);
  Status replace_association(FileObject& file, ob::Ref<IoCompletionObject> port, u64 key);
  // NtSetIoCompletion: quota_exceeded at kMaximumPackets.
  Status post(IoCompletionObject& port, u64 key, u64 value, Status status, u64 information);
  // NtRemoveIoCompletion(Ex): fills up to `capacity` records at `out`, which must stay valid while suspended; waits for
  // the first one only. timeout_100ns: null for ever, negative relative. Status: success, timeout, user_apc, alerted,
  // abandoned_wait_0 when the port was closed. Suspends.
  Task<Status> remove(ob::Ref<IoCompletionObject> port, CompletionRecord* out, u32 capacity, u32* removed,
                      const i64* timeout_100ns, bool alertable);

 private:
  static void delete_file(ob::Object& object);
  static void close_file(ob::Object& object, const ob::CloseEvent& event);
  static Result<ob::ParseOutcome> parse_file(ob::ParseRequest& request);
  static Result<ob::ParseOutcome> parse_device(ob::ParseRequest& request);
  Result<ob::ParseOutcome> parse(ob::ParseRequest& request, Device& device, FileObject* related);
  void cleanup(FileObject& file);
  void cancel(Irp& irp);
  void finish(Irp& irp, Status status);  // what immediate and later completion have in common
  void deliver(IrpPtr irp);
  void queue_packet(IoCompletionObject& port, const CompletionRecord& record);

  ke::Kernel& kernel_;
  ob::ObjectManager& objects_;
  CompletionSink* sink_ = nullptr;
  ob::ObjectType* file_type_ = nullptr;
  ob::ObjectType* device_type_ = nullptr;
  ob::ObjectType* completion_type_ = nullptr;
  u64 next_sequence_ = 0;
  void abandon_request(Irp& irp);

  IntrusiveList<Irp, &Irp::manager_link> pending_;  // all pending requests, in order of submission
  IntrusiveList<FileObject, &FileObject::manager_link> files_;
};

}  // namespace vitrine::io
