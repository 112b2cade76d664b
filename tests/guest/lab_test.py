#!/usr/bin/env python3
"""`vitrine lab` from the outside: pictures, and ends that come early. Called by ctest with --vitrine."""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

options = argparse.Namespace()


def lab(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run([options.vitrine, "lab", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


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

    def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_runs(self):
        done = lab("csrss", "--plot", "a.gif")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--plot a.gif: give a file that ends in .svg or .png", done.stderr)


class EarlyEnds(unittest.TestCase):
    def test_ctrl_c_ends_with_the_threads_that_there_are(self):
        for guest in ([],):
            process = subprocess.Popen([options.vitrine, "lab", "thread-limit", "--csrss", "bypass", *guest], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            time.sleep(2)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 130, out)
            self.assertRegex(out, r"\d+ threads in 1 process when interrupted\.")
            self.assertIn("the id table", out)

    def test_the_host_limit_ends_with_the_threads_that_there_are(self):
        for guest in ([],):
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
