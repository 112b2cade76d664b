#include "cm/multimedia_keys.h"

#include <algorithm>

#include "cm/registry_read.h"

namespace vitrine::cm {
namespace {

constexpr std::u16string_view kProfile =
    u"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\Multimedia\\SystemProfile";
constexpr u32 kClockRate = 10'000, kGpuPriority = 8, kThrottling = 10;

struct Task {
  std::u16string_view name;
  u32 priority;
  std::u16string_view category, background_only;
};
// Windows' own defaults.
constexpr Task kTasks[] = {{u"Audio", 6, u"Medium", u"True"},
                           {u"Capture", 5, u"Medium", u"True"},
                           {u"DisplayPostProcessing", 8, u"High", u"True"},
                           {u"Distribution", 4, u"Medium", u"True"},
                           {u"Games", 2, u"Medium", u"False"},
                           {u"Playback", 3, u"Medium", u"False"},
                           {u"Pro Audio", 1, u"High", u"False"},
                           {u"Window Manager", 5, u"Medium", u"True"}};

std::u16string task_path(std::u16string_view name) {
  return std::u16string(kProfile) + u"\\Tasks\\" + std::u16string(name);
}

Status fill_task(Registry& registry, const Task& task) {
  const Result<KeyNode*> node = registry.make(task_path(task.name));
  if (!node) return node.error();
  VITRINE_TRY(registry.put_dword(**node, u"Affinity", 0));
  VITRINE_TRY(registry.put_string(**node, u"Background Only", task.background_only));
  VITRINE_TRY(registry.put_dword(**node, u"Clock Rate", kClockRate));
  VITRINE_TRY(registry.put_dword(**node, u"GPU Priority", kGpuPriority));
  VITRINE_TRY(registry.put_dword(**node, u"Priority", task.priority));
  VITRINE_TRY(registry.put_string(**node, u"Scheduling Category", task.category));
  return registry.put_string(**node, u"SFIO Priority", u"Normal");
}

}  // namespace

Status fill_multimedia_keys(Registry& registry) {
  const Result<KeyNode*> profile = registry.make(kProfile);
  if (!profile) return profile.error();
  VITRINE_TRY(registry.put_dword(**profile, u"NetworkThrottlingIndex", kThrottling));
  VITRINE_TRY(registry.put_dword(**profile, u"SystemResponsiveness", ke::MultimediaScheduler::kDefaultResponsiveness));
  for (const Task& task : kTasks) VITRINE_TRY(fill_task(registry, task));
  return Status::success;
}

std::optional<ke::MultimediaTask> multimedia_task(const Registry& registry, std::u16string_view name) {
  // One component: a name with a backslash would look elsewhere.
  if (name.empty() || name.find(u'\\') != std::u16string_view::npos) return std::nullopt;
  const std::u16string path = task_path(name);
  ke::MultimediaTask task;
  task.priority = static_cast<u8>(std::min<u32>(read_dword(registry, path, u"Priority").value_or(1), 8));
  const std::u16string category = read_text(registry, path, u"Scheduling Category");
  if (ex::equal_ignoring_case(category, u"High")) {
    task.category = ke::MultimediaCategory::high;
  } else if (ex::equal_ignoring_case(category, u"Medium")) {
    task.category = ke::MultimediaCategory::medium;
  } else if (ex::equal_ignoring_case(category, u"Low")) {
    task.category = ke::MultimediaCategory::low;
  } else {
    return std::nullopt;
  }
  return task;
}

u32 multimedia_responsiveness(const Registry& registry) {
  return read_dword(registry, kProfile, u"SystemResponsiveness").value_or(ke::MultimediaScheduler::kDefaultResponsiveness);
}

}  // namespace vitrine::cm
