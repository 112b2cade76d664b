#!/usr/bin/env python3
"""A program that tries to get out of its mounts: each way ends at the border, and the host is as it was. The tries are verbs of
programs/escape.cpp. Called by ctest with --vitrine and --programs."""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
from guest_main import main, options

SECRET = b"SECRET of the host"


def picture(folder: pathlib.Path) -> dict:
    """All that a folder holds: names, kinds, modes, contents, times of change."""
    result = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        result[str(path.relative_to(folder))] = (status.st_mode, status.st_nlink, content, status.st_mtime_ns if path.is_file() else 0)
    return result


class Escape(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="vitrine-escape.")
        self.addCleanup(holder.cleanup)
        self.top = pathlib.Path(holder.name).resolve()
        for name in ("cwd", "locked", "outside", "tmp"):
            (self.top / name).mkdir()
        self.cwd, self.locked, self.outside = self.top / "cwd", self.top / "locked", self.top / "outside"
        (self.outside / "secret.txt").write_bytes(SECRET)
        (self.top / "secret.txt").write_bytes(SECRET)
        (self.locked / "file.txt").write_bytes(b"read only")
        (self.cwd / "inner.txt").write_bytes(b"inside")

    def start(self, *arguments: str, more=(), **settings) -> subprocess.Popen:
        return subprocess.Popen([options.vitrine, "run", "--timeout", "60", f"--mount=C:\\locked={self.locked}:ro", *more,
                                 str(options.programs / "escape.exe"), *arguments], cwd=self.cwd, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, "TMPDIR": str(self.top / "tmp"), "HOST_SECRET": str(self.outside), **settings.pop("env", {})},
                                **settings)

    def run_verb(self, *arguments: str, more=(), code=0, env=None) -> list[str]:
        """The lines that the program printed. Whatever it tried: no secret in them, and the host outside unchanged."""
        watched = {folder: picture(folder) for folder in (self.outside, self.locked)}
        process = self.start(*arguments, more=more, env=env or {})
        output, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, errors.decode())
        self.assertNotIn(b"SECRET", output)
        self.assertNotIn(b"SECRET", errors)
        for folder, before in watched.items():
            self.assertEqual(picture(folder), before, f"{folder} has changed")
        self.assertEqual((self.top / "secret.txt").read_bytes(), SECRET)
        self.assertEqual(list((self.top / "tmp").iterdir()), [])
        return output.decode().splitlines()

    def refused(self, verb: str, *paths: str):
        for path in paths:
            with self.subTest(path=path):
                lines = self.run_verb(verb, path)
                self.assertTrue(lines and all("refused" in line for line in lines), lines)

    # Paths.

    def test_parent_folders(self):
        self.refused("open", "..\\secret.txt", "..\\..\\secret.txt", "C:\\..\\secret.txt", "C:\\work\\..\\..\\secret.txt", "../secret.txt",
                     "\\\\?\\C:\\work\\..\\secret.txt", "\\\\?\\C:\\..\\..\\secret.txt", "C:\\work\\.\\..\\..\\outside\\secret.txt")
        self.refused("nt", "\\??\\C:\\work\\..\\secret.txt", "\\??\\C:\\work\\..\\..\\secret.txt", "\\??\\C:\\work/../../secret.txt",
                     "\\Device\\HarddiskVolume1\\..\\secret.txt")

    def test_host_paths(self):
        host = str(self.outside / "secret.txt")
        back = host.replace("/", "\\")
        self.refused("open", host, back, "Z:" + back, "\\\\?\\unix" + host, "\\\\?\\Z:" + back, "\\\\.\\unix" + host, "C:" + back,
                     "/proc/self/environ", "/etc/passwd", "\\\\?\\unix/etc/passwd")
        self.refused("nt", "\\??\\unix" + host, "\\??\\Z:" + back, host, back, "\\DosDevices\\Z:" + back)

    def test_network_paths(self):
        self.refused("open", "\\\\localhost\\c$\\secret.txt", "\\\\?\\UNC\\localhost\\share\\x", "//127.0.0.1/x/y", "\\\\tsclient\\c\\x",
                     "\\\\wsl$\\Debian\\etc\\passwd")
        self.refused("nt", "\\??\\UNC\\localhost\\c$\\x", "\\Device\\Mup\\localhost\\x", "\\Device\\LanmanRedirector\\x\\y")

    def test_device_names(self):
        self.refused("open", "COM1", "AUX", "PRN", "LPT1", "\\\\.\\COM1", "\\\\.\\PhysicalDrive0", "\\\\.\\HarddiskVolume1\\secret.txt",
                     "\\\\.\\GLOBALROOT\\Device\\HarddiskVolume2\\secret.txt", "\\\\?\\GLOBALROOT\\Device\\Harddisk0\\Partition1\\x",
                     "\\\\.\\pipe\\nothing", "C:\\work\\COM1", "\\\\.\\Volume{00000000-0000-0000-0000-000000000000}\\secret.txt")
        self.refused("nt", "\\Device\\Harddisk0\\DR0", "\\Device\\PhysicalMemory", "\\GLOBAL??\\D:\\x", "\\??\\GLOBALROOT\\GLOBAL??\\Z:\\x",
                     "\\Device\\HarddiskVolume2\\secret.txt", "\\Device", "\\", "\\Device\\Stream\\..\\x")

    def test_afd_is_the_machines_own_whatever_the_name_behind_it(self):
        for name in ("\\Device\\Afd\\x", "\\Device\\Afd\\..\\..\\etc\\passwd"):
            self.assertEqual(self.run_verb("nt", name), ["opened, read error 87"])  # a socket without a type: nothing to read

    def test_null_and_console_are_the_machines_own(self):
        for name in ("NUL", "\\\\.\\NUL", "C:\\work\\nul"):
            self.assertEqual(self.run_verb("write", name), ["wrote"])
        self.run_verb("open", "CON")
        self.run_verb("write", "CON")
        self.assertEqual([path.name for path in self.cwd.iterdir()], ["inner.txt"])

    def test_case_dots_and_spaces(self):
        (self.cwd / "inner.txt.").write_bytes(b"dotted")
        for path in ("INNER.TXT", "inner.txt", "inner.txt.", "inner.txt . .", "inner.txt ", "C:\\WORK.\\Inner.Txt"):
            with self.subTest(path=path):
                self.assertEqual(self.run_verb("open", path), ["read inside"])
        self.assertEqual(self.run_verb("open", "\\\\?\\C:\\work\\inner.txt."), ["read dotted"])
        self.refused("open", "\\\\?\\C:\\work\\inner.txt ", ".. \\secret.txt", "...\\secret.txt", ".. .\\secret.txt", "C:\\work\\.. \\.. \\secret.txt")
        self.refused("nt", "\\??\\C:\\work\\... \\secret.txt", "\\??\\C:\\work\\..  \\secret.txt")

    def test_long_names(self):
        self.refused("open", "x" * 300, "\\\\?\\C:\\work\\" + "y" * 256, "\\\\?\\C:\\work" + "\\d" * 4000, "..\\" * 2000 + "secret.txt")
        self.refused("nt", "\\??\\C:\\work" + "\\e" * 8000)

    def test_names_with_a_nul(self):
        self.refused("nt", "\\??\\C:\\work\\inner.txt^0", "\\??\\C:\\work^0\\..\\..\\secret.txt", "\\??\\C:^0\\work\\inner.txt",
                     "^0\\??\\C:\\work\\inner.txt")

    def test_alternate_streams(self):
        self.refused("open", "inner.txt:stream", "inner.txt:stream:$DATA", "inner.txt::$INDEX_ALLOCATION", ":secret", "..:x",
                     "C:\\work:$I30:$INDEX_ALLOCATION\\..\\secret.txt", "inner.txt:..\\..\\secret.txt", "inner.txt:..\\secret.txt:$DATA")
        self.refused("write", "inner.txt:stream", "C:\\locked\\file.txt:stream", "C:\\locked\\file.txt::$DATA")
        self.assertEqual([path.name for path in self.cwd.iterdir()], ["inner.txt"])

    # Links.

    def test_symbolic_links_to_the_outside(self):
        (self.cwd / "absolute").symlink_to(self.outside)
        (self.cwd / "relative").symlink_to("../outside")
        (self.cwd / "file").symlink_to(self.outside / "secret.txt")
        (self.cwd / "twice").symlink_to("absolute/secret.txt")
        (self.cwd / "inside").mkdir()
        (self.cwd / "inside" / "up").symlink_to("../../outside")
        (self.cwd / "proc").symlink_to("/proc/self/root")
        (self.cwd / "back").symlink_to("inside/../inner.txt")
        self.refused("open", "absolute\\secret.txt", "relative\\secret.txt", "file", "twice", "inside\\up\\secret.txt", "absolute", "relative",
                     "proc\\etc\\passwd")
        self.refused("write", "absolute\\new.txt", "relative\\new.txt", "file", "inside\\up\\new.txt")
        self.assertEqual(self.run_verb("section", "\\??\\C:\\work\\file")[1:], ["refused c0000034"])
        self.assertEqual(self.run_verb("open", "back"), ["read inside"])
        self.assertEqual(self.run_verb("list", "*"), [".", "..", "back", "inner.txt", "inside"])

    def race_against(self, swap, path: str):
        process = self.start("race", path, "3000")
        self.assertEqual(process.stdout.readline(), b"ready\r\n")
        stop = threading.Event()

        def swapper():
            while not stop.is_set():
                swap()
        thread = threading.Thread(target=swapper)
        thread.start()
        output, errors = process.communicate(timeout=120)
        stop.set()
        thread.join()
        self.assertEqual(process.returncode, 0, errors.decode())
        self.assertEqual(output.decode().split()[2:], ["secrets", "0"], output)

    def test_a_file_swapped_for_a_link_during_the_run(self):
        real, link, name = self.cwd / "real", self.cwd / "link", self.cwd / "race.txt"

        def swap():
            real.write_bytes(b"inside")
            os.rename(real, name)
            link.symlink_to(self.outside / "secret.txt")
            os.rename(link, name)
        self.race_against(swap, "race.txt")

    def test_a_folder_swapped_for_a_link_during_the_run(self):
        (self.cwd / "real").mkdir()
        (self.cwd / "real" / "secret.txt").write_bytes(b"inside")
        (self.cwd / "link").symlink_to(self.outside)
        os.rename(self.cwd / "real", self.cwd / "race")

        def swap():
            os.rename(self.cwd / "race", self.cwd / "real")
            os.rename(self.cwd / "link", self.cwd / "race")
            os.rename(self.cwd / "race", self.cwd / "link")
            os.rename(self.cwd / "real", self.cwd / "race")
        self.race_against(swap, "race\\secret.txt")

    def test_a_folder_moved_out_during_the_run(self):
        (self.cwd / "race" / "deep").mkdir(parents=True)

        def swap():
            os.rename(self.cwd / "race" / "deep", self.outside / "deep")
            os.rename(self.outside / "deep", self.cwd / "race" / "deep")
        (self.cwd / "race" / "deep" / "up").symlink_to("../secret.txt")
        self.race_against(swap, "race\\deep\\up")

    def test_hard_links(self):
        os.link(self.locked / "file.txt", self.cwd / "same.txt")  # the user's own: the file is in both places
        self.assertEqual(self.run_verb("open", "same.txt"), ["read read only"])
        self.run_verb("change", "C:\\locked")
        self.assertFalse((self.cwd / "linked.txt").exists())
        self.assertFalse((self.locked / "linked.txt").exists())

    # Read-only mounts.

    def test_writes_to_a_read_only_mount(self):
        lines = self.run_verb("change", "C:\\locked")
        self.assertEqual(len(lines), 24, lines)
        done = [line for line in lines if "DONE" in line]
        self.assertEqual(done, [], lines)
        self.assertEqual(sorted(path.name for path in self.cwd.iterdir()), ["inner.txt", "mine.txt"])

    def test_writes_to_system32_and_the_programs_folder(self):
        before = picture(options.programs)
        self.refused("write", "C:\\windows\\system32\\new.dll", "C:\\windows\\system32\\ntdll.dll", "C:\\program\\escape.exe",
                     "C:\\program\\new.txt", "C:\\windows\\new.txt", "C:\\new.txt")
        self.assertEqual(picture(options.programs), before)

    def test_a_mount_below_a_read_only_one_stays_what_it_is(self):
        (self.locked / "inner").mkdir()
        (self.top / "open").mkdir()
        more = [f"--mount=C:\\locked\\inner={self.top / 'open'}"]
        self.assertEqual(self.run_verb("write", "C:\\locked\\inner\\new.txt", more=more), ["wrote"])
        self.assertEqual((self.top / "open" / "new.txt").read_bytes(), b"escaped")
        self.assertIn("refused", self.run_verb("write", "C:\\locked\\new.txt", more=more)[0])

    # The host around it.

    def test_the_hosts_environment(self):
        lines = self.run_verb("environment")
        text = "\n".join(lines)
        self.assertNotIn(str(self.top), text)
        self.assertNotIn("HOST_SECRET", text)
        self.assertNotIn(os.environ.get("PATH", "no path"), text)

    def test_a_host_path_in_a_variable(self):
        lines = self.run_verb("environment", more=["--env", f"WHERE={self.outside}"])
        self.assertIn(f"WHERE={self.outside}", lines)  # what the user gave, as it is: a name without power
        self.refused("open", str(self.outside / "secret.txt"))
        self.refused("open", f"%HOST_SECRET%\\secret.txt")

    def test_int_80(self):
        self.assertEqual(self.run_verb("int80", code=3), ["exception c0000005"])

    def test_linux_system_calls(self):
        lines = self.run_verb("linux", str(self.outside / "secret.txt"))
        self.assertNotIn("escaped", "\n".join(lines))
        self.assertEqual([line.split()[0] for line in lines], ["write", "open", "openat", "execve", "ptrace", "nothing"])
        self.assertEqual(lines[-1], "nothing refused")

    def test_sections_of_host_files(self):
        host = str(self.outside / "secret.txt")
        for path in (host, "\\??\\unix" + host, "\\KnownDlls\\..\\..\\secret.txt", "\\??\\Z:\\etc\\passwd", "\\Device\\PhysicalMemory"):
            with self.subTest(path=path):
                lines = self.run_verb("section", path)
                self.assertEqual(len(lines), 2, lines)
                self.assertTrue(lines[0].startswith("by name c0"), lines)
                self.assertTrue(lines[1].startswith("refused"), lines)

    def test_processes_of_host_files(self):
        (self.cwd / "script.exe").write_bytes(b"#!/bin/sh\necho escaped > ../outside/made\n")
        os.chmod(self.cwd / "script.exe", 0o755)
        (self.cwd / "elf.exe").write_bytes(pathlib.Path("/bin/true").read_bytes())
        self.refused("process", "/bin/sh", "\\\\?\\unix/bin/sh", "..\\outside\\x.exe", "script.exe", "elf.exe", "Z:\\bin\\sh", "\\bin\\sh")


if __name__ == "__main__":
    sys.exit(main())
