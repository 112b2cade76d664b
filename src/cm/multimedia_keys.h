// The registry's part of the multimedia class scheduler: Multimedia\SystemProfile with the tasks that Windows ships,
// and how a task is read from there. [Microsoft: "Multimedia Class Scheduler Service", "Registry Settings"]
#pragma once

#include <optional>

#include "cm/registry.h"
#include "ke/multimedia.h"

namespace vitrine::cm {

// Errors: those of Registry::make and put.
[[nodiscard]] Status fill_multimedia_keys(Registry& registry);
// nullopt: there is no task of that name, or its category is none.
[[nodiscard]] std::optional<ke::MultimediaTask> multimedia_task(const Registry& registry, std::u16string_view name);
// SystemResponsiveness as it stands there.
[[nodiscard]] u32 multimedia_responsiveness(const Registry& registry);

}  // namespace vitrine::cm
