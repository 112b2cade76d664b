#!/usr/bin/env python3
"""What users get wrong, and what they do to a running program: one clear line, the documented exit code (docs/running.md), and nothing
left behind. Called by ctest with --vitrine and --programs."""

import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
from guest_main import main, options

TIMEOUT, OWN, NOT_RUNNABLE, NOT_FOUND, INTERRUPTED = 124, 125, 126, 127, 130


def minimal_pe(machine=0x8664, magic=0x20B, characteristics=0x22, subsystem=3) -> bytes:
    """Headers of an image with one section: enough to be told what kind it is."""
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    optional = struct.pack("<HBBIIIII", magic, 2, 40, 512, 0, 0, 0x1000, 0x1000)
    if magic == 0x20B:
        optional += struct.pack("<QIIHHHHHHIIIIHHQQQQII", 0x140000000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, 0x2000, 512, 0, subsystem, 0,
                                1 << 20, 4096, 1 << 20, 4096, 0, 16)
    else:
        optional += struct.pack("<IIIIHHHHHHIIIIHHIIIIII", 0x1000, 0x400000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, 0x2000, 512, 0, subsystem, 0,
                                1 << 20, 4096, 1 << 20, 4096, 0, 16)
    optional += bytes(16 * 8)
    header = b"PE\0\0" + struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, len(optional), characteristics)
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 512, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    return (dos + header + optional + section).ljust(512, b"\0") + b"\xc3".ljust(512, b"\xcc")


class BadInput(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="vitrine-bad.")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        (self.folder / "tmp").mkdir()
        (self.folder / "cwd").mkdir()

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def program(self, name: str) -> str:
        return str(options.programs / name)

    def start(self, *arguments: str, **streams) -> subprocess.Popen:
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        return subprocess.Popen([options.vitrine, "run", *arguments], cwd=self.folder / "cwd", start_new_session=True,
                                env={**os.environ, "TMPDIR": str(self.folder / "tmp")}, **settings)

    def run_vitrine(self, *arguments: str) -> tuple[int, bytes, str]:
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=60)
        self.assert_nothing_left(process)
        return process.returncode, output, errors.decode("utf-8", "replace")

    def assert_nothing_left(self, process: subprocess.Popen):
        self.assertEqual(list((self.folder / "tmp").iterdir()), [], "temporary files are left")
        self.assertEqual(list((self.folder / "cwd").iterdir()), [], "files are left in the current folder")
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                session = int(stat.read_text().rsplit(")", 1)[1].split()[3])
            except (OSError, ValueError):
                continue
            self.assertNotEqual(session, process.pid, f"process {stat.parent.name} is left")

    def assert_refused(self, code: int, *arguments: str, says: str = ""):
        returned, output, errors = self.run_vitrine(*arguments)
        lines = errors.splitlines()
        self.assertEqual(returned, code, errors)
        self.assertEqual(output, b"")
        self.assertEqual(len(lines), 1, f"expected one line:\n{errors}")
        self.assertTrue(lines[0].startswith("vitrine: "), errors)
        self.assertIn(says.lower(), lines[0].lower())

    # Files that are no program.

    def test_no_such_file(self):
        self.assert_refused(NOT_FOUND, str(self.folder / "absent.exe"), says="absent.exe")

    def test_no_program_named(self):
        self.assert_refused(OWN)

    def test_an_empty_file(self):
        self.assert_refused(NOT_RUNNABLE, self.file("empty.exe", b""), says="empty.exe")

    def test_text(self):
        self.assert_refused(NOT_RUNNABLE, self.file("text.exe", b"This is not a program.\n" * 100))

    def test_a_shell_script(self):
        self.assert_refused(NOT_RUNNABLE, self.file("script.exe", b"#!/bin/sh\necho no\n"))

    def test_an_elf_program(self):
        self.assert_refused(NOT_RUNNABLE, sys.executable if pathlib.Path(sys.executable).read_bytes()[:4] == b"\x7fELF" else "/bin/true")

    def test_a_dos_program(self):
        self.assert_refused(NOT_RUNNABLE, self.file("dos.exe", b"MZ" + bytes(500)))

    def test_a_folder(self):
        self.assert_refused(NOT_RUNNABLE, str(self.folder))

    @unittest.skipIf(os.geteuid() == 0, "root may read every file")
    def test_an_unreadable_file(self):
        path = self.file("secret.exe", minimal_pe())
        os.chmod(path, 0)
        self.assert_refused(NOT_RUNNABLE, path)

    def test_a_fifo_does_not_hang(self):
        os.mkfifo(self.folder / "fifo.exe")
        self.assert_refused(NOT_RUNNABLE, str(self.folder / "fifo.exe"))

    # Images of another kind.

    def test_a_32_bit_program(self):
        self.assert_refused(NOT_RUNNABLE, self.file("old.exe", minimal_pe(machine=0x14C, magic=0x10B)), says="32-bit")

    def test_an_arm64_program(self):
        self.assert_refused(NOT_RUNNABLE, self.file("arm.exe", minimal_pe(machine=0xAA64)))

    def test_a_dll(self):
        self.assert_refused(NOT_RUNNABLE, self.program("guest_library.dll"), says="DLL")

    def test_a_driver(self):
        self.assert_refused(NOT_RUNNABLE, self.file("driver.exe", minimal_pe(subsystem=1)))

    def test_a_missing_import_is_named(self):
        self.assert_refused(NOT_RUNNABLE, self.program("missing_import.exe"), says="vitrine_absent.dll")

    # Damaged images: whatever happens, no crash, no hang, a code below 128 or the interruption's.

    def test_truncated(self):
        whole = pathlib.Path(self.program("hello_write.exe")).read_bytes()
        for size in (1, 2, 63, 64, 100, 0x90, 0x100, 0x180, 0x200, 0x3FF, 0x400, 0x1000, len(whole) // 2):
            with self.subTest(size=size):
                self.assert_refused(NOT_RUNNABLE, self.file("short.exe", whole[:size]))

    def test_hostile_header_fields(self):
        whole = pathlib.Path(self.program("hello_write.exe")).read_bytes()
        pe = struct.unpack_from("<I", whole, 60)[0]
        fields = {"e_lfanew": (60, 4), "sections": (pe + 6, 2), "optional size": (pe + 20, 2), "entry": (pe + 40, 4),
                  "base": (pe + 48, 8), "alignment": (pe + 56, 4), "file alignment": (pe + 60, 4), "image size": (pe + 80, 4),
                  "header size": (pe + 84, 4), "stack reserve": (pe + 96, 8), "stack commit": (pe + 104, 8), "directories": (pe + 132, 4),
                  "import address": (pe + 144, 4), "import size": (pe + 148, 4), "tls address": (pe + 136 + 72, 4),
                  "section size": (pe + 264 + 8, 4), "section address": (pe + 264 + 12, 4), "raw size": (pe + 264 + 16, 4),
                  "raw place": (pe + 264 + 20, 4)}
        for name, (place, width) in fields.items():
            for value in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 64) - 1):
                data = bytearray(whole)
                data[place:place + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
                with self.subTest(field=name, value=hex(value)):
                    returned, _, errors = self.run_vitrine("--timeout", "10", self.file("hostile.exe", bytes(data)))
                    self.assertTrue(0 <= returned < 256 and returned not in (134, 139), f"{returned}\n{errors}")

    def test_random_damage(self):
        whole = pathlib.Path(self.program("hello_write.exe")).read_bytes()
        chance = random.Random(1)
        for number in range(60):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 20)):
                data[chance.randrange(0, 0x600 if number % 2 else len(data))] = chance.randrange(256)
            with self.subTest(number=number):
                returned, _, errors = self.run_vitrine("--timeout", "5", self.file("damaged.exe", bytes(data)))
                self.assertTrue(0 <= returned < 256 and returned not in (134, 139), f"{returned}\n{errors}")

    # Options and limits.

    def test_too_little_memory(self):
        self.assert_refused(OWN, "--ram", "8M", self.program("hello_write.exe"), says="--ram")

    def test_bad_options(self):
        hello = self.program("hello_write.exe")
        for bad in (["--cpus", "0"], ["--cpus", "65"], ["--cpus", "x"], ["--ram", "lots"], ["--profile", "nt99"], ["--profile", "nt52-x86"],
                    ["--host-limit", "-3"], ["--backend", "other"], ["--no-such-option"], ["--timeout", "-1"]):
            with self.subTest(bad=bad):
                returned, output, errors = self.run_vitrine(*bad, hello)
                self.assertEqual((returned, output), (OWN, b""), errors)
                self.assertTrue(errors.strip(), "no word of why")

    def test_the_back_end_kvm(self):
        program = self.program("hello_write.exe")
        self.assert_refused(OWN, "--backend", "kvm", "--verify", program, says="--verify")
        if not pathlib.Path("/dev/kvm").exists():
            self.assert_refused(OWN, "--backend", "kvm", program, says="/dev/kvm is not there")

    def test_no_wine_dlls(self):
        self.assert_refused(OWN, "--system32", str(self.folder / "tmp"), self.program("hello_write.exe"), says="libwine")

    def test_the_host_limit(self):
        returned, _, errors = self.run_vitrine("--host-limit", "1M", self.program("hello_write.exe"))
        self.assertEqual(returned, OWN, errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)

    # A program that never ends.

    def test_timeout(self):
        for way in ("spin", "threads"):
            with self.subTest(way=way):
                before = time.monotonic()
                returned, output, errors = self.run_vitrine("--timeout", "1", "--cpus", "2", self.program("never_ends.exe"), way)
                self.assertEqual(returned, TIMEOUT, errors)
                self.assertEqual(output, b"running\r\n")
                self.assertEqual(len(errors.splitlines()), 1, errors)
                self.assertLess(time.monotonic() - before, 10)

    def interrupt(self, number: signal.Signals, *arguments: str):
        process = self.start(*arguments)
        self.assertEqual(process.stdout.readline(), b"running\r\n")
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        self.assertEqual(process.returncode, INTERRUPTED, errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        self.assert_nothing_left(process)

    def test_interrupt(self):
        self.interrupt(signal.SIGINT, self.program("never_ends.exe"), "spin")

    def test_termination(self):
        self.interrupt(signal.SIGTERM, self.program("never_ends.exe"), "threads")

    def test_every_thread_waits_for_ever(self):
        returned, output, errors = self.run_vitrine("--timeout", "20", self.program("never_ends.exe"), "sleep")
        self.assertEqual((returned, output), (OWN, b"running\r\n"), errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)

    # A program that fails.

    def test_a_crash_is_told_in_one_line(self):
        returned, output, errors = self.run_vitrine(self.program("exit_code.exe"), "violation")
        self.assertEqual((returned, output), (5, b"ending by violation\r\n"), errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        self.assertIn("page fault on write access", errors)

    # Streams.

    def test_closed_output(self):
        reader, writer = os.pipe()
        os.close(reader)
        process = self.start(self.program("hello_write.exe"), stdout=writer)
        os.close(writer)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)  # the program saw its write fail and says so
        self.assert_nothing_left(process)

    def test_no_output_at_all(self):
        shell = f'"{options.vitrine}" run "{self.program("hello_write.exe")}" >&- 2>&-'
        done = subprocess.run(["sh", "-c", shell], stdin=subprocess.DEVNULL, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            process = self.start(self.program("hello_write.exe"), stdout=full)
            process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
