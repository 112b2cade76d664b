// Console: the controls of input handles, and how input becomes lines and key records.
#include <algorithm>
#include <array>
#include <cstring>

#include "ex/unicode.h"
#include "io/console_keys.h"
#include "io/console_state.h"
#include "io/info_buffer.h"
#include "io/io_manager.h"

namespace vitrine::io {
namespace {

constexpr std::size_t kMaximumBuffered = 1u << 20;   // units of input that nobody reads
constexpr std::size_t kMaximumRecords = 1u << 16;
constexpr std::size_t kMaximumTitleUnits = 4096;
constexpr char16_t kControlZ = 0x1A;

std::size_t record_count(const Console::State& state) { return state.records.size() + 2 * state.text.size(); }

}  // namespace

// Takes what the host has. In line mode only whole lines can be read, and their ends become CR LF.
void Console::State::pull_input() {
  std::array<u8, 4096> buffer;
  while (!at_end && text.size() < kMaximumBuffered) {
    const auto taken = input.take(InputSource::standard_input, buffer);
    if (!taken || (*taken && **taken == 0)) {
      at_end = true;  // an error of the host ends the input as well
    } else if (!*taken) {
      break;
    } else {
      arrived.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(**taken));
    }
    if (terminal_input == TerminalInput::keys) {
      const bool characters = (input_mode & abi::kConsoleVirtualTerminalInput) != 0;
      take_keys(arrived, characters ? KeyTranslation::characters : KeyTranslation::keys, records);
      if (records.size() >= kMaximumRecords) break;
      continue;
    }
    const bool lines = (input_mode & abi::kConsoleLineInput) != 0;
    while (!arrived.empty()) {
      const std::size_t end = arrived.find('\n');
      if (end == arrived.npos && lines && !at_end && arrived.size() < kMaximumBuffered) break;
      std::string line = arrived.substr(0, end == arrived.npos ? end : end + 1);
      arrived.erase(0, line.size());
      if (lines && line.ends_with("\n")) line.insert(line.size() - 1, line.ends_with("\r\n") ? "" : "\r");
      text += ex::from_utf8(line);
    }
  }
}

void Console::State::make_records() {
  for (char16_t unit : text) {
    // A line's CR LF was the Enter key: one key, CR.
    if (unit == u'\n' && !records.empty() && records.back().character == u'\r') continue;
    const auto key =
        static_cast<u16>(unit < 0x80 ? ex::upcase(unit) : u'\0');  // letters and digits are their own key codes
    for (u32 down : {1u, 0u}) records.push_back({abi::kConsoleKeyEvent, 0, down, 1, key, 0, unit, 0});
  }
  text.clear();
}

// What was typed as keys and is read as text.
void Console::State::records_to_text() {
  std::u16string typed;
  for (const abi::ConsoleKeyRecord& record : records) {
    if (record.event_type != abi::kConsoleKeyEvent || record.key_down == 0 || record.character == 0) continue;
    typed += record.character;
    if (record.character == u'\r' && (input_mode & abi::kConsoleLineInput) != 0) typed += u'\n';
  }
  records.clear();
  text.insert(0, typed);
}

TerminalInput Console::State::text_input() const {
  if ((input_mode & abi::kConsoleLineInput) == 0) return TerminalInput::keys;
  return (input_mode & abi::kConsoleEchoInput) != 0 ? TerminalInput::lines : TerminalInput::hidden_lines;
}

void Console::State::prepare_terminal(TerminalInput wanted) {
  const bool interrupts = (input_mode & abi::kConsoleProcessedInput) != 0;
  if (terminal == nullptr) return;
  if (terminal_prepared && wanted == terminal_input && interrupts == terminal_interrupts) return;
  if (terminal_prepared) pull_input();  // what came before belongs to the mode that it was typed in
  terminal_prepared = true;
  terminal_input = wanted;
  terminal_interrupts = interrupts;
  terminal->set_input(wanted, interrupts);
}

void Console::State::take_records(Irp& irp, bool remove) {
  const std::size_t count = std::min<u64>(irp.length / sizeof(abi::ConsoleKeyRecord), records.size());
  irp.output.resize(count * sizeof(abi::ConsoleKeyRecord));
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(irp.output.data() + i * sizeof(abi::ConsoleKeyRecord), &records[i], sizeof(abi::ConsoleKeyRecord));
  }
  if (remove) records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count));
  irp.information = irp.output.size();
}

std::optional<Status> Console::State::try_read_records(Irp& irp) {
  make_records();
  if (records.empty() && !at_end) return std::nullopt;
  if (records.empty()) at_end = false;
  take_records(irp, true);
  return Status::success;
}

// `prefix`: bytes in front of the text in the answer (the key state of read_console_control).
std::optional<Status> Console::State::try_read_text(Irp& irp, std::size_t prefix, bool as_bytes) {
  if (irp.length < prefix) return Status::invalid_parameter;
  records_to_text();
  irp.output.assign(prefix, 0);
  irp.information = prefix;
  if (text.empty() && !at_end) return std::nullopt;
  if (text.empty()) {
    at_end = false;
    return Status::success;  // NT: the end of a console's input is a read of nothing
  }
  std::size_t units = std::min(text.find(u'\n'), text.size() - 1) + 1;
  // NT: Ctrl-Z at the start of a line ends a file read [Microsoft: ReadFile on a console].
  if (as_bytes && text.front() == kControlZ && (input_mode & abi::kConsoleProcessedInput) != 0) {
    text.erase(0, units);
    return Status::success;
  }
  const std::size_t room = irp.length - prefix;
  if (as_bytes) {
    std::string bytes;
    std::size_t used = 0;
    while (used < units) {
      const std::size_t step = text[used] >= 0xD800 && text[used] <= 0xDBFF && used + 1 < units ? 2 : 1;
      const std::string one = encode(input_code_page, std::u16string_view(text).substr(used, step));
      if (bytes.size() + one.size() > room) break;
      bytes += one;
      used += step;
    }
    units = used;
    irp.output.insert(irp.output.end(), bytes.begin(), bytes.end());
  } else {
    units = std::min(units, room / sizeof(char16_t));
    const u8* from = reinterpret_cast<const u8*>(text.data());
    irp.output.insert(irp.output.end(), from, from + units * sizeof(char16_t));
  }
  text.erase(0, units);
  irp.information = irp.output.size();
  return Status::success;
}

std::optional<Status> Console::State::try_read(Irp& irp) {
  const bool keys = irp.function != MajorFunction::read &&
                    static_cast<abi::ConsoleControl>(irp.control_code) == abi::ConsoleControl::read_input;
  prepare_terminal(keys ? TerminalInput::keys : text_input());
  pull_input();
  if (irp.function == MajorFunction::read) return try_read_text(irp, 0, true);
  switch (static_cast<abi::ConsoleControl>(irp.control_code)) {
    case abi::ConsoleControl::read_file: return try_read_text(irp, 0, true);
    case abi::ConsoleControl::read_console: return try_read_text(irp, 0, false);
    case abi::ConsoleControl::read_console_control: return try_read_text(irp, sizeof(u32), false);
    default: return try_read_records(irp);
  }
}

Status Console::State::read(Irp& irp) {
  if (irp.length == 0) return Status::success;
  if (readers.empty()) {
    if (const auto status = try_read(irp)) return *status;
    input.want(InputSource::standard_input, true);
  }
  readers.push_back(irp);
  return Status::pending;
}

void Console::State::serve_readers() {
  if (readers.empty()) return;
  while (!readers.empty()) {
    Irp& irp = *readers.front();
    const auto status = try_read(irp);
    if (!status) {
      input.want(InputSource::standard_input, true);
      return;
    }
    irp.device_link.unlink();
    manager.complete(irp, *status, irp.information);
  }
  input.want(InputSource::standard_input, false);
}

Status Console::State::set_input_info(Irp& irp) {
  const auto wanted = take<abi::ConsoleInputInfoParameters>(irp.input);
  if (!wanted) return Status::invalid_parameter;
  const bool in = (wanted->mask & abi::kSetConsoleInputCodePage) != 0,
             out = (wanted->mask & abi::kSetConsoleOutputCodePage) != 0;
  if (in && !is_known_code_page(wanted->info.input_code_page)) return Status::invalid_parameter;
  if (out && !is_known_code_page(wanted->info.output_code_page)) return Status::invalid_parameter;
  if (in) input_code_page = wanted->info.input_code_page;
  if (out) output_code_page = wanted->info.output_code_page;
  return Status::success;
}

// The length in units, then the characters; the information is larger by the structure's padding, as kernelbase
// expects.
Status Console::State::get_title(Irp& irp) {
  constexpr std::size_t kFixed = 8, kCharacters = 4;
  if (irp.length < kFixed) return Status::invalid_parameter;
  const std::size_t bytes =
      std::min<std::size_t>(irp.length - kFixed, title.size() * sizeof(char16_t)) & ~std::size_t{1};
  irp.output.assign(kFixed + bytes, 0);
  const u32 length = static_cast<u32>(title.size());
  std::memcpy(irp.output.data(), &length, sizeof(length));
  std::memcpy(irp.output.data() + kCharacters, title.data(), bytes);
  irp.information = irp.output.size();
  return Status::success;
}

Status Console::State::input_control(Irp& irp, abi::ConsoleControl code) {
  switch (code) {
    case abi::ConsoleControl::get_mode: return answer(irp, input_mode);
    case abi::ConsoleControl::set_mode: {
      const auto mode = take<u32>(irp.input);
      if (!mode) return Status::invalid_parameter;
      input_mode = *mode;
      return Status::success;
    }
    case abi::ConsoleControl::read_console:
    case abi::ConsoleControl::read_file:
    case abi::ConsoleControl::read_console_control:
    case abi::ConsoleControl::read_input: return read(irp);
    case abi::ConsoleControl::peek:
      prepare_terminal(TerminalInput::keys);
      pull_input();
      make_records();
      take_records(irp, false);
      return Status::success;
    case abi::ConsoleControl::write_input: {
      if (irp.input.size() % sizeof(abi::ConsoleKeyRecord) != 0) return Status::invalid_parameter;
      make_records();
      const std::size_t count = irp.input.size() / sizeof(abi::ConsoleKeyRecord);
      if (records.size() + count > kMaximumRecords) return Status::insufficient_resources;
      for (std::size_t i = 0; i < count; ++i) {
        abi::ConsoleKeyRecord record{};
        std::memcpy(&record, irp.input.data() + i * sizeof(record), sizeof(record));
        records.push_back(record);
      }
      irp.information = irp.input.size();
      serve_readers();
      return Status::success;
    }
    case abi::ConsoleControl::get_input_info:
      pull_input();
      return answer(irp,
                    abi::ConsoleInputInfo{input_code_page, output_code_page, static_cast<u32>(record_count(*this))});
    case abi::ConsoleControl::set_input_info: return set_input_info(irp);
    case abi::ConsoleControl::flush:
      pull_input();
      text.clear();
      records.clear();
      return Status::success;
    case abi::ConsoleControl::get_title: return get_title(irp);
    case abi::ConsoleControl::set_title:
      if (irp.input.size() % sizeof(char16_t) != 0 || irp.input.size() / 2 > kMaximumTitleUnits)
        return Status::invalid_parameter;
      title.resize(irp.input.size() / sizeof(char16_t));
      if (!irp.input.empty()) std::memcpy(title.data(), irp.input.data(), irp.input.size());
      return Status::success;
    case abi::ConsoleControl::beep: return emit("\a");
    case abi::ConsoleControl::get_window: return answer(irp, u32{0});  // no window belongs to it
    case abi::ConsoleControl::get_process_list:
      // The caller's own process; others that share the console are not told apart here.
      return answer(irp, static_cast<u32>(irp.requester.process_id));
    case abi::ConsoleControl::bind_process: return Status::success;  // there is one console, and every process is on it
    default: return Status::invalid_handle;
  }
}

}  // namespace vitrine::io
