#!/usr/bin/env python3
"""`--overlay`: nothing reaches the host; what would have changed can be shown, kept and applied; the same run has the same hash. And
`--registry`. Called by ctest with --vitrine and --programs."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import guest_case
from guest_main import main, options


def picture(folder: pathlib.Path) -> dict:
    return {str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
            for path in sorted(folder.rglob("*"))}


class Overlay(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="vitrine-overlay.")
        self.addCleanup(holder.cleanup)
        self.top = pathlib.Path(holder.name)
        self.cwd = self.top / "cwd"
        self.cwd.mkdir()
        (self.top / "tmp").mkdir()

    def run_vitrine(self, *arguments: str, code=0) -> tuple[str, str]:
        done = subprocess.run([options.vitrine, "run", *arguments], cwd=self.cwd, capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
                              check=False, env={**os.environ, "TMPDIR": str(self.top / "tmp")})
        self.assertEqual(done.returncode, code, done.stderr.decode())
        self.assertEqual(list((self.top / "tmp").iterdir()), [])
        return done.stdout.decode().replace("\r", ""), done.stderr.decode().replace("\r", "")

    def program(self, name: str) -> str:
        return str(options.programs / f"{name}.exe")

    def test_nothing_reaches_the_host(self):
        (self.cwd / "inner.txt").write_bytes(b"inside")
        before = picture(self.cwd)
        plain, _ = self.run_vitrine("--overlay", self.program("file_io"))
        self.assertEqual(picture(self.cwd), before)
        again, _ = self.run_vitrine(self.program("file_io"))
        self.assertEqual(plain, again)

    def test_shown(self):
        (self.cwd / "old.txt").write_bytes(b"old")
        _, errors = self.run_vitrine("--overlay-show", self.program("overlay_changes"))
        self.assertEqual([line for line in errors.splitlines() if "overlay:" in line], [
            "vitrine: overlay: added   C:\\work\\made\\", "vitrine: overlay: added   C:\\work\\made\\deep.txt (4 bytes)",
            "vitrine: overlay: added   C:\\work\\new.txt (3 bytes)", "vitrine: overlay: changed C:\\work\\old.txt (3 to 8 bytes)"])
        self.assertEqual(sorted(picture(self.cwd)), ["old.txt"])

    def test_nothing_to_show(self):
        _, errors = self.run_vitrine("--overlay-show", self.program("hello_write"))
        self.assertEqual(errors.splitlines(), ["vitrine: overlay: no changes"])

    def test_applied(self):
        (self.cwd / "old.txt").write_bytes(b"old")
        self.run_vitrine("--overlay-apply", self.program("overlay_changes"))
        self.assertEqual({name: content for name, (_, _, content) in picture(self.cwd).items()},
                         {"made": None, "made/deep.txt": b"deep", "new.txt": b"new", "old.txt": b"old more"})

    def test_kept(self):
        (self.cwd / "old.txt").write_bytes(b"old")
        (self.cwd / "gone.txt").write_bytes(b"gone")
        kept = self.top / "kept"
        self.run_vitrine("--overlay-keep", str(kept), self.program("overlay_changes"), "gone.txt")
        self.assertEqual(sorted(picture(self.cwd)), ["gone.txt", "old.txt"])
        self.assertEqual((kept / "work" / "made" / "deep.txt").read_bytes(), b"deep")
        self.assertEqual((kept / "work" / "old.txt").read_bytes(), b"old more")
        self.assertEqual((kept / "changes.txt").read_text().splitlines()[0], "deleted C:\\work\\gone.txt (4 bytes)")
        _, errors = self.run_vitrine("--overlay-keep", str(kept), self.program("overlay_changes"), code=125)
        self.assertEqual(len(errors.splitlines()), 1)
        self.assertIn("not empty", errors)

    def test_an_apply_without_the_right_to_write_is_one_line(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        os.chmod(self.cwd, 0o555)
        self.addCleanup(os.chmod, self.cwd, 0o755)
        self.run_vitrine("--overlay-apply", self.program("overlay_changes"), code=1)

    def trace_hash(self, *arguments: str) -> str:
        _, errors = self.run_vitrine("--stats=json", *arguments)
        return json.loads(errors[errors.index("{"):])["trace_hash"]

    def test_the_same_run_twice_has_the_same_hash(self):
        (self.cwd / "old.txt").write_bytes(b"old")
        runs = [self.trace_hash("--overlay", "--cpus", "2", self.program("overlay_changes")) for _ in range(2)]
        self.assertEqual(runs[0], runs[1])
        with_host = self.trace_hash(self.program("overlay_changes"))
        self.assertNotEqual(self.trace_hash(self.program("overlay_changes")), with_host)  # it found other files

    def test_a_program_cannot_tell_the_overlay_from_the_host(self):
        (self.cwd / "old.txt").write_bytes(b"old")
        overlaid = self.trace_hash("--overlay", self.program("overlay_changes"))
        self.assertEqual(self.trace_hash(self.program("overlay_changes")), overlaid)

    def test_verify_applies_what_the_program_wrote(self):
        (self.cwd / "old.txt").write_bytes(b"old")
        _, errors = self.run_vitrine("--verify", self.program("overlay_changes"))
        self.assertIn("two runs, equal trace", errors)
        self.assertEqual((self.cwd / "old.txt").read_bytes(), b"old more")

    def test_a_fetched_program(self):
        bzip2 = next(guest_case.fetched_folder().rglob("bzip2.exe"), None)
        if bzip2 is None:
            self.skipTest("bzip2.exe is not there (tools/fetch-programs)")
        shutil.copy(guest_case.HERE / "scripts" / "sample.txt", self.cwd / "sample.txt")
        runs = [self.trace_hash("--overlay", str(bzip2), "sample.txt") for _ in range(2)]
        self.assertEqual(runs[0], runs[1])
        self.assertEqual(sorted(picture(self.cwd)), ["sample.txt"])

    # The registry.

    def test_a_registry_is_fresh_each_time(self):
        for _ in range(2):
            output, _ = self.run_vitrine(self.program("registry_count"))
            self.assertEqual(output, "count 1\n")
        self.assertEqual(list(self.cwd.iterdir()), [])

    def test_a_registry_in_a_file_is_kept(self):
        for number in (1, 2, 3):
            output, _ = self.run_vitrine("--registry", "reg.txt", self.program("registry_count"))
            self.assertEqual(output, f"count {number}\n")
        self.assertEqual([path.name for path in self.cwd.iterdir()], ["reg.txt"])

    def test_an_overlay_keeps_the_registry_from_the_host(self):
        self.run_vitrine("--registry", "reg.txt", self.program("registry_count"))
        before = (self.cwd / "reg.txt").read_bytes()
        self.run_vitrine("--registry", "reg.txt", "--overlay", self.program("registry_count"))
        self.assertEqual((self.cwd / "reg.txt").read_bytes(), before)
        self.run_vitrine("--registry", "reg.txt", "--verify", self.program("registry_count"))
        output, _ = self.run_vitrine("--registry", "reg.txt", self.program("registry_count"))
        self.assertEqual(output, "count 3\n")

    def test_a_damaged_registry_is_one_line(self):
        self.run_vitrine("--registry", "reg.txt", self.program("registry_count"))
        whole = (self.cwd / "reg.txt").read_bytes()
        for damaged in (b"nonsense\n", whole[:len(whole) // 2] + b"\xff\x00 value", whole.replace(b"key ", b"kay ", 3), b"MZ\x90\x00" * 100,
                        whole + b"value \"x\" 1 4\n"):
            (self.cwd / "reg.txt").write_bytes(damaged)
            _, errors = self.run_vitrine("--registry", "reg.txt", self.program("registry_count"), code=125)
            self.assertEqual(len(errors.splitlines()), 1, errors)
            self.assertIn("--registry", errors)
            self.assertEqual((self.cwd / "reg.txt").read_bytes(), damaged)

    def test_a_registry_that_cannot_be_written_is_one_line(self):
        _, errors = self.run_vitrine("--registry", "no/such/folder/reg.txt", self.program("registry_count"), code=125)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        _, errors = self.run_vitrine("--registry", str(self.top), self.program("registry_count"), code=125)
        self.assertEqual(len(errors.splitlines()), 1, errors)


if __name__ == "__main__":
    sys.exit(main())
