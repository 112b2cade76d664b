#!/usr/bin/env python3
"""Runs cases of cases.json with `vitrine run --backend kvm`, where there is a /dev/kvm or else inside tools/kvm-in-qemu, and compares
exit codes, standard output and files with tests/guest/expected/, as run_guest_test.py does for the translator. With no names: every
case. A case that cannot be the same there has "emulated" in cases.json, which says why; it is run all the same where it is named.

    tests/guest/run_under_kvm.py --build build/release hello_write seh
"""

import argparse
import collections
import os
import pathlib
import sys

sys.dont_write_bytecode = True
import guest_case
import kvm_machine


def job_of(case: guest_case.Case, programs: pathlib.Path) -> kvm_machine.Job:
    expected, program = case.expected(), case.program_path(programs)
    inputs = {pathlib.Path(name).name: (guest_case.HERE / name).read_bytes() for name in case.files}
    commands = [[str(program), *step] for step in case.steps]
    return kvm_machine.Job(case.name, commands, expected.exits, expected.output, expected.files, inputs, case.stdin,
                           options=case.options)


def why_skipped(case: guest_case.Case, programs: pathlib.Path, named: bool) -> str:
    if not case.program_path(programs).is_file():
        return "its third-party program is not there (tools/fetch-programs)"
    if "--avx512" in case.options:
        return "AVX-512 is the translator's"
    if case.emulated and not named and not os.access("/dev/kvm", os.R_OK):
        return case.emulated
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--shadow", action="store_true", help="KVM in QEMU without nested paging")
    parser.add_argument("--limit", type=int, default=200, help="seconds for a command")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds for all")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    build = options.build.resolve()
    cases, programs = guest_case.load_cases(), build / "tests" / "guest"
    chosen = [cases[name] for name in options.names] or list(cases.values())
    skipped, jobs = collections.defaultdict(list), []
    for case in chosen:
        if reason := why_skipped(case, programs, bool(options.names)):
            skipped[reason].append(case.name)
        else:
            jobs.append(job_of(case, programs))

    def report(result: kvm_machine.Result) -> None:
        print(f"{'ok  ' if result.passed else 'FAIL'} {result.name}, {result.seconds:.1f} s", flush=True)

    results = kvm_machine.run(jobs, build, report, limit=options.limit, timeout=options.timeout, shadow=options.shadow) if jobs else []
    passed = sum(result.passed for result in results)
    reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in skipped.items())
    failed = [result.name for result in results if not result.passed]
    unfinished = [job.name for job in jobs[len(results):]]
    print(f"{passed} pass, {len(chosen) - len(jobs)} skipped{f' ({reasons})' if reasons else ''}, {len(failed)} differ"
          f"{': ' + ', '.join(failed) if failed else ''}{f', {len(unfinished)} not reached' if unfinished else ''}")
    return 0 if passed == len(jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
