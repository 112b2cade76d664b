#include "ob/standard_directories.h"

namespace vitrine::ob {

Status make_standard_directories(ObjectManager& objects) {
  constexpr std::u16string_view kDirectories[] = {u"\\GLOBAL??",
                                                  u"\\Device",
                                                  u"\\Driver",
                                                  u"\\FileSystem",
                                                  u"\\BaseNamedObjects",
                                                  u"\\BaseNamedObjects\\Restricted",
                                                  u"\\KernelObjects",
                                                  u"\\Sessions",
                                                  u"\\Sessions\\0",
                                                  u"\\Sessions\\0\\DosDevices",
                                                  u"\\Sessions\\1",
                                                  u"\\Sessions\\1\\BaseNamedObjects",
                                                  u"\\Sessions\\1\\DosDevices",
                                                  u"\\Sessions\\1\\Windows",
                                                  u"\\Sessions\\BNOLINKS",
                                                  u"\\Windows",
                                                  u"\\RPC Control",
                                                  u"\\Security",
                                                  u"\\Callback",
                                                  u"\\NLS"};
  struct Link {
    std::u16string_view path, target;
  };
  // NT resolves the prefix \?? to the caller's device directory before it walks the name; with one session for programs
  // a link to the global one says the same.
  constexpr Link kLinks[] = {
      {u"\\??", u"\\GLOBAL??"},
      {u"\\DosDevices", u"\\??"},
      {u"\\GLOBAL??\\Global", u"\\GLOBAL??"},
      {u"\\GLOBAL??\\GLOBALROOT", u"\\"},
      {u"\\BaseNamedObjects\\Global", u"\\BaseNamedObjects"},
      {u"\\BaseNamedObjects\\Local", u"\\BaseNamedObjects"},
      {u"\\BaseNamedObjects\\Session", u"\\Sessions\\BNOLINKS"},
      {u"\\Sessions\\0\\BaseNamedObjects", u"\\BaseNamedObjects"},
      {u"\\Sessions\\1\\BaseNamedObjects\\Global", u"\\BaseNamedObjects"},
      {u"\\Sessions\\1\\BaseNamedObjects\\Local", u"\\Sessions\\1\\BaseNamedObjects"},
      {u"\\Sessions\\1\\BaseNamedObjects\\Session", u"\\Sessions\\BNOLINKS"},
      {u"\\Sessions\\BNOLINKS\\0", u"\\BaseNamedObjects"},
      {u"\\Sessions\\BNOLINKS\\1", u"\\Sessions\\1\\BaseNamedObjects"},
  };
  for (const std::u16string_view path : kDirectories) {
    const Result<Ref<DirectoryObject>> directory = objects.make_directory(path);
    if (!directory) return directory.error();
  }
  for (const Link& link : kLinks) VITRINE_TRY(objects.make_symbolic_link(link.path, link.target));
  return Status::success;
}

}  // namespace vitrine::ob
