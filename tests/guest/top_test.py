#!/usr/bin/env python3
"""`vitrine top`: snapshots without a terminal, a live view on one (a pty), and that watching changes nothing. Called by ctest with --vitrine and
--programs."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

sys.dont_write_bytecode = True
from guest_main import main, options


def program(name: str) -> str:
    return str(options.programs / f"{name}.exe")


def run(*arguments: str, command="top") -> subprocess.CompletedProcess:
    with tempfile.TemporaryDirectory(prefix="vitrine-top.") as folder:
        return subprocess.run([options.vitrine, command, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=100, check=False)


def snapshots(text: str) -> list[dict]:
    """Each with its time, its processes and its threads by column."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if "of virtual time" in line and "rates over" in line:
            found.append({"seconds": float(words[0]), "processes": {}, "threads": {}})
        elif words and re.fullmatch(r"0x\w+", words[0]) and found:
            if re.fullmatch(r"0x\w+", words[1]):
                keys = ["process", "pri", "base", "cpu", "priv", "user", "switches", "elapsed", "start", "state", "reason"]
                found[-1]["threads"][words[0]] = dict(zip(keys, words[1:]))
            else:
                found[-1]["processes"][words[-1]] = dict(zip(["base", "threads", "handles", "priv", "user"], words[1:]))
    return found


class Snapshots(unittest.TestCase):
    def test_counters_follow_their_formulas(self):
        # "middle" spins at 8 from 1.1 ms on; "low" is ready below it, "high" waits for what "low" holds.
        done = run("--every", "50ms", program("priority_inversion"), "mutex")
        self.assertEqual(done.returncode, 0)
        looks = snapshots(done.stderr)
        self.assertGreaterEqual(len(looks), 3)
        look = looks[2]
        threads = list(look["threads"].values())
        middle = [t for t in threads if float(t["cpu"]) > 90]
        self.assertEqual(len(middle), 1)
        self.assertEqual((middle[0]["state"], middle[0]["pri"], middle[0]["base"]), ("Running", "8", "8"))
        self.assertLessEqual(float(middle[0]["cpu"]), 100)
        low = [t for t in threads if t["base"] == "6"]
        self.assertEqual([(t["state"], t["cpu"]) for t in low], [("Ready", "0.0")])
        high = [t for t in threads if t["base"] == "10"]
        self.assertEqual([(t["state"], t["reason"]) for t in high], [("Waiting", "UserRequest")])
        for thread in threads:
            self.assertAlmostEqual(float(thread["cpu"]), float(thread["priv"]) + float(thread["user"]), delta=0.11)
            self.assertLessEqual(float(thread["elapsed"]), look["seconds"] + 0.02)
        process = look["processes"]["priority_inversion.exe"]
        self.assertEqual((process["base"], process["threads"]), ("8", "4"))
        self.assertGreater(float(process["user"]), 90)

    def test_looks_come_at_their_times_and_end_with_one_line(self):
        done = run("--every", "250ms", program("sched_slices"))
        times = [look["seconds"] for look in snapshots(done.stderr)]
        self.assertGreaterEqual(len(times), 4)
        for number, time in enumerate(times, 1):
            self.assertGreaterEqual(time, 0.25 * number)
        self.assertRegex(done.stderr.splitlines()[-1], r"^vitrine: top: [\d.]+ s of virtual time, exit code 0x0, trace [0-9a-f]{16}$")
        self.assertIn("class 20: process 8", done.stdout)

    def test_watching_changes_nothing(self):
        watched = run("--cpus", "2", "--every", "1ms", program("four_threads")).stderr
        plain = run("--cpus", "2", "--stats", program("four_threads"), command="run").stderr
        self.assertEqual(re.search(r"trace ([0-9a-f]{16})", watched).group(1), re.search(r"trace ([0-9a-f]{16})", plain).group(1))

    def test_mistakes_are_one_line(self):
        for arguments in ([], ["--every", "0ms", program("hello_write")], ["--every", "soon", program("hello_write")], ["nothing.exe"]):
            done = run(*arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)


class Live(unittest.TestCase):
    def on_terminal(self, *arguments: str, rows=20, columns=100) -> tuple[str, int]:
        """All that appeared on the terminal, and the exit code."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        with tempfile.TemporaryDirectory(prefix="vitrine-top.") as folder:
            process = subprocess.Popen([options.vitrine, "top", *arguments], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
            os.close(theirs)
            shown = b""
            try:
                while data := os.read(ours, 65536):
                    shown += data
            except OSError:  # the other end is closed
                pass
            os.close(ours)
            return shown.decode(), process.wait(timeout=60)

    def test_frames_fit_the_window_and_the_screen_comes_back(self):
        shown, code = self.on_terminal("--every", "20ms", program("sched_slices"))
        self.assertEqual(code, 0)
        before, view = shown.split("\x1b[?1049h", 1)
        view, after = view.split("\x1b[?1049l", 1)
        self.assertEqual(before, "")
        frames = view.split("\x1b[H")[1:]
        self.assertGreaterEqual(len(frames), 2)
        for frame in frames:
            lines = frame.split("\x1b[K\r\n")
            self.assertLessEqual(len(lines), 20)
            self.assertLessEqual(max(len(line.split("\x1b")[0]) for line in lines), 100)
        self.assertIn("sched_slices.exe", frames[-1])
        self.assertIn("Running", view)
        self.assertNotIn("three spinners", view, "the program's output would spoil the view")
        self.assertIn("three spinners", after)
        self.assertIn("vitrine: top: ", after)


if __name__ == "__main__":
    sys.exit(main())
