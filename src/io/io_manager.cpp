#include "io/io_manager.h"

#include <cstring>

#include "ob/sync_objects.h"
#include "sim/profile.h"

namespace vitrine::io {
namespace {

constexpr se::GenericMapping kFileMapping{abi::kFileGenericRead, abi::kFileGenericWrite, abi::kFileGenericExecute,
                                          abi::kFileAllAccess};
constexpr u32 kShareAll = abi::kFileShareRead | abi::kFileShareWrite | abi::kFileShareDelete;

// What goes through the object manager to our parse routines (NT: OPEN_PACKET, which is recognised by its header too).
struct OpenPacket {
  static constexpr u64 kSignature = 0x5649'5452'4F50'4B54;
  u64 signature = kSignature;
  const CreateParameters* parameters = nullptr;
  bool resolve_only = false;     // only find the device and what is left of the path
  abi::CreateAction action{};
  Device* device = nullptr;      // resolve_only
  std::u16string path;           // resolve_only
};

OpenPacket* packet_of(const ob::ParseRequest& request) {
  u64 signature = 0;
  if (request.context == nullptr) return nullptr;
  std::memcpy(&signature, request.context, sizeof(signature));
  return signature == OpenPacket::kSignature ? static_cast<OpenPacket*>(request.context) : nullptr;
}

// NT: the checks of NtCreateFile before any device is asked [ntifs.h NtCreateFile, remarks].
Status check_create(const CreateParameters& p, u32 access) {
  const u32 options = p.options;
  constexpr u32 kSynchronous = abi::kFileSynchronousIoAlert | abi::kFileSynchronousIoNonalert;
  if (static_cast<u32>(p.disposition) > abi::kCreateDispositionMaximum) return Status::invalid_parameter;
  if ((p.share & ~kShareAll) != 0 || (options & ~abi::kFileValidOptionFlags) != 0) return Status::invalid_parameter;
  if ((options & kSynchronous) == kSynchronous) return Status::invalid_parameter;
  if ((options & kSynchronous) != 0 && (access & se::access::kSynchronize) == 0) return Status::invalid_parameter;
  if ((options & abi::kFileDeleteOnClose) != 0 && (access & abi::kFileDelete) == 0) return Status::invalid_parameter;
  if ((options & abi::kFileNoIntermediateBuffering) != 0 && (access & abi::kFileAppendData) != 0 &&
      (access & abi::kFileWriteData) == 0) {
    return Status::invalid_parameter;
  }
  if ((options & abi::kFileDirectoryFile) != 0) {
    if ((options & abi::kFileNonDirectoryFile) != 0) return Status::invalid_parameter;
    const bool fits = p.disposition == abi::CreateDisposition::create ||
                      p.disposition == abi::CreateDisposition::open || p.disposition == abi::CreateDisposition::open_if;
    if (!fits) return Status::invalid_parameter;
  }
  return Status::success;
}

}  // namespace

FileObject::FileObject(IoManager& owner)
    : manager(&owner), event(ke::EventKind::notification), lock(ke::EventKind::synchronization) {}
FileObject::~FileObject() = default;

IrpPtr make_irp(FileObject& file, MajorFunction function, u64 length) {
  auto irp = std::make_unique<Irp>();
  irp->file = &file;
  irp->file_reference = ob::Ref<ob::Object>(file);
  irp->function = function;
  irp->length = length;
  return irp;
}

IoManager::IoManager(ke::Kernel& kernel, ob::ObjectManager& objects) : kernel_(kernel), objects_(objects) {
  const sim::StructureSizes& sizes = objects.profile().sizes;
  ob::TypeTraits file;
  file.name = u"File";
  file.body_bytes = sizes.file_object;
  file.valid_access = abi::kFileAllAccess;
  file.mapping = kFileMapping;
  file.maintains_handle_count = true;
  file.delete_object = delete_file;
  file.close = close_file;
  file.dispatcher = [](ob::Object& object) { return &static_cast<FileObject&>(object).event.header; };
  file.parse = parse_file;
  file.query_name = [](ob::Object& object) -> Result<std::u16string> {
    const auto& self = static_cast<FileObject&>(object);
    return self.device->shown_as + self.name;
  };
  file_type_ = &objects.register_type(file);

  ob::TypeTraits device;
  device.name = u"Device";
  device.valid_access = abi::kFileAllAccess;
  device.mapping = kFileMapping;
  device.parse = parse_device;
  device_type_ = &objects.register_type(device);

  ob::TypeTraits port;
  port.name = u"IoCompletion";
  port.body_bytes = sizes.queue;
  port.valid_access = 0x1F0003;  // IO_COMPLETION_ALL_ACCESS
  port.mapping = {0x20001, 0x20002, 0x120000, 0x1F0003};
  // NT: whoever waits when the last handle is closed gets abandoned_wait_0 [Microsoft: GetQueuedCompletionStatus].
  port.close = [](ob::Object& object, const ob::CloseEvent& event) {
    auto& self = static_cast<IoCompletionObject&>(object);
    if (event.handle_count_before == 1) self.kernel->rundown_queue(self.queue);
  };
  port.delete_object = [](ob::Object& object) {
    auto& queue = static_cast<IoCompletionObject&>(object).queue;
    while (ke::QueueEntry* entry = queue.entries.pop_front()) release_packet(*static_cast<CompletionPacket*>(entry));
  };
  completion_type_ = &objects.register_type(port);
}

IoManager::~IoManager() {
  while (Irp* irp = pending_.front()) abandon_request(*irp);
  // Whoever still holds a file then finds it closed.
  while (FileObject* file = files_.pop_front()) file->context.reset();
}

// Takes a request from its device without telling anyone: the machine is being taken down.
void IoManager::abandon_request(Irp& irp) {
  irp.file->device->cancel(irp);
  irp.manager_link.unlink();
  irp.file_link.unlink();
  irp.state = IrpState::completed;
  irp.status = Status::cancelled;
  if (irp.detached) delete &irp;
}

void IoManager::abandon_device(Device& device) {
  for (FileObject* file = files_.front(); file != nullptr;) {
    FileObject& current = *file;
    file = files_.next(current);
    if (current.device != &device || current.context == nullptr) continue;
    const ob::Ref<FileObject> keep(current);  // a request may hold the last reference
    while (Irp* irp = current.pending.front()) abandon_request(*irp);
    if (!current.cleaned_up) device.cleanup(current);
    current.cleaned_up = true;
    device.close(current);
    current.context.reset();
  }
}

Status IoManager::add_device(std::u16string_view path, Device& device, std::u16string_view shown_as) {
  device.shown_as = shown_as.empty() ? path : shown_as;
  auto object =
      objects_.create<DeviceObject>(*device_type_, ob::CreateRequest{.attributes = {}, .kernel_object = true});
  if (!object) return object.error();
  (*object)->device = &device;
  (*object)->manager = this;
  const ob::ObjectAttributes attributes{.name = std::u16string(path),
                                        .attributes = abi::obj::kCaseInsensitive | abi::obj::kPermanent};
  auto inserted = objects_.insert(ob::Ref<ob::Object>(*object), attributes, {});
  if (!inserted) return inserted.error();
  objects_.make_permanent(**object);
  return Status::success;
}

Result<OpenedFile> IoManager::open(Device& device, const CreateParameters& given) {
  CreateParameters parameters = given;
  parameters.access = se::map_generic(given.access, kFileMapping);
  if (const Status status = check_create(parameters, parameters.access); !is_success(status)) return Failure(status);
  auto created = objects_.create<FileObject>(*file_type_, {}, *this);
  if (!created) return Failure(created.error());
  FileObject& file = **created;
  files_.push_back(file);
  file.device = &device;
  file.access = parameters.access;
  file.share = parameters.share;
  file.options = parameters.options;
  const auto action = device.create(file, parameters);
  if (!action) return Failure(action.error());
  return OpenedFile{std::move(*created), *action};
}

Result<OpenedFile> IoManager::open_path(FileObject* root, std::u16string_view path,
                                        const CreateParameters& parameters) {
  OpenPacket packet;
  packet.parameters = &parameters;
  if (root != nullptr && path.empty()) {  // the object manager has no empty names; NT opens the root's file again
    CreateParameters again = parameters;
    again.path = {};
    again.related = root;
    return open(*root->device, again);
  }
  const u32 attributes = parameters.case_sensitive ? 0 : abi::obj::kCaseInsensitive;
  auto found = objects_.lookup({.name = path,
                                .root = root,
                                .attributes = attributes,
                                .type = file_type_,
                                .desired_access = parameters.access,
                                .access = {},
                                .parse_context = &packet});
  if (!found) return Failure(found.error());
  return OpenedFile{ob::ref_cast<FileObject>(std::move(*found)), packet.action};
}

Result<ob::ParseOutcome> IoManager::parse(ob::ParseRequest& request, Device& device, FileObject* related) {
  OpenPacket* packet = packet_of(request);
  if (packet == nullptr) {
    // Somebody who wants no file: the device object itself has a name, what is below it has none.
    if (related != nullptr || !request.remaining.empty()) return Failure(Status::object_type_mismatch);
    return ob::ParseOutcome{ob::Ref<ob::Object>(request.object), {}};
  }
  if (packet->resolve_only) {
    packet->device = &device;
    packet->path = request.remaining;
    return ob::ParseOutcome{ob::Ref<ob::Object>(request.object), {}};
  }
  CreateParameters parameters = *packet->parameters;
  parameters.path = request.remaining;
  parameters.related = related;
  auto opened = open(device, parameters);
  if (!opened) return Failure(opened.error());
  packet->action = opened->action;
  return ob::ParseOutcome{ob::Ref<ob::Object>(std::move(opened->file)), {}};
}

Result<ob::ParseOutcome> IoManager::parse_file(ob::ParseRequest& request) {
  auto& file = static_cast<FileObject&>(request.object);
  return file.manager->parse(request, *file.device, &file);
}

Result<ob::ParseOutcome> IoManager::parse_device(ob::ParseRequest& request) {
  auto& device = static_cast<DeviceObject&>(request.object);
  return device.manager->parse(request, *device.device, nullptr);
}

Status IoManager::rename(FileObject& file, FileObject* root, std::u16string_view name, RenameParameters parameters) {
  if (name.empty()) return Status::object_name_invalid;
  std::u16string path;
  if (root != nullptr) {
    if (name.starts_with(u'\\')) return Status::object_name_invalid;
    if (root->device != file.device) return Status::not_same_device;
    path = root->name + u'\\' + std::u16string(name);
  } else if (!name.starts_with(u'\\')) {
    if (name.find(u'\\') != name.npos) return Status::object_name_invalid;  // NT: a simple name stays in its directory
    path = file.name.substr(0, file.name.rfind(u'\\')) + u'\\' + std::u16string(name);
  } else {
    OpenPacket packet;
    packet.resolve_only = true;
    auto found = objects_.lookup(
        {.name = name, .attributes = abi::obj::kCaseInsensitive, .access = {}, .parse_context = &packet});
    if (!found) return found.error();
    if (packet.device != file.device) return Status::not_same_device;
    path = std::move(packet.path);
  }
  if (path.starts_with(u"\\\\")) path.erase(0, 1);  // the root's own name is "\"
  parameters.path = path;
  return file.device->rename(file, parameters);
}

Result<mm::FileBacking*> IoManager::section_backing(FileObject& file) { return file.device->section_backing(file); }

void IoManager::cleanup(FileObject& file) {
  if (file.cleaned_up || file.context == nullptr) return;
  // NT: whoever waits for news of a directory learns that its handle is gone; other requests are cancelled.
  while (Irp* irp = file.pending.front()) {
    file.device->cancel(*irp);
    complete(*irp, irp->function == MajorFunction::notify_directory ? Status::notify_cleanup : Status::cancelled, 0);
  }
  file.device->cleanup(file);
  file.cleaned_up = true;
}

void IoManager::close_file(ob::Object& object, const ob::CloseEvent& event) {
  auto& file = static_cast<FileObject&>(object);
  if (event.handle_count_before == 1) file.manager->cleanup(file);
}

// A file may go away without ever having had a handle.
void IoManager::delete_file(ob::Object& object) {
  auto& file = static_cast<FileObject&>(object);
  if (file.context != nullptr) {  // null: never opened, or the device is gone
    file.manager->cleanup(file);
    file.device->close(file);
    file.context.reset();
  }
  if (file.manager_link.is_linked()) file.manager_link.unlink();
  file.port.reset();
}

}  // namespace vitrine::io
