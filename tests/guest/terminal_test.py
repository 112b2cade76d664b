#!/usr/bin/env python3
"""A program at a terminal: keys, lines, Ctrl-C, window size, and the terminal as it was afterwards; a REPL (Lua) with typing, editing,
interruption and exit. The terminal is tmux's; without tmux the test is skipped. Called by ctest with --vitrine and --programs."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import guest_case
from guest_main import main, options


class Terminal(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="vitrine-tty.")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.socket = str(self.folder / "tmux")
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "100", "-y", "30", "env PS1='$ ' sh", cwd=self.folder)
        self.addCleanup(self.tmux, "kill-server")
        self.wait_for("$")
        self.type("stty -g > before", "Enter")
        self.wait_until(lambda: (self.folder / "before").exists() and (self.folder / "before").read_text())

    def tmux(self, *arguments: str, cwd=None) -> str:
        environment = {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_PANE")}
        done = subprocess.run(["tmux", "-S", self.socket, *arguments], capture_output=True, text=True, timeout=30, check=False, cwd=cwd,
                              env={**environment, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
        return done.stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-S", "-200", "-t", "t")

    def type(self, *keys: str):
        self.tmux("send-keys", "-t", "t", *keys)

    def wait_until(self, condition, seconds=30.0):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.fail("not seen in time; the screen:\n" + self.screen())
            time.sleep(0.05)

    def wait_for(self, text: str, times=1):
        self.wait_until(lambda: self.screen().count(text) >= times)

    def start(self, program: str, *arguments: str, more=""):
        self.type("clear", "Enter")
        self.wait_until(lambda: self.screen().strip() == "$")  # typed ahead, the echo would be cleared and the prompt come after it
        self.type(f"'{options.vitrine}' run {more} '{program}' {' '.join(arguments)}; echo \"code $?\"; stty -g > after", "Enter")

    def session(self, *arguments: str, more=""):
        self.start(str(options.programs / "console_session.exe"), *arguments, more=more)

    def ends(self, code: int):
        self.wait_for(f"code {code}\n")
        self.wait_until(lambda: (self.folder / "after").exists() and (self.folder / "after").read_text())
        self.assertEqual((self.folder / "after").read_text(), (self.folder / "before").read_text(), "the terminal is not as it was")

    def lines(self, word: str) -> list[str]:
        return [line.rstrip() for line in self.screen().splitlines() if line.startswith(word)]

    def test_keys_are_events(self):
        self.session("keys")
        self.wait_for("ready")
        self.type("a", "B", "Up", "F5", "BSpace", "Enter", "C-d", "M-x", "S-Right", "é", "q")
        self.ends(7)
        self.assertEqual(self.lines("key"), [
            "key 41 scan 1e char 0061 state 0", "key 42 scan 30 char 0042 state 10", "key 26 scan 48 char 0000 state 100",
            "key 74 scan 3f char 0000 state 100", "key 08 scan 0e char 0008 state 0", "key 0d scan 1c char 000d state 0",
            "key 44 scan 20 char 0004 state 8", "key 58 scan 2d char 0078 state 2", "key 27 scan 4d char 0000 state 110",
            "key 00 scan 00 char 00e9 state 0", "key 51 scan 10 char 0071 state 0"])

    def test_characters_without_line_input(self):
        self.session("text")
        self.wait_for("ready")
        self.type("x", "Left", "BSpace", "Enter", "q")
        self.ends(7)
        self.assertEqual(self.lines("char"), ["char 0078", "char 0008", "char 000d", "char 0071"])

    def test_virtual_terminal_input(self):
        self.session("raw")
        self.wait_for("ready")
        self.type("Up", "C-c", "q")  # without processed input Ctrl-C is a character
        self.ends(7)
        self.assertEqual(self.lines("char"), ["char 001b", "char 005b", "char 0041", "char 0003", "char 0071"])

    def test_a_line_is_edited_by_the_terminal(self):
        self.session("line")
        self.wait_for("ready")
        self.type("wrongx", "BSpace", "BSpace", "!", "Enter")
        self.ends(7)
        self.assertEqual(self.lines("line"), ["line 7 <wron!>"])

    def test_the_size_of_the_window(self):
        self.session("size")
        self.ends(7)
        self.assertEqual(self.lines("size"), ["size 100 30 window 100 30"])
        self.assertEqual(self.lines("cursor"), ["cursor 5 11"])

    def test_a_new_size_is_an_event(self):
        self.session("resize", more="--verify")
        self.wait_for("ready")
        self.tmux("resize-window", "-t", "t", "-x", "90", "-y", "20")
        self.wait_for("event 90 20")
        self.type("x")
        self.tmux("resize-window", "-t", "t", "-x", "120", "-y", "40")
        self.wait_for("event 120 40")
        self.type("q")
        self.ends(7)
        self.assertEqual(self.lines("event"), ["event 90 20 size 90 20", "event 120 40 size 120 40"])

    def test_control_c_is_the_programs(self):
        self.session("control")
        self.wait_for("ready")
        self.type("C-c")
        self.wait_for("control 0")
        time.sleep(2.2)  # later than that it is no second one
        self.type("C-c")
        self.wait_for("two")
        self.ends(7)

    def test_control_c_ends_a_program_without_a_handler(self):
        self.session("spin")
        self.wait_for("ready")
        self.type("C-c")
        self.ends(0)  # Wine's kernelbase ends it with 0, where Windows says STATUS_CONTROL_C_EXIT

    def test_a_second_control_c_ends_the_run(self):
        self.session("control")
        self.wait_for("ready")
        self.type("C-c")
        self.wait_for("control 0")
        self.type("C-c")
        self.ends(130)

    def test_the_terminal_after_a_crash(self):
        self.session("crash")
        self.wait_for("ready")
        self.type("q")
        self.ends(5)

    def test_the_terminal_after_a_timeout(self):
        self.session("keys", more="--timeout 1")
        self.ends(124)

    def test_the_terminal_after_termination(self):
        for number, code in ((15, 130), (6, 134)):
            self.session("keys")
            self.wait_for("ready")
            (self.folder / "after").unlink(missing_ok=True)
            pane = self.tmux("display-message", "-p", "-t", "t", "#{pane_pid}").strip()
            children = pathlib.Path(f"/proc/{pane}/task/{pane}/children").read_text().split()
            self.assertEqual(len(children), 1)
            os.kill(int(children[0]), number)
            self.ends(code)

    def test_a_repl(self):
        lua = next(guest_case.fetched_folder().rglob("lua.exe"), None)
        if lua is None:
            self.skipTest("lua.exe is not there (tools/fetch-programs)")
        self.start(str(lua), "-i")
        self.wait_for("\n>")
        self.type("prinx", "BSpace", "t(6*7, ...)", "Enter")
        self.wait_for("\n42")
        self.type("for i = 1, 3 do", "Enter")
        self.wait_for(">>")
        self.type("io.write(i, ' ')", "Enter", "en", "d", "Enter")
        self.wait_for("1 2 3")
        self.type("while true do end", "Enter")
        time.sleep(1)
        self.type("C-c")
        self.wait_for("interrupted!")
        self.type("os.exit(9)", "Enter")
        self.ends(9)


if __name__ == "__main__":
    sys.exit(main(needs="tmux"))
