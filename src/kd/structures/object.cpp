// OBJECT_HEADER and HANDLE_TABLE. Fields: public symbols [VOL]; meanings: WI6 ch. 3, facts 2.
#include <fmt/format.h>

#include "ex/unicode.h"
#include "kd/structures/values.h"

namespace vitrine::kd {
namespace {

using O = ob::Object;

FoundRecord find_header(const Target& target, std::string_view text) {
  if (const auto thread = target.thread(text)) return borrow(static_cast<const O*>(*thread));
  const auto object = target.object(text);
  if (!object) return std::unexpected(object.error());
  return borrow(*object);
}

constexpr Field kHeaderFields[] = {
    field<O>("PointerCount", "references, handles included", [](auto&, auto& o) { return number(o.pointer_count()); }),
    field<O>("HandleCount", "handles", [](auto&, auto& o) { return number(o.handle_count()); }),
    field<O>("Type", "its type (6.1: an index)",
             [](auto&, auto& o) { return fmt::format("{} ({})", ex::to_utf8(o.type().type_name), o.type().index); }),
    field<O>("Flags", "how it was made and what it has",
             [](auto&, auto& o) {
               std::string text;
               const auto add = [&](u8 bit, std::string_view name) {
                 if (o.has_flag(bit)) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
               };
               add(ob::object_flags::kKernelObject, "kernel");
               add(ob::object_flags::kPermanent, "permanent");
               add(ob::object_flags::kExclusive, "exclusive");
               add(ob::object_flags::kNamed, "named");
               add(ob::object_flags::kQuotaCharged, "quota charged");
               return text.empty() ? std::string("none") : text;
             }),
    field<O>("QuotaBlockCharged", "somebody pays for it",
             [](auto&, auto& o) { return flag(o.has_flag(ob::object_flags::kQuotaCharged)); }),
    field<O>("SecurityDescriptor", "who may do what with it",
             [](auto&, auto& o) {
               return std::string(o.info() != nullptr && o.info()->security != nullptr ? "its own"
                                                                                       : "everybody everything");
             }),
    field<O>("Body", "the object itself", [](auto& target, auto& o) { return hex(target.address(o)); }),
};

using P = ps::Process;
const ex::HandleTable* table_of(const P& process) {
  return process.handles == nullptr ? nullptr : &process.handles->table();
}

constexpr Field kTableFields[] = {
    field<P>(
        "TableCode", "levels: 0, 1 or 2",
        [](auto&, auto& p) { return table_of(p) == nullptr ? std::string("none") : number(table_of(p)->level()); }),
    field<P>(
        "QuotaProcess", "who pays for it",
        [](auto&, auto& p) { return p.quota == nullptr ? std::string("nobody") : fmt::format("process {:#x}", p.id); }),
    field<P>("UniqueProcessId", "whose it is", [](auto&, auto& p) { return hex(p.id); }),
    absent("HandleTableLock", "guards entries and free lists",
           "kernel functions run one at a time and to their end: there is nothing to lock"),
    field<P>("NextHandleNeedingPool", "first handle value that has no place yet",
             [](auto&, auto& p) {
               return table_of(p) == nullptr ? std::string("none") : hex(table_of(p)->next_handle_needing_pool().value);
             }),
    field<P>(
        "HandleCount", "handles",
        [](auto&, auto& p) { return table_of(p) == nullptr ? std::string("none") : number(table_of(p)->count()); }),
};

}  // namespace

const Structure kObjectHeader{"OBJECT_HEADER", "what precedes every object", "THREAD|OBJECT", kHeaderFields,
                              &find_header};
const Structure kHandleTable{"HANDLE_TABLE", "a process's handles", "PROCESS", kTableFields, &find_eprocess};

}  // namespace vitrine::kd
