#!/usr/bin/env python3
"""Runs one case under `vitrine run` and compares exit codes, standard output and files with tests/guest/expected/.

With --repeats it asks instead whether the run repeats: `--verify` must agree with itself, and so must the trace hashes of runs
with the host's address-space randomisation on and off, with another environment, and beside a busy neighbour.
Exit code 77 (skip) when the case's third-party program is not there.
"""

import argparse
import difflib
import json
import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
import guest_case


def show_difference(expected: guest_case.Outcome, got: guest_case.Outcome) -> None:
    if expected.exits != got.exits:
        print(f"exit codes: expected {expected.exits}, got {got.exits}")
    for name, digest in expected.files.items():
        if got.files.get(name) != digest:
            print(f"file {name}: expected {digest}, got {got.files.get(name)}")
    if expected.output != got.output:
        lines = [[line.decode("utf-8", "backslashreplace").rstrip("\n").replace("\r", "\\r") for line in
                  side.output.splitlines(keepends=True)] for side in (expected, got)]
        for line in list(difflib.unified_diff(*lines, "expected", "got", lineterm=""))[:60]:
            print(line)
    print("--- standard error")
    print(got.errors.decode("utf-8", "backslashreplace")[-4000:])


def compare(case: guest_case.Case, prefix: list[str], programs: pathlib.Path) -> int:
    got = case.run(prefix, programs)
    expected = case.expected()
    if got.encode() == expected.encode():
        print(f"{case.name}: as expected ({len(got.output)} bytes, exits {got.exits})")
        return 0
    show_difference(expected, got)
    return 1


def trace_hash(errors: bytes) -> str | None:
    """The hash in the statistics of `--stats=json`: the last JSON object that opens a line of standard error."""
    text = "\n" + errors.decode("utf-8", "replace")
    at = text.rfind("\n{")
    if at < 0:
        return None
    return str(json.JSONDecoder().raw_decode(text[at + 1:])[0]["trace_hash"])


def repeats(case: guest_case.Case, run: list[str], programs: pathlib.Path) -> int:
    expected = case.expected()
    verified = case.run([*run, "--verify"], programs)
    if verified.exits != expected.exits:
        print("--verify: another exit code")
        show_difference(expected, verified)
        return 1
    variants = {
        "randomised": ([*run, "--stats=json"], None),
        "not randomised": (["setarch", "-R", *run, "--stats=json"], None),
        "another environment": ([*run, "--stats=json"], {**os.environ, "VITRINE_TEST_PADDING": "x" * 3000}),
    }
    hashes = {}
    for name, (prefix, env) in variants.items():
        hashes[name] = trace_hash(case.run(prefix, programs, env).errors)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        hashes["loaded host"] = trace_hash(case.run([*run, "--stats=json"], programs).errors)
        neighbour.kill()
    for name, value in hashes.items():
        print(f"{value}  {name}")
    if None in hashes.values():
        print("no trace hash on standard error")
        return 1
    return 0 if len(set(hashes.values())) == 1 else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vitrine", required=True)
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    parser.add_argument("--cpus", default="1")
    parser.add_argument("--repeats", action="store_true")
    parser.add_argument("case")
    options = parser.parse_args()
    options.programs = options.programs.resolve()  # cases run in folders of their own
    options.vitrine = os.path.abspath(options.vitrine)

    case = guest_case.load_cases()[options.case]
    if case.fetched and not case.program_path(options.programs).is_file():
        print(f"skipped: {case.fetched}.exe is not there (tools/fetch-programs could not build it)")
        return 77
    if "--avx512" in case.options and not guest_case.host_has_avx512():
        print("skipped: this host has no AVX-512 (F, CD, BW, DQ, VL)")
        return 77
    run = [options.vitrine, "run", "--cpus", options.cpus, *case.options]
    try:
        if options.repeats:
            return repeats(case, run, options.programs)
        return compare(case, run, options.programs)
    except subprocess.TimeoutExpired as error:
        print(f"still running after {error.timeout} s; its output so far:")
        for stream in (error.stdout, error.stderr):
            print((stream or b"").decode("utf-8", "backslashreplace")[-4000:])
        return 1


if __name__ == "__main__":
    sys.exit(main())
