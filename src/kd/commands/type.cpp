// dt: a structure of NT's, field by field: value, where the profile's structure has it, and what it means.
#include "kd/command.h"
#include "kd/layouts.h"
#include "kd/structure.h"

namespace vitrine::kd {
namespace {

void list_types(const Target& target, Report& report) {
  Table& table = report.table({"type", "bytes", "of", "what"});
  for (const Structure* structure : structures()) {
    const auto bytes = size_of(target.profile(), structure->name);
    table.rows.push_back({std::string(structure->name), bytes ? hex(*bytes) : "-", std::string(structure->subject),
                          std::string(structure->meaning)});
  }
}

}  // namespace

void show_type(const Target& target, const Arguments& arguments, Report& report) {
  if (arguments.empty()) return list_types(target, report);
  const Structure* structure = find_structure(arguments[0]);
  if (structure == nullptr) return report.fail("kd knows no structure {}; `dt` lists them", arguments[0]);
  const auto record = structure->find(target, arguments.size() > 1 ? arguments[1] : "");
  if (!record) return report.fail("{}", record.error());
  const auto bytes = size_of(target.profile(), structure->name);
  report.say("{}: {} ({}, {} bytes)", structure->name, structure->meaning, target.profile().name,
             bytes ? hex(*bytes) : "?");
  Table& table = report.table({"offset", "field", "value", "meaning"});
  for (const Field& field : structure->fields) {
    const auto offset = offset_of(target.profile(), structure->name, field.name);
    std::string meaning(field.meaning);
    if (!field.absent.empty()) meaning += fmt::format(" [not here: {}]", field.absent);
    table.rows.push_back({offset ? fmt::format("+{:#05x}", *offset) : "-", std::string(field.name),
                          field.read == nullptr ? "-" : field.read(target, record->get()), meaning});
  }
}

}  // namespace vitrine::kd
