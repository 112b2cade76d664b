// HostVolume: what a file, the volume and a directory tell of themselves.
#include <algorithm>
#include <cstddef>

#include "abi/file_info.h"
#include "io/directory_buffer.h"
#include "io/host_volume_state.h"
#include "io/info_buffer.h"

namespace vitrine::io {
namespace {

using abi::FileInformationClass;

abi::FileBasicInformation basic_of(const Metadata& m) {
  return {m.times.creation, m.times.access, m.times.write, m.times.change, m.attributes, 0};
}

abi::FileStandardInformation standard_of(const Metadata& m, bool delete_pending) {
  // NT: a link that waits for its deletion no longer counts.
  const u32 links = delete_pending && m.host.links != 0 ? m.host.links - 1 : m.host.links;
  return {static_cast<i64>(m.allocation), static_cast<i64>(m.host.size), links, delete_pending, m.host.is_directory, 0};
}

abi::FileNetworkOpenInformation network_open_of(const Metadata& m) {
  return {m.times.creation, m.times.access, m.times.write, m.times.change,
          static_cast<i64>(m.allocation), static_cast<i64>(m.host.size), m.attributes, 0};
}

Status query_stream(const Metadata& m, std::span<u8> out, u32* written) {
  if (m.host.is_directory) return Status::success;  // NT: a directory has no unnamed stream
  constexpr std::u16string_view kName = u"::$DATA";
  const abi::FileStreamInformation fixed{0, static_cast<u32>(kName.size() * 2), static_cast<i64>(m.host.size),
                                         static_cast<i64>(m.allocation)};
  return put_with_name(out, &fixed, abi::kFileStreamInformationNameOffset, kName, written);
}

}  // namespace

Status HostVolume::query_information(FileObject& file, FileInformationClass information_class, std::span<u8> out,
                                     u32* written) {
  VITRINE_TRY(require_file(file));
  Fcb& fcb = *open_file(file).fcb;
  const auto metadata = state_->describe(fcb);
  if (!metadata) return metadata.error();
  switch (information_class) {
    case FileInformationClass::basic: return put(out, basic_of(*metadata), written);
    case FileInformationClass::standard: return put(out, standard_of(*metadata, fcb.delete_pending), written);
    // NT only sets it; Wine's ntdll asks for a manifest's length this way [seen in Wine 8.0's user mode].
    case FileInformationClass::end_of_file:
      return put(out, abi::FileEndOfFileInformation{static_cast<i64>(metadata->host.size)}, written);
    case FileInformationClass::internal: return put(out, abi::FileInternalInformation{metadata->host.id}, written);
    case FileInformationClass::ea: return put(out, abi::FileEaInformation{0}, written);
    case FileInformationClass::network_open: return put(out, network_open_of(*metadata), written);
    case FileInformationClass::attribute_tag:
      return put(out, abi::FileAttributeTagInformation{metadata->attributes, 0}, written);
    case FileInformationClass::stream: return query_stream(*metadata, out, written);
    case FileInformationClass::compression: {
      struct {
        i64 size;
        u16 format;
        u8 shifts[3], reserved[3];
      } none{static_cast<i64>(metadata->host.size), 0, {}, {}};
      return put(out, none, written, 16);
    }
    case FileInformationClass::alternate_name: return Status::object_name_not_found;  // no short names on this volume
    case FileInformationClass::id: {
      abi::FileIdInformation id{state_->options.serial_number, {}};
      std::memcpy(id.file_id, &metadata->host.id, sizeof(u64));
      return put(out, id, written);
    }
    case FileInformationClass::is_remote_device: return put(out, u8{0}, written);
    case FileInformationClass::standard_link: {
      struct { u32 links, total; u8 delete_pending, directory; u16 padding; } link{
          metadata->host.links, metadata->host.links, fcb.delete_pending, metadata->host.is_directory, 0};
      return put(out, link, written);
    }
    default: return Status::invalid_info_class;
  }
}

Status HostVolume::query_volume(FileObject&, abi::VolumeInformationClass information_class, std::span<u8> out,
                                u32* written) {
  const VolumeOptions& options = state_->options;
  constexpr u32 kUnit = 4096, kSector = 512;
  const i64 total = static_cast<i64>(options.total_bytes / kUnit), free = static_cast<i64>(options.free_bytes / kUnit);
  switch (information_class) {
    case abi::VolumeInformationClass::volume: {
      abi::FileFsVolumeInformation fixed{};
      fixed.creation_time = 0;
      fixed.serial_number = options.serial_number;
      fixed.label_length = static_cast<u32>(options.label.size() * 2);
      return put_with_name(out, &fixed, abi::kFileFsVolumeLabelOffset, options.label, written);
    }
    case abi::VolumeInformationClass::size:
      return put(out, abi::FileFsSizeInformation{total, free, kUnit / kSector, kSector}, written);
    case abi::VolumeInformationClass::full_size:
      return put(out, abi::FileFsFullSizeInformation{total, free, free, kUnit / kSector, kSector}, written);
    case abi::VolumeInformationClass::device:
      return put(out, abi::FileFsDeviceInformation{static_cast<u32>(abi::DeviceType::disk), characteristics()},
                 written);
    case abi::VolumeInformationClass::attribute: {
      constexpr u32 kSupportsHardLinks = 0x00400000, kSupportsObjectIds = 0x00010000;
      const abi::FileFsAttributeInformation fixed{
          abi::kFsCasePreservedNames | abi::kFsUnicodeOnDisk | kSupportsHardLinks | kSupportsObjectIds,
          static_cast<u32>(kMaximumComponentUnits), 8};
      return put_with_name(out, &fixed, abi::kFileFsAttributeNameOffset, u"NTFS", written);
    }
    default: return Status::invalid_info_class;
  }
}

namespace {

constexpr std::size_t kMaximumPatternUnits = 1024;  // matching takes pattern times name steps

// NT: "." and ".." come first, except in the root [NTFS]; the rest in the order of upper-cased names.
Status take_snapshot(VolumeState& state, OpenFile& open) {
  const auto names = state.mounts.list(*open.directory, open.path);
  if (!names) return names.error();
  open.snapshot.clear();
  open.next_entry = 0;
  if (open.path != u"\\") {
    const auto self = state.describe(*open.fcb);
    if (!self) return self.error();
    std::u16string parent = open.path.substr(0, open.path.rfind(u'\\'));
    const auto split = split_path(parent);
    const auto above = split ? state.mounts.locate(split->components) : Failure(split.error());
    open.snapshot.push_back({u".", *self});
    open.snapshot.push_back({u"..", above && above->exists ? state.describe(*above) : *self});
  }
  for (const MountTable::Name& name : *names) open.snapshot.push_back({name.name, state.describe(name.located)});
  open.listed = true;
  return Status::success;
}

}  // namespace

Status HostVolume::query_directory(FileObject& file, const DirectoryQuery& query, std::span<u8> out, u32* written) {
  VITRINE_TRY(require_file(file));
  OpenFile& open = open_file(file);
  if (!open.directory) return Status::invalid_parameter;
  if (query.pattern.size() > kMaximumPatternUnits) return Status::object_name_invalid;
  const bool first = !open.listed;
  if (first || (query.restart && !query.pattern.empty())) {
    open.pattern = query.pattern.empty() ? u"*" : query.pattern;
  }
  if (first || query.restart) VITRINE_TRY(take_snapshot(*state_, open));
  const auto next = [&open]() -> std::optional<DirectoryEntry> {
    while (open.next_entry < open.snapshot.size()) {
      const DirectorySnapshotEntry& entry = open.snapshot[open.next_entry];
      if (!matches_expression(open.pattern, entry.name)) {
        ++open.next_entry;
        continue;
      }
      const Metadata& m = entry.metadata;
      return DirectoryEntry{entry.name,
                            {0, 0, m.times.creation, m.times.access, m.times.write, m.times.change,
                             static_cast<i64>(m.host.size), static_cast<i64>(m.allocation), m.attributes, 0},
                            m.host.id};
    }
    return std::nullopt;
  };
  const Status status = fill_directory_buffer(query.information_class, query.single_entry, next,
                                              [&open] { ++open.next_entry; }, out, written);
  return status == Status::no_more_files && first ? Status::no_such_file : status;
}

}  // namespace vitrine::io
