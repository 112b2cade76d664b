// National language support: the tables that ntdll and kernelbase read (code pages, case mapping, sorting), and the
// default locale. The tables are files in C:\windows\system32, mapped read-only through named sections in \NLS, so that
// all processes share their frames [NT: NtGetNlsSectionPtr; names of the sections as WinObj shows them].
#include <fmt/format.h>

#include <optional>

#include "ex/unicode.h"
#include "nt/executive_state.h"
#include "nt/families.h"
#include "nt/file_open.h"

namespace vitrine::nt {
namespace {

// NLS_SECTION_*, the first argument of NtGetNlsSectionPtr.
enum class NlsTable : u32 { sort_keys = 9, case_map = 10, code_page = 11, normalization = 12 };

struct NlsSource {
  std::u16string section;  // below \NLS
  std::u16string file;     // in system32
};

std::u16string wide(std::string_view text) { return ex::from_utf8(text); }

// NORM_FORM: what each number is called in the file names.
std::optional<std::string_view> normalization_name(u32 form) {
  switch (form) {
    case 1:
      return "nfc";
    case 2:
      return "nfd";
    case 5:
      return "nfkc";
    case 6:
      return "nfkd";
    case 13:
      return "idna";
    default:
      return std::nullopt;
  }
}

Result<NlsSource> find_source(u32 type, u32 id) {
  switch (static_cast<NlsTable>(type)) {
    case NlsTable::sort_keys:
      if (id != 0) return Failure(Status::invalid_parameter_1);
      return NlsSource{u"NlsSectionSORTDEFAULT", u"sortdefault.nls"};
    case NlsTable::case_map:
      if (id != 0) return Failure(Status::unsuccessful);
      return NlsSource{u"NlsSectionLANG_INTL", u"l_intl.nls"};
    case NlsTable::code_page:
      return NlsSource{wide(fmt::format("NlsSectionCP{:03}", id)), wide(fmt::format("c_{:03}.nls", id))};
    case NlsTable::normalization: {
      const auto name = normalization_name(id);
      if (!name) return Failure(Status::object_name_not_found);
      return NlsSource{wide(fmt::format("NlsSectionNORM{:08x}", id)), wide(fmt::format("norm{}.nls", *name))};
    }
  }
  return Failure(Status::invalid_parameter_1);
}

Result<ob::Ref<mm::SectionObject>> make_section(Call call, const NlsSource& source, const std::u16string& name) {
  io::CreateParameters parameters;
  parameters.access = abi::kFileReadData;
  parameters.share = abi::kFileShareRead;
  const auto opened = call->io.open_path(nullptr, u"\\??\\C:\\windows\\system32\\" + source.file, parameters);
  if (!opened) return Failure(opened.error());
  const auto backing = call->io.section_backing(*opened->file);
  if (!backing) return Failure(backing.error());
  auto section = call->memory.create_section({*backing, 0, mm::page::kReadOnly, mm::sec::kCommit});
  if (!section) return Failure(section.error());
  ob::CreateRequest request;
  request.attributes = {name, {}, abi::obj::kCaseInsensitive, {}};
  request.kernel_object = true;
  auto object =
      call->objects.create<mm::SectionObject>(*call->objects.find_type(u"Section"), request, std::move(*section));
  if (!object) return object;
  const auto inserted = call->objects.insert(*object, request.attributes, {});
  if (!inserted) return Failure(inserted.error());
  return object;
}

// Makes the named section from its file the first time that any process asks.
Result<ob::Ref<mm::SectionObject>> nls_section(Call call, const NlsSource& source) {
  auto& sections = call->state->nls_sections;
  if (const auto known = sections.find(source.section); known != sections.end()) return known->second;
  auto made = make_section(call, source, u"\\NLS\\" + source.section);
  if (made) sections.emplace(source.section, *made);
  return made;
}

Result<mm::Range> map_read_only(Call call, const mm::Section& section) {
  mm::MapRequest request;
  request.protect = mm::page::kReadOnly;
  const auto mapped = call.space().map_view(section, request);
  if (!mapped) return Failure(mapped.error());
  return mapped->range;
}

Status nt_get_nls_section_ptr(Call call, u32 type, u32 id, Buffer /*context*/, UserPtr<Va> address, UserPtr<u64> size) {
  const auto source = find_source(type, id);
  if (!source) return source.error();
  VITRINE_TRY(call.space().probe(address.address, sizeof(Va), 1, true));
  VITRINE_TRY(call.space().probe(size.address, sizeof(u64), 1, true));
  const auto section = nls_section(call, *source);
  if (!section) return section.error();
  const auto range = map_read_only(call, (*section)->section);
  if (!range) return range.error();
  VITRINE_TRY(address.write(call.space(), range->base));
  return size.write(call.space(), (*section)->section.size());
}

Status nt_initialize_nls_files(Call call, UserPtr<Va> address, UserPtr<u32> locale, UserPtr<i64> case_table_size) {
  VITRINE_TRY(call.space().probe(address.address, sizeof(Va), 1, true));
  VITRINE_TRY(call.space().probe(locale.address, sizeof(u32), 1, true));
  const auto section = nls_section(call, {u"NlsSectionLOCALE", u"locale.nls"});
  if (!section) return section.error();
  if (case_table_size) {
    const auto case_table = nls_section(call, {u"NlsSectionLANG_INTL", u"l_intl.nls"});
    if (!case_table) return case_table.error();
    VITRINE_TRY(case_table_size.write(call.space(), static_cast<i64>((*case_table)->section.size())));
  }
  const auto range = map_read_only(call, (*section)->section);
  if (!range) return range.error();
  VITRINE_TRY(address.write(call.space(), range->base));
  return locale.write(call.space(), call->state->system_locale);
}

Status nt_query_default_locale(Call call, bool user, UserPtr<u32> locale) {
  return locale.write(call.space(), user ? call->state->user_locale : call->state->system_locale);
}

// NT: the system's locale is an administrator's to change; it holds for processes that start later.
Status nt_set_default_locale(Call call, bool user, u32 locale) {
  constexpr u32 kValidLocale = 0x000F'FFFF;  // sort id and language id
  if ((locale & ~kValidLocale) != 0) return Status::invalid_parameter;
  (user ? call->state->user_locale : call->state->system_locale) = locale;
  return Status::success;
}

Status nt_query_default_ui_language(Call call, UserPtr<u16> language) {
  return language.write(call.space(), call->state->user_language);
}

Status nt_query_install_ui_language(Call call, UserPtr<u16> language) {
  return language.write(call.space(), u16{0x409});  // en-US
}

Status nt_set_default_ui_language(Call call, u16 language) {
  call->state->user_language = language;
  return Status::success;
}

using enum SupportLevel;
constexpr Service kServices[] = {
    service<&nt_get_nls_section_ptr>("NtGetNlsSectionPtr", complete, "type, id, context, address, size"),
    service<&nt_initialize_nls_files>("NtInitializeNlsFiles", complete, "address, locale, case_table_size"),
    service<&nt_query_default_locale>("NtQueryDefaultLocale", complete, "user, locale"),
    service<&nt_query_default_ui_language>("NtQueryDefaultUILanguage", complete, "language"),
    service<&nt_query_install_ui_language>("NtQueryInstallUILanguage", complete, "language"),
    service<&nt_set_default_locale>("NtSetDefaultLocale", partial, "user, locale", "kept for this run only"),
    service<&nt_set_default_ui_language>("NtSetDefaultUILanguage", partial, "language", "kept for this run only"),
};

}  // namespace

std::span<const Service> locale_services() { return kServices; }

}  // namespace vitrine::nt
