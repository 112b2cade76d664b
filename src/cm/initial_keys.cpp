#include "cm/initial_keys.h"

#include "cm/multimedia_keys.h"
#include "ex/unicode.h"

namespace vitrine::cm {
namespace {

struct Text {
  std::u16string_view name, value;
};

// HKEY_CURRENT_USER\Control Panel\International of a US English user. Wine 8.0's kernelbase compares LocaleName with
// the user's locale and rewrites this whole key when they differ. Values: Windows' defaults for en-US [Microsoft, NLS
// locale data].
constexpr Text kInternational[] = {{u"Locale", u"00000409"},
                                   {u"LocaleName", u"en-US"},
                                   {u"iCalendarType", u"1"},
                                   {u"iCountry", u"1"},
                                   {u"iCurrDigits", u"2"},
                                   {u"iCurrency", u"0"},
                                   {u"iDate", u"0"},
                                   {u"iDigits", u"2"},
                                   {u"NumShape", u"1"},
                                   {u"iFirstDayOfWeek", u"6"},
                                   {u"iFirstWeekOfYear", u"0"},
                                   {u"iLZero", u"1"},
                                   {u"iMeasure", u"1"},
                                   {u"iNegCurr", u"0"},
                                   {u"iNegNumber", u"1"},
                                   {u"iPaperSize", u"1"},
                                   {u"iTime", u"0"},
                                   {u"iTimePrefix", u"0"},
                                   {u"iTLZero", u"0"},
                                   {u"s1159", u"AM"},
                                   {u"s2359", u"PM"},
                                   {u"sCountry", u"United States"},
                                   {u"sCurrency", u"$"},
                                   {u"sDate", u"/"},
                                   {u"sDecimal", u"."},
                                   {u"sGrouping", u"3;0"},
                                   {u"sLanguage", u"ENU"},
                                   {u"sList", u","},
                                   {u"sLongDate", u"dddd, MMMM d, yyyy"},
                                   {u"sMonDecimalSep", u"."},
                                   {u"sMonGrouping", u"3;0"},
                                   {u"sMonThousandSep", u","},
                                   {u"sNativeDigits", u"0123456789"},
                                   {u"sNegativeSign", u"-"},
                                   {u"sPositiveSign", u""},
                                   {u"sShortDate", u"M/d/yyyy"},
                                   {u"sShortTime", u"h:mm tt"},
                                   {u"sThousand", u","},
                                   {u"sTime", u":"},
                                   {u"sTimeFormat", u"h:mm:ss tt"},
                                   {u"sYearMonth", u"MMMM yyyy"}};

// kernelbase keeps the currency's international symbol below a subkey whose name is three globes.
constexpr std::u16string_view kWorldSubkey = u"\U0001F30E\U0001F30F\U0001F30D";

struct KeyTexts {
  std::u16string_view path;
  std::span<const Text> values;
};

constexpr Text kGeo[] = {{u"Nation", u"244"}, {u"Name", u"US"}};  // GEOID of the United States
constexpr Text kCodePages[] = {{u"ACP", u"1252"}, {u"OEMCP", u"437"}, {u"MACCP", u"10000"}};
constexpr Text kLanguages[] = {{u"Default", u"0409"}, {u"InstallLanguage", u"0409"}};
constexpr Text kTimeZone[] = {{u"StandardName", u"Coordinated Universal Time"},
                              {u"DaylightName", u"Coordinated Universal Time"},
                              {u"TimeZoneKeyName", u"UTC"}};
constexpr Text kTimeZoneUtc[] = {{u"Display", u"(UTC) Coordinated Universal Time"},
                                 {u"Std", u"Coordinated Universal Time"},
                                 {u"Dlt", u"Coordinated Universal Time"}};
constexpr Text kEnvironment[] = {{u"ComSpec", u"C:\\windows\\system32\\cmd.exe"},
                                 {u"OS", u"Windows_NT"},
                                 {u"Path", u"C:\\windows\\system32;C:\\windows"},
                                 {u"PATHEXT", u".COM;.EXE;.BAT;.CMD"},
                                 {u"PROCESSOR_ARCHITECTURE", u"AMD64"},
                                 {u"TEMP", u"C:\\windows\\temp"},
                                 {u"TMP", u"C:\\windows\\temp"},
                                 {u"windir", u"C:\\windows"}};
constexpr Text kVersion[] = {{u"ProductName", u"Windows 10 Pro"},
                             {u"CurrentVersion", u"6.3"},
                             {u"CurrentBuild", u"18362"},
                             {u"CurrentBuildNumber", u"18362"},
                             {u"CurrentType", u"Multiprocessor Free"},
                             {u"InstallationType", u"Client"},
                             {u"EditionID", u"Professional"},
                             {u"ReleaseId", u"1903"},
                             {u"SystemRoot", u"C:\\windows"},
                             {u"PathName", u"C:\\windows"}};
constexpr Text kWindowsVersion[] = {{u"ProgramFilesDir", u"C:\\Program Files"},
                                    {u"CommonFilesDir", u"C:\\Program Files\\Common Files"}};
constexpr Text kProduct[] = {{u"ProductType", u"WinNT"}};
// No debugger starts when nobody handles an exception, as on a Windows without one. With nothing here Wine's kernelbase
// starts winedbg, whose output would be the program's and whose end would replace its exit code.
constexpr Text kDebugger[] = {{u"Auto", u"1"}, {u"Debugger", u"none"}};

// Who answers HKEY_PERFORMANCE_DATA for which objects: Windows' names of library and functions. [Microsoft: "Creating
// the Application's Performance Key"]
constexpr Text kPerformance[] = {{u"Library", u"perfproc.dll"},
                                 {u"Open", u"OpenSysProcessObject"},
                                 {u"Collect", u"CollectSysProcessObjectData"},
                                 {u"Close", u"CloseSysProcessObject"},
                                 {u"Object List", u"230 232"}};

constexpr KeyTexts kMachineTexts[] = {
    {u"\\Registry\\Machine\\System\\ControlSet001\\Services\\PerfProc\\Performance", kPerformance},
    {u"\\Registry\\Machine\\System\\ControlSet001\\Control\\Nls\\CodePage", kCodePages},
    {u"\\Registry\\Machine\\System\\ControlSet001\\Control\\Nls\\Language", kLanguages},
    {u"\\Registry\\Machine\\System\\ControlSet001\\Control\\TimeZoneInformation", kTimeZone},
    {u"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\Time Zones\\UTC", kTimeZoneUtc},
    {u"\\Registry\\Machine\\System\\ControlSet001\\Control\\Session Manager\\Environment", kEnvironment},
    {u"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion", kVersion},
    {u"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\AeDebug", kDebugger},
    {u"\\Registry\\Machine\\Software\\Microsoft\\Windows\\CurrentVersion", kWindowsVersion},
    {u"\\Registry\\Machine\\System\\ControlSet001\\Control\\ProductOptions", kProduct}};

// Keys that programs open and expect to be there, empty.
constexpr std::u16string_view kEmptyKeys[] = {
    u"\\Registry\\Machine\\Hardware\\Description\\System",
    u"\\Registry\\Machine\\SAM",
    u"\\Registry\\Machine\\Security",
    u"\\Registry\\Machine\\Software\\Classes",
    u"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\Image File Execution Options",
    u"\\Registry\\Machine\\System\\ControlSet001\\Services\\Tcpip\\Parameters"};

Status put_texts(Registry& registry, std::u16string_view path, std::span<const Text> values) {
  const Result<KeyNode*> node = registry.make(path);
  if (!node) return node.error();
  for (const Text& text : values) VITRINE_TRY(registry.put_string(**node, text.name, text.value));
  return Status::success;
}

Status fill_user(Registry& registry, const MachineFacts& facts) {
  const std::u16string user = u"\\Registry\\User\\" + ex::from_utf8(facts.user.text());
  VITRINE_TRY(put_texts(registry, user + u"\\Control Panel\\International", kInternational));
  VITRINE_TRY(put_texts(registry, user + u"\\Control Panel\\International\\Geo", kGeo));
  const Text currencies[] = {{u"Currencies", u"USD"}};
  std::u16string world = user + u"\\Control Panel\\International\\";
  world += kWorldSubkey;
  VITRINE_TRY(put_texts(registry, world, currencies));
  const Text environment[] = {{u"TEMP", u"C:\\windows\\temp"}, {u"TMP", u"C:\\windows\\temp"}};
  VITRINE_TRY(put_texts(registry, user + u"\\Environment", environment));
  const Text volatile_environment[] = {{u"USERNAME", facts.user_name}};
  VITRINE_TRY(put_texts(registry, user + u"\\Volatile Environment", volatile_environment));
  // Which Windows Wine's ntdll reports (DESIGN 3.3: 10.0.18362); it derives all version numbers from this name.
  const Text wine[] = {{u"Version", u"win10"}};
  return put_texts(registry, user + u"\\Software\\Wine", wine);
}

// NT: CurrentControlSet is a link to the control set that was booted [WI6 ch. 4].
Status fill_links(Registry& registry) {
  const Result<KeyNode*> profile =
      registry.make(u"\\Registry\\Machine\\System\\ControlSet001\\Hardware Profiles\\0001");
  if (!profile) return profile.error();
  VITRINE_TRY(registry.put_link(u"\\Registry\\Machine\\System\\CurrentControlSet",
                                u"\\Registry\\Machine\\System\\ControlSet001"));
  return registry.put_link(u"\\Registry\\Machine\\System\\ControlSet001\\Hardware Profiles\\Current",
                           u"\\Registry\\Machine\\System\\ControlSet001\\Hardware Profiles\\0001");
}

}  // namespace

Status fill_initial_keys(Registry& registry, const MachineFacts& facts) {
  for (const KeyTexts& key : kMachineTexts) VITRINE_TRY(put_texts(registry, key.path, key.values));
  for (const std::u16string_view path : kEmptyKeys) {
    if (const Result<KeyNode*> node = registry.make(path); !node) return node.error();
  }
  VITRINE_TRY(fill_links(registry));

  const Result<KeyNode*> zone =
      registry.make(u"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\Time Zones\\UTC");
  if (!zone) return zone.error();
  // REG_TZI_FORMAT: three biases and two dates, all zero for UTC.
  constexpr std::byte kNoBias[44]{};
  VITRINE_TRY(registry.put(**zone, u"TZI", kTypeBinary, kNoBias));

  const Result<KeyNode*> manager =
      registry.make(u"\\Registry\\Machine\\System\\ControlSet001\\Control\\Session Manager");
  if (!manager) return manager.error();
  // NT: 30 days in seconds; the heap's four values are 0, "use the default".
  VITRINE_TRY(registry.put_dword(**manager, u"CriticalSectionTimeout", 30 * 24 * 60 * 60));
  for (const std::u16string_view name : {u"GlobalFlag", u"HeapSegmentReserve", u"HeapSegmentCommit",
                                         u"HeapDeCommitTotalFreeThreshold", u"HeapDeCommitFreeBlockThreshold"}) {
    VITRINE_TRY(registry.put_dword(**manager, name, 0));
  }
  const Result<KeyNode*> environment =
      registry.make(u"\\Registry\\Machine\\System\\ControlSet001\\Control\\Session Manager\\Environment");
  if (!environment) return environment.error();
  VITRINE_TRY(
      registry.put_string(**environment, u"NUMBER_OF_PROCESSORS", ex::from_utf8(std::to_string(facts.processors))));

  const Result<KeyNode*> version =
      registry.make(u"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion");
  if (!version) return version.error();
  VITRINE_TRY(registry.put_dword(**version, u"CurrentMajorVersionNumber", 10));
  VITRINE_TRY(registry.put_dword(**version, u"CurrentMinorVersionNumber", 0));

  for (const std::u16string_view name : {u"ActiveComputerName", u"ComputerName"}) {
    std::u16string path = u"\\Registry\\Machine\\System\\ControlSet001\\Control\\ComputerName\\";
    path += name;
    const Text computer[] = {{u"ComputerName", facts.computer_name}};
    VITRINE_TRY(put_texts(registry, path, computer));
  }
  VITRINE_TRY(fill_user(registry, facts));
  VITRINE_TRY(fill_multimedia_keys(registry));
  (void)registry.take_changed();
  return Status::success;
}

}  // namespace vitrine::cm
