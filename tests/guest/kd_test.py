#!/usr/bin/env python3
"""What `vitrine run --kd` says of programs that hang or wait for the wrong thread, in words. Called by ctest with --vitrine and --programs."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from guest_main import main, options


def run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess:
    with tempfile.TemporaryDirectory(prefix="vitrine-kd.") as folder:
        words = [str(options.programs / a) if a.endswith(".exe") else a for a in arguments]
        return subprocess.run([options.vitrine, "run", *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout)


class Causes(unittest.TestCase):
    def test_a_deadlock_of_mutexes_is_named_with_threads_objects_and_owners(self):
        said = run("--kd", "!waits; !why left", "deadlock.exe").stderr
        self.assertRegex(said, r'Deadlock of 2 threads: thread 0x\w+ "left" waits for mutant "Right" 0x\w+, held by thread 0x\w+ "right"; '
                               r'thread 0x\w+ "right" waits for mutant "Left" 0x\w+, held by thread 0x\w+ "left"\.')
        self.assertRegex(said, r'Nobody can wake thread 0x\w+ "main": it waits for all of: the end of thread')
        self.assertRegex(said, r'thread 0x\w+ "left" does not run because it waits for mutant "Right" .*, since ')
        self.assertIn("This is part of a deadlock", said)

    def test_a_deadlock_of_critical_sections_is_named_though_the_waits_have_time_outs(self):
        said = run("--kd", "!waits", "--kd-when", "deadlock", "--timeout", "3", "deadlock.exe", "section").stderr
        self.assertIn("kd: deadlock", said)
        self.assertRegex(said, r'Deadlock of 2 threads: thread 0x\w+ "left" waits for critical section 0x\w+, held by thread 0x\w+ "right"; '
                               r'thread 0x\w+ "right" waits for critical section 0x\w+, held by thread 0x\w+ "left"\.')

    def test_a_hanging_program_is_explained_when_its_time_is_up(self):
        done = run("--kd", "!waits", "--timeout", "3", "deadlock.exe", "section")
        self.assertEqual(done.returncode, 124)
        self.assertIn("kd: the run timed out", done.stderr)
        self.assertIn("Deadlock of 2 threads", done.stderr)

    def test_a_pulse_without_waiters_is_named_as_a_lost_wake_up(self):
        said = run("--kd", "!waits; !why consumer", "lost_wakeup.exe").stderr
        self.assertRegex(said, r'Lost wake-up: thread 0x\w+ "producer" pulsed it at [\d.]+ ms, when nobody waited; a pulse wakes only who waits at that '
                               r'moment, and thread 0x\w+ "consumer" began to wait [\d.]+ ms later\.')
        self.assertRegex(said, r'Nobody can wake thread 0x\w+ "consumer": it waits for event "Ready"')
        self.assertIn("There is no deadlock.", said)

    def test_an_event_that_was_reset_before_the_wait_is_named_as_a_lost_wake_up(self):
        said = run("--kd", "!why consumer", "lost_wakeup.exe", "reset").stderr
        self.assertRegex(said, r'Lost wake-up: thread 0x\w+ "producer" set it at .*, thread 0x\w+ "producer" reset it at .*, and thread 0x\w+ "consumer" began')

    def test_a_priority_inversion_is_named_with_all_three_threads(self):
        for lock, what in (("mutex", 'mutant "Lock"'), ("section", "critical section 0x")):
            said = run("--kd", "!waits; !why high; !why low", "--kd-at", "100ms", "priority_inversion.exe", lock).stderr
            self.assertRegex(said, rf'Priority inversion: thread 0x\w+ "high" \(priority 10\) waits for {what}.*, held by thread 0x\w+ "low" \(priority 6\), '
                                   r'which is kept from running by thread 0x\w+ "middle" \(priority 8\)\.')
            self.assertRegex(said, r'thread 0x\w+ "low" is ready with priority 6 on processor 0')

    def test_without_a_cause_none_is_named(self):
        said = run("--kd", "!waits", "four_threads.exe").stderr
        self.assertIn("kd: the program exits", said)
        for cause in ("Deadlock of", "Nobody can wake", "Priority inversion"):
            self.assertNotIn(cause, said)


class Looking(unittest.TestCase):
    def test_looking_does_not_change_the_run(self):
        every = "; ".join(["!thread", "!process", "!waits", "!ready", "!running", "!stacks", "!apc", "!timer", "!invariants", "!vm", "!pool",
                           "!handle", "!vad", "dt KTHREAD", "dt TEB", "dt EPROCESS"])
        plain = json.loads(run("--stats=json", "--cpus", "2", "four_threads.exe").stderr)
        for moment in ([], ["--kd-at", "2ms"], ["--kd-when", "thread_exit"]):
            looked = run("--stats=json", "--cpus", "2", "--kd", every, *moment, "four_threads.exe").stderr
            self.assertIn("The books of", looked)
            self.assertIn(f'"trace_hash": "{plain["trace_hash"]}"', looked)

    def test_every_structure_is_shown_at_the_exit(self):
        types = ["KTHREAD", "ETHREAD", "TEB", "KPROCESS", "EPROCESS", "PEB", "KPRCB", "HANDLE_TABLE", "KWAIT_BLOCK", "KAPC", "KAPC_STATE"]
        said = run("--kd", "; ".join(f"dt {name}" for name in types), "hello_write.exe").stderr
        for name in types:
            self.assertRegex(said, rf"kd> dt {name}\n{name}: ")
        self.assertRegex(said, r"\+0x07b  Priority +\d+ +current priority")  # 6.1 x64

    def test_what_only_a_process_with_an_image_has_differs_from_system(self):
        header = (pathlib.Path(__file__).parents[1] / "unit" / "kd" / "seed_fields.h").read_text()
        names = re.search(r'kSeenInAGuest\[\] = {\s+{"EPROCESS", "([^"]+)"}', header)[1].split()
        said = run("--kd", "dt EPROCESS 0x4; dt EPROCESS .", "hello_write.exe").stderr
        system, program = said.split("kd> dt EPROCESS .")
        for name in names:
            values = [re.search(rf"\s{name} +(.+?)  ", text)[1] for text in (system, program)]
            self.assertIn(values[0], ("none", "0x0"), name)
            self.assertNotEqual(*values, name)

    def test_a_threads_first_gui_service_changes_its_table_and_its_stack(self):
        said = run("--kd", "dt KTHREAD window; dt KTHREAD plain", "--kd-when", "service:NtSetEvent:window", "gui_thread.exe")
        self.assertEqual(said.stdout, "GUI service: c000001c\n")
        window, plain = said.stderr.split("kd> dt KTHREAD plain")
        for table, text, large in (("KeServiceDescriptorTableShadow", window, 1), ("KeServiceDescriptorTable", plain, 0)):
            self.assertRegex(text, rf"ServiceTable +{table} ")
            self.assertRegex(text, rf"LargeStack +{large} ")
        self.assertRegex(window, r"Win32Thread +0xfffff900\w+ ")
        self.assertRegex(plain, r"Win32Thread +0x0 ")

    def test_kernel_address_space_shows_who_uses_its_regions(self):
        said = run("--kd", "!vm", "--kd-when", "service:NtReadFile", "file_io.exe").stderr
        rows = {name: int(pages) for name, pages in re.findall(r"^(page tables|hyperspace|system PTEs|session space|system cache) +0x\w+ +\d+ MB +(\d+)", said, re.M)}
        self.assertEqual(len(rows), 5)
        self.assertGreater(rows["hyperspace"], 2)
        self.assertEqual(rows["session space"], 0)
        self.assertEqual(rows["system cache"], 64, "one view of 256 KB: what was written and is read now")

    def test_json_holds_the_same_rows(self):
        looks = [json.loads(line) for line in run("--kd", "!thread; !why 0x4", "--json", "hello_write.exe").stderr.splitlines()]
        self.assertEqual(len(looks), 1)
        threads, why = looks[0]["reports"]
        self.assertEqual(threads["command"], "!thread")
        self.assertIn("Running", [thread["state"] for thread in threads["parts"][0]])
        self.assertFalse(why["understood"])
        self.assertEqual(why["parts"], ["there is no thread 0x4; `!thread` lists them"])

    def test_json_has_a_report_for_each_command(self):
        listed = re.findall(r"^\s*(![a-z]+|dt)\b", run("--kd", "help").stdout, re.MULTILINE)
        self.assertIn("!why", listed)
        objects = {"!why": ".", "dt": "KTHREAD", "!object": ".:0x4", "!pte": "0x7ffe0000"}
        commands = [f"{name} {objects[name]}" if name in objects else name for name in dict.fromkeys(listed)]
        reports = json.loads(run("--kd", "; ".join(commands), "--json", "--cpus", "2", "four_threads.exe").stderr)["reports"]
        self.assertEqual([report["command"] for report in reports], commands)
        for report in reports:
            self.assertTrue(report["understood"], report)
            self.assertTrue(report["parts"], report)

    def test_a_moment_in_an_idle_stretch_is_met(self):
        # The consumer sleeps from 0.3 ms to the tick at 25 ms; the producer's pulse, at 9.6 ms, is the last thing before.
        said = run("--kd", "!why consumer", "--kd-at", "15ms", "lost_wakeup.exe").stderr
        self.assertIn("kd: 15.000 ms of virtual time (15.000 ms since the start)", said)
        self.assertRegex(said, r'thread 0x\w+ "consumer" does not run because it sleeps \(for [\d.]+ ms more at most\)')

    def test_an_event_may_name_a_service_and_a_thread(self):
        said = run("--kd", "!running", "--kd-when", "service:NtPulseEvent:producer", "lost_wakeup.exe").stderr
        self.assertIn("kd: service:NtPulseEvent:producer in thread", said)
        self.assertRegex(said, r'0 +thread 0x\w+ "producer"')


class Mistakes(unittest.TestCase):
    def error_of(self, *arguments: str) -> str:
        done = run(*arguments, "hello_write.exe")
        self.assertEqual(done.returncode, 125)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)
        return done.stderr.strip()

    def test_each_mistake_is_one_line_before_the_program_starts(self):
        self.assertEqual(self.error_of("--kd", "!nothing"), "vitrine: --kd: kd has no command !nothing; `help` lists them")
        self.assertEqual(self.error_of("--kd", "dt NOTHING"), "vitrine: --kd: kd knows no structure NOTHING; `dt` lists them")
        self.assertEqual(self.error_of("--kd", " ; "), "vitrine: --kd: which kd commands? `--kd help` lists them")
        self.assertIn("expected a time such as 20ms", self.error_of("--kd", "!waits", "--kd-at", "20"))
        self.assertIn("there is no event sunset", self.error_of("--kd", "!waits", "--kd-when", "sunset"))
        self.assertIn("there is no service 'NtNothing'", self.error_of("--kd", "!waits", "--kd-when", "service:NtNothing"))
        self.assertIn("give --kd, too", self.error_of("--kd-at", "1s"))

    def test_help_needs_no_program(self):
        done = run("--kd", "help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("!why", done.stdout)


if __name__ == "__main__":
    sys.exit(main())
