// ConsoleKeys: the bytes of a terminal in its raw mode as the key events of a console: UTF-8, control characters and
// the sequences of cursor and function keys [xterm control sequences; Microsoft: KEY_EVENT_RECORD, virtual-key codes].
// A layout is not known: virtual keys are those of a US keyboard.
#pragma once

#include <deque>
#include <string>

#include "abi/console_device.h"

namespace vitrine::io {

enum class KeyTranslation : u8 {
  keys,        // sequences become keys
  characters,  // ENABLE_VIRTUAL_TERMINAL_INPUT: every character is a key of its own
};

// Takes whole characters and sequences off the front of `bytes`, a down and an up event for each. An unfinished UTF-8
// character stays; an escape that nothing follows is the Escape key.
void take_keys(std::string& bytes, KeyTranslation translation, std::deque<abi::ConsoleKeyRecord>& records);

}  // namespace vitrine::io
