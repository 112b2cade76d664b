#include "pe/image.h"

namespace vitrine::pe {

std::string_view describe(Error error) {
  switch (error) {
    case Error::empty_file:
      return "is empty";
    case Error::script:
      return "is a script, not a Windows program";
    case Error::elf:
      return "is a Linux program (ELF), not a Windows program";
    case Error::text:
      return "is a text file, not a Windows program";
    case Error::not_mz:
      return "is not a Windows program (no MZ header)";
    case Error::dos_program:
      return "is a DOS program";
    case Error::windows_16_bit:
      return "is a 16-bit program";
    case Error::bad_signature:
      return "has an MZ header but no PE header";
    case Error::truncated:
      return "is truncated: its headers are incomplete";
    case Error::image_32_bit:
      return "is a 32-bit program; only x86-64 programs run here";
    case Error::wrong_machine:
      return "was built for another processor than x86-64";
    case Error::not_executable:
      return "is not marked as executable (an object file, or its link failed)";
    case Error::is_dll:
      return "is a DLL, not a program";
    case Error::no_entry_point:
      return "has no entry point";
    case Error::wrong_subsystem:
      return "is neither a console nor a GUI program";
    case Error::bad_optional_header:
      return "has a damaged optional header";
    case Error::bad_alignment:
      return "has section or file alignments that cannot be mapped";
    case Error::bad_image_base:
      return "has an image base that is not a multiple of 64 KB";
    case Error::image_too_large:
      return "has an image size of zero or more than 2 GB";
    case Error::too_many_sections:
      return "has more than 96 sections";
    case Error::sections_overlap:
      return "has sections that overlap, leave gaps or leave the image";
    case Error::section_outside_file:
      return "is truncated: a section's data lies outside the file";
  }
  return "cannot be read";
}

// NT: MiVerifyImageHeader's results [public ntstatus.h texts; facts nt-kernel 10.5].
Status to_status(Error error) {
  switch (error) {
    case Error::empty_file:
      return Status::mapped_file_size_zero;
    case Error::script:
    case Error::elf:
    case Error::text:
    case Error::not_mz:
      return Status::invalid_image_not_mz;
    case Error::dos_program:
    case Error::bad_signature:
      return Status::invalid_image_protect;
    case Error::windows_16_bit:
      return Status::invalid_image_win_16;
    default:
      return Status::invalid_image_format;
  }
}

}  // namespace vitrine::pe
