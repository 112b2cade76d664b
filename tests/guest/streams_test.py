#!/usr/bin/env python3
"""Standard streams and files when the host refuses: the program gets the right error, the host loses nothing, Vitrine's exit code is the
program's. Called by ctest with --vitrine and --programs."""

import hashlib
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from guest_main import main, options

BROKEN_PIPE, DISK_FULL, ACCESS_DENIED, NOT_FOUND = 109, 112, 5, 2
PATTERN = bytes(ord("a") + i % 26 for i in range(10_000))


class Streams(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="vitrine-streams.")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def command(self, *arguments: str, more=()) -> list[str]:
        return [options.vitrine, "run", "--timeout", "60", *more, str(options.programs / "stream_errors.exe"), *arguments]

    def run_verb(self, *arguments: str, more=(), **settings) -> tuple[int, bytes, str]:
        done = subprocess.run(self.command(*arguments, more=more), cwd=self.folder, capture_output="stdout" not in settings,
                              stderr=subprocess.PIPE if "stdout" in settings else None,
                              **({} if "input" in settings or "stdin" in settings else {"stdin": subprocess.DEVNULL}), timeout=90,
                              check=False, **settings)
        return done.returncode, done.stdout or b"", done.stderr.decode().replace("\r", "")

    def test_bytes_pass_through_pipes_and_files_unchanged(self):
        data = random.Random(5).randbytes(300_000) + b"\x1a\r\n\n\r\x00\xff"
        code, output, _ = self.run_verb("copy", input=data)
        self.assertEqual((code, hashlib.sha256(output).digest()), (0, hashlib.sha256(data).digest()))
        (self.folder / "in").write_bytes(data)
        with open(self.folder / "in", "rb") as source, open(self.folder / "out", "wb") as target:
            code, _, _ = self.run_verb("copy", stdin=source, stdout=target)
        self.assertEqual((code, (self.folder / "out").read_bytes() == data), (0, True))

    def test_output_appends_where_the_shell_said_so(self):
        (self.folder / "log").write_bytes(b"before ")
        with open(self.folder / "log", "ab") as target:
            self.run_verb("copy", input=b"after", stdout=target)
        self.assertEqual((self.folder / "log").read_bytes(), b"before after")

    def test_a_reader_that_goes_away(self):
        process = subprocess.Popen(self.command("output", "10000000"), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        start = process.stdout.read(15_000)
        process.stdout.close()
        errors = process.stderr.read().decode()
        process.stderr.close()
        self.assertEqual(process.wait(60), 3)
        self.assertEqual(start, (PATTERN * 2)[:15_000])
        self.assertRegex(errors, f"^error {BROKEN_PIPE} after [0-9]+")

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_output_to_a_full_device(self):
        with open("/dev/full", "wb") as full:
            code, _, errors = self.run_verb("output", "100000", stdout=full)
        self.assertEqual((code, errors), (3, f"error {DISK_FULL} after 0\n"))

    def limited(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    def test_output_up_to_the_limit_of_a_file(self):
        with open(self.folder / "out", "wb") as target:
            code, _, errors = self.run_verb("output", "100000", stdout=target, preexec_fn=self.limited)
        self.assertEqual((code, errors), (3, f"error {DISK_FULL} after 50000\n"))
        self.assertEqual((self.folder / "out").read_bytes(), PATTERN * 5)

    def test_a_file_up_to_its_limit(self):
        code, _, errors = self.run_verb("file", "out", "100000", preexec_fn=self.limited)
        self.assertEqual((code, errors), (3, f"error {DISK_FULL} after 50000\n"))
        self.assertEqual((self.folder / "out").read_bytes(), PATTERN * 5)

    def test_a_view_beyond_the_limit(self):
        code, _, errors = self.run_verb("map", "out", "100000", preexec_fn=self.limited)
        self.assertEqual((code, errors), (3, f"map error {DISK_FULL}\n"))

    def test_a_full_file_system(self):
        (self.folder / "small").mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(self.folder / "small")], capture_output=True,
                                 check=False)
        if mounted.returncode != 0:
            self.skipTest("a small file system needs root")
        self.addCleanup(subprocess.run, ["umount", str(self.folder / "small")], check=False)
        more = [f"--mount=C:\\small={self.folder / 'small'}"]
        (self.folder / "small" / "kept").write_bytes(b"kept")
        code, _, errors = self.run_verb("file", "C:\\small\\out", "100000", more=more)
        self.assertEqual(code, 3, errors)
        self.assertRegex(errors, f"^error {DISK_FULL} after [0-9]+")
        self.assertEqual((self.folder / "small" / "kept").read_bytes(), b"kept")
        self.assertTrue((self.folder / "small" / "out").read_bytes().startswith(PATTERN))

    def test_an_overlay_without_room_changes_nothing(self):
        (self.folder / "out").write_bytes(b"old")
        code, _, errors = self.run_verb("file", "out", "100000", more=["--overlay"], preexec_fn=self.limited)
        self.assertEqual(code, 3, errors)
        self.assertRegex(errors, f"^error {DISK_FULL} after [0-9]+")
        self.assertEqual((self.folder / "out").read_bytes(), b"old")

    def test_a_file_that_is_taken_away_during_the_run(self):
        (self.folder / "gone").write_bytes(b"still here")
        process = subprocess.Popen(self.command("read", "gone"), cwd=self.folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL)
        self.assertEqual(process.stderr.readline().strip(), b"opened")
        os.unlink(self.folder / "gone")
        _, errors = process.communicate(b"g", timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(errors.decode().split("\r\n")[:2], ["read 1 10 still here", f"again {NOT_FOUND}"])

    @unittest.skipIf(os.geteuid() == 0, "root may read and write everything")
    def test_files_that_the_user_may_not_touch(self):
        (self.folder / "secret").write_bytes(b"x")
        os.chmod(self.folder / "secret", 0)
        self.assertEqual(self.run_verb("read", "secret")[::2], (3, f"open error {ACCESS_DENIED}\n"))

    def test_a_folder_that_the_user_may_not_write(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        os.chmod(self.folder, 0o555)
        self.addCleanup(os.chmod, self.folder, 0o755)
        self.assertEqual(self.run_verb("file", "new", "10")[::2], (3, f"open error {ACCESS_DENIED}\n"))

    def test_a_file_that_is_read_only_on_the_host(self):
        (self.folder / "fixed").write_bytes(b"fixed")
        os.chmod(self.folder / "fixed", 0o444)
        self.assertEqual(self.run_verb("file", "fixed", "10")[::2], (3, f"open error {ACCESS_DENIED}\n"))
        self.assertEqual((self.folder / "fixed").read_bytes(), b"fixed")

    def test_an_input_that_cannot_be_read(self):
        folder = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        self.assertEqual(self.run_verb("copy", stdin=folder)[:2], (0, b""))


if __name__ == "__main__":
    sys.exit(main())
