#!/usr/bin/env python3
"""What `vitrine run` reports of a run: --stats, --threads and their JSON. Called by ctest with --vitrine and --programs."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from guest_main import main, options


class Reports(unittest.TestCase):
    def report(self, *arguments: str, program: str = "four_threads") -> tuple[bytes, str]:
        """Standard output and standard error."""
        with tempfile.TemporaryDirectory(prefix="vitrine-reports.") as folder:
            done = subprocess.run([options.vitrine, "run", *arguments, str(options.programs / f"{program}.exe")], cwd=folder,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
        return done.stdout, done.stderr.decode()

    def json_of(self, *arguments: str, program: str = "four_threads") -> dict:
        return json.loads(self.report("--stats=json", *arguments, program=program)[1])

    def test_stats_does_not_take_the_program_for_its_value(self):
        output, errors = self.report("--stats")
        self.assertIn(b"order errors 0", output)
        self.assertIn("context switches", errors)

    def test_nothing_is_reported_unasked(self):
        self.assertEqual(self.report()[1], "")

    def test_standard_output_is_the_programs_alone(self):
        self.assertEqual(self.report()[0], self.report("--stats", "--threads")[0])

    def test_json_lists_threads_only_on_request(self):
        self.assertNotIn("threads", self.json_of())
        self.assertEqual(len(self.json_of("--threads")["threads"]), 5)

    def test_every_thread_that_was_created_has_a_line(self):
        lines = self.report("--threads")[1].strip().splitlines()
        self.assertEqual(len(lines), 1 + 5)
        self.assertTrue(all(line.lstrip().startswith("0x") for line in lines[1:]))

    def test_a_ring_of_events_shows_who_wakes_whom(self):
        main, *workers = self.json_of("--threads", "--cpus", "2")["threads"]
        ids = [worker["thread_id"] for worker in workers]
        self.assertEqual([worker["exit_status"] for worker in workers], [100, 101, 102, 103])
        for number, worker in enumerate(workers):
            wakers = {waker["thread_id"]: waker["times"] for waker in worker["wakers"]}
            self.assertGreaterEqual(wakers.get(ids[number - 1], 0), 200, "the neighbour in the ring")
            self.assertEqual(sum(wakers.values()), worker["woken"])
            self.assertEqual(sum(worker["waits"].values()), worker["woken"])
        self.assertEqual(main["waits"], {"UserRequest": 1})

    def test_windows_are_long_only_while_all_other_processors_are_idle(self):
        alone, together = self.json_of("--cpus", "4", program="sched_slices"), self.json_of("--cpus", "4", program="heap_torture")
        self.assertGreater(alone["instructions"], 500_000 * alone["windows"])
        self.assertLess(together["instructions"], 10_000 * together["windows"])

    def test_a_threads_times_fit_into_its_life(self):
        statistics = self.json_of("--threads")
        for thread in statistics["threads"]:
            life = thread["ended_ns"] - thread["created_ns"]
            spent = thread["running_ns"] + thread["ready_ns"] + thread["waiting_ns"]
            self.assertLess(abs(spent - life), 50_000)
            self.assertLessEqual(thread["ended_ns"], statistics["virtual_nanoseconds"])

    def test_asking_does_not_change_the_run(self):
        self.assertEqual(self.json_of()["trace_hash"], self.json_of("--threads")["trace_hash"])


if __name__ == "__main__":
    sys.exit(main())
