// MMVAD and MMPFN. Fields: public symbols [VOL]; meanings: facts 8.3, 8.6.
#include <fmt/format.h>

#include "kd/structures/values.h"
#include "mm/section.h"

namespace vitrine::kd {
namespace {

using V = mm::Vad;

// An address of the current process, or PROCESS:ADDRESS.
FoundRecord find_vad(const Target& target, std::string_view text) {
  const auto colon = text.find(':');
  const auto process = target.process(colon == text.npos ? "." : text.substr(0, colon));
  if (!process) return std::unexpected(process.error());
  const auto va = parse_number(colon == text.npos ? text : text.substr(colon + 1));
  const V* vad = va && (*process)->space != nullptr ? (*process)->space->vads().find(*va) : nullptr;
  if (vad != nullptr) return borrow(vad);
  return std::unexpected(
      fmt::format("no range holds {}; `!vad {:#x}` lists those of the process", text, (*process)->id));
}

constexpr Field kVadFields[] = {
    field<V>("StartingVpn", "first page", [](auto&, auto& v) { return hex(v.start() >> kPageShift); }),
    field<V>("EndingVpn", "last page", [](auto&, auto& v) { return hex((v.end() - 1) >> kPageShift); }),
    field<V>("LeftChild", "in the tree by address", [](auto&, auto& v) { return flag(v.left != nullptr); }),
    field<V>("RightChild", "in the tree by address", [](auto&, auto& v) { return flag(v.right != nullptr); }),
    field<V>("u", "flags: committed pages, type, protection, private",
             [](auto&, auto& v) {
               return fmt::format("{} pages committed, type {}, PAGE_{:#x}{}{}", v.commit_charge(),
                                  static_cast<u32>(v.type()), mm::protection_to_win32(v.protection()),
                                  v.is_private() ? ", private" : "", v.is_committed() ? ", MemCommit" : "");
             }),
    field<V>("FirstPrototypePte", "first page of the section that it shows",
             [](auto&, auto& v) {
               return v.view_or_null() == nullptr ? std::string("none: private memory")
                                                  : number(static_cast<i64>(v.view->first_page));
             }),
};

// A frame number, as a record of the one looked at.
struct FrameView {
  const mm::PfnDatabase* database;
  Pfn pfn;
};

FoundRecord find_frame(const Target& target, std::string_view text) {
  const auto number = parse_number(text);
  const mm::PfnDatabase& database = target.executive().memory.memory().pfn();
  if (!number || *number >= database.total()) {
    return std::unexpected(fmt::format("there is no frame {}; they are 0 to {:#x}", text, database.total() - 1));
  }
  return std::make_shared<FrameView>(&database, Pfn{*number});
}

constexpr std::string_view kLocations[] = {"Zeroed",          "Free", "Standby", "Modified",
                                           "ModifiedNoWrite", "Bad",  "Active",  "Transition"};

using F = FrameView;
constexpr Field kPfnFields[] = {
    field<F>("u2", "active: valid PTEs that show the frame",
             [](auto&, auto& f) { return number(f.database->share_count(f.pfn)); }),
    field<F>("u3", "references, where it is, modified",
             [](auto&, auto& f) {
               return fmt::format("{} references, {}{}", f.database->reference_count(f.pfn),
                                  kLocations[static_cast<u8>(f.database->location(f.pfn)) & 7],
                                  f.database->is_modified(f.pfn) ? ", modified" : "");
             }),
    field<F>("OriginalPte", "what its PTE becomes when the frame is taken away",
             [](auto&, auto& f) { return hex(f.database->original_pte(f.pfn).bits); }),
};

}  // namespace

const Structure kMmvad{"MMVAD", "a range of a process's addresses", "[PROCESS:]ADDRESS", kVadFields, &find_vad};
const Structure kMmpfn{"MMPFN", "a frame of memory", "FRAME", kPfnFields, &find_frame};

}  // namespace vitrine::kd
