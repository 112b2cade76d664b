#!/usr/bin/env python3
"""`vitrine lab` from the outside: pictures, and ends that come early. Called by ctest with --vitrine."""

import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

options = argparse.Namespace()


def lab(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run([options.vitrine, "lab", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


def limit(*arguments: str) -> dict:
    """The figures of a thread-limit run, and what it said."""
    with tempfile.TemporaryDirectory(prefix="vitrine-lab.") as folder:
        path = pathlib.Path(folder) / "figures.json"
        done = lab("thread-limit", "--json", str(path), *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(path.read_text()) | {"said": done.stdout}


class Guest(unittest.TestCase):
    def test_a_windows_program_meets_the_same_limit_as_the_services(self):
        figures = limit("--guest", "--ram", "8G", "--system-ptes", "56M")
        self.assertEqual(figures["limit"], "system PTEs")
        # 2,048 stacks of 28 KB, those of the system, the program's main thread and its four creators among them.
        self.assertLess(figures["threads"], 2048)
        self.assertGreater(figures["threads"], 2048 - 20)
        # The report is of the moment when the first creator gives up; its stack lets each of the other three make one more.
        created = int(re.search(r"created (\d+) threads, error 1450", figures["said"]).group(1))
        self.assertIn(created - figures["threads"], range(4))

    def test_a_program_that_tells_csrss_itself_is_not_told_of_twice(self):
        said = limit("--guest", "--guest-call", "library", "--threads", "500")["said"]
        self.assertIn("created 500 threads, error 0", said)
        self.assertIn("CSRSS was told of 504 threads", said)  # and of the creators

    def test_the_seeds_way_out_is_one_page_of_its_own_and_no_call(self):
        plain = limit("--guest", "--guest-call", "library", "--threads", "500")["said"]
        patched = limit("--guest", "--guest-call", "patch", "--threads", "500")["said"]
        self.assertIn("created 500 threads, error 0", patched)
        self.assertIn("CSRSS was told of 0 threads", patched)
        copied = [int(said.split("the program copied ")[1].split()[0]) for said in (plain, patched)]
        self.assertEqual(copied[1], copied[0] + 1)

    def test_another_process_keeps_the_call_that_one_has_patched(self):
        program = pathlib.Path(options.vitrine).parent / "guest" / "thread_creator.exe"
        done = subprocess.run([options.vitrine, "run", "--stats=json", str(program), "--patch", "--threads", "7", "--processes", "2"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.stdout.split(), "created 7 threads, error 0 created 7 threads, error 0".split(), done.stderr)
        # The child's requests: four creators and seven threads.
        self.assertRegex(done.stderr, r'"NtRequestWaitReplyPort": 11\b')


class Pictures(unittest.TestCase):
    def test_csrss_draws_and_writes_its_figures(self):
        with tempfile.TemporaryDirectory(prefix="vitrine-lab.") as name:
            folder = pathlib.Path(name)
            done = lab("csrss", "--threads", "3000", "--plot", str(folder / "a.svg"), "--plot", str(folder / "a.png"), "--json",
                       str(folder / "a.json"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("<svg", (folder / "a.svg").read_text())
            self.assertTrue((folder / "a.png").read_bytes().startswith(b"\x89PNG"))
            figures = json.loads((folder / "a.json").read_text())
            self.assertEqual([s["strategy"] for s in figures["series"]], ["chained:256", "chained:1024", "constant", "resizing", "bypass"])
            self.assertTrue(all(s["threads"] == 3000 for s in figures["series"]))

    def test_thread_memory_draws_the_four_places(self):
        with tempfile.TemporaryDirectory(prefix="vitrine-lab.") as folder:
            picture = pathlib.Path(folder) / "g.svg"
            self.assertEqual(lab("thread-memory", "--graph", str(picture)).returncode, 0)
            for place in ("ObCreateObject", "ExCreateHandle", "MmCreateTeb", "KeInitThread"):
                self.assertIn(place, picture.read_text())

    def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_runs(self):
        done = lab("csrss", "--plot", "a.gif")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--plot a.gif: give a file that ends in .svg or .png", done.stderr)


class EarlyEnds(unittest.TestCase):
    def test_ctrl_c_and_sigterm_end_with_the_threads_that_there_are(self):
        for how, guest in ((signal.SIGINT, []), (signal.SIGTERM, []), (signal.SIGTERM, ["--guest"])):
            process = subprocess.Popen([options.vitrine, "lab", "thread-limit", "--csrss", "bypass", *guest], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            time.sleep(2)
            process.send_signal(how)
            out, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 130, (how, guest, out))
            self.assertRegex(out, r"\d+ threads in 1 process when interrupted\.")
            self.assertIn("the id table", out)

    def test_the_host_limit_ends_with_the_threads_that_there_are(self):
        for guest in ([], ["--guest"]):
            done = lab("thread-limit", "--csrss", "bypass", "--host-limit", "100M", *guest)
            self.assertEqual(done.returncode, 125, done.stderr)
            self.assertRegex(done.stdout, r"\d+ threads in 1 process when the host's memory reached --host-limit\.")

    def test_what_cannot_be_measured_is_said_in_one_line(self):
        for arguments in (["thread-limit", "--profile", "nt40"],
                          ["thread-limit", "--ram", "much"], ["csrss", "--strategy", "tree"]):
            done = lab(*arguments)
            self.assertEqual(done.returncode, 125, done.stdout)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--vitrine", required=True)
    options, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
