#!/usr/bin/env python3
"""Runs corpus.json: programs by third parties under Vitrine and under wine64, compared, with the times of both.

  tests/corpus/run_corpus.py --vitrine build/release/src/vitrine [RUN...]       (`make corpus` fetches the programs first)

  --step N          only the runs of that step (may be repeated)
  --cpus N          virtual processors; may be repeated: each run once for each
  --repeat N        every run N times under Vitrine; all of them must be equal to wine64's
  --hashes          instead of comparing with wine64: each run twice with --overlay-apply, do the trace hashes agree?
  --no-cold         do not measure wine64 without a running wineserver
  --expected        compare with tests/corpus/expected/ instead of running wine64 (what `make test` does)
  --record          write tests/corpus/expected/ from wine64, for the runs that are a part of `make test`
  --backend kvm     instead of comparing with wine64: --backend kvm with the translator, the quickest runs first; where there is no
                    /dev/kvm inside tools/kvm-in-qemu, for at most --timeout seconds in all and --limit for a command
"""

import argparse
import json
import os
import pathlib
import shutil
import sys

sys.dont_write_bytecode = True
import corpus_run
import kvm_machine
import wine_prefix

SKIPPED = 77


def seconds(value: float | None) -> str:
    return f"{value:8.2f}" if value is not None else f"{'-':>8}"


def lend_own_dlls(prefix: wine_prefix.WinePrefix, vitrine: str) -> None:
    """Wine 8.0 lacks bcryptprimitives.dll, which current Rust and Go programs need: it gets the one that Vitrine brings."""
    own = pathlib.Path(vitrine).parent / "guest" / "bcryptprimitives.dll"
    if own.is_file():
        shutil.copyfile(own, pathlib.Path(prefix.folder) / "drive_c" / "windows" / "system32" / own.name)


class Oracle:
    """wine64's outcome of a run: once for the comparison and the time with a running server, once cold."""

    def __init__(self, wine: str, prefix: wine_prefix.WinePrefix, cold: bool):
        self.wine, self.prefix, self.cold = wine, prefix, cold

    def outcome(self, run: corpus_run.CorpusRun) -> tuple[corpus_run.Outcome, float | None]:
        cold_seconds = None
        if self.cold:
            self.prefix.stop()
            cold_seconds = run.run([self.wine], self.prefix.env).seconds
            self.prefix.keep_alive()
        return run.run([self.wine], self.prefix.env), cold_seconds


def vitrine_command(options: argparse.Namespace, cpus: str, *more: str) -> list[str]:
    return [options.vitrine, "run", "--cpus", cpus, *more]


def compare(run: corpus_run.CorpusRun, options: argparse.Namespace, expected: dict) -> tuple[dict[str, float], str]:
    """The fastest time for each number of processors, and what differed first (empty: nothing)."""
    times: dict[str, float] = {}
    for cpus in options.cpus:
        for attempt in range(options.repeat):
            ours = run.run(vitrine_command(options, cpus))
            times[cpus] = min(times.get(cpus, ours.seconds), ours.seconds)
            if found := corpus_run.difference(run, ours, expected):
                where = f" (--cpus {cpus}, attempt {attempt + 1})" if options.repeat > 1 or len(options.cpus) > 1 else ""
                return times, found + where
    return times, ""


def hashes_agree(run: corpus_run.CorpusRun, options: argparse.Namespace) -> str:
    for cpus in options.cpus:
        first, second = (run.run(vitrine_command(options, cpus, "--overlay-apply", "--stats=json")).trace_hashes() for _ in range(2))
        if first != second or len(first) != len(run.commands):
            return f"--cpus {cpus}: trace hashes {' '.join(first) or 'none'} and {' '.join(second) or 'none'}"
    return ""


def runnable(run: corpus_run.CorpusRun) -> bool:
    if absent := run.absent():
        print(f"{run.name:22} skipped: {', '.join(absent)} not there (tools/fetch-programs)", flush=True)
        return False
    return True


def check_hashes(runs: list[corpus_run.CorpusRun], options: argparse.Namespace) -> int:
    failures = there = 0
    for run in runs:
        if not runnable(run):
            continue
        there += 1
        found = hashes_agree(run, options)
        failures += found != ""
        print(f"{run.name:22} {found or 'same hash twice'}", flush=True)
    print(f"{there - failures} of {there} repeat")
    return 1 if failures else 0


def check_expected(runs: list[corpus_run.CorpusRun], options: argparse.Namespace) -> int:
    failures = there = 0
    for run in runs:
        if not runnable(run):
            continue
        there += 1
        _, found = compare(run, options, json.loads(run.expected_path().read_text(encoding="utf-8")))
        failures += found != ""
        print(f"{run.name:22} {found or 'as expected'}", flush=True)
    if failures:
        return 1
    return 0 if there else SKIPPED


def record(run: corpus_run.CorpusRun, outcome: corpus_run.Outcome) -> None:
    run.expected_path().parent.mkdir(exist_ok=True)
    run.expected_path().write_text(json.dumps(outcome.summary(run), indent=1) + "\n", encoding="utf-8")


def check_against_wine(runs: list[corpus_run.CorpusRun], options: argparse.Namespace, wine: str) -> int:
    equal = there = 0
    print(f"{'':22}{'seconds:':>9}{'vitrine':>{8 * len(options.cpus)}}{'wine64':>16}")
    print(f"{'run':22}{'step':>9}{''.join(f'cpus {c}'.rjust(8) for c in options.cpus)}{'running':>8}{'cold':>8}  result")
    with wine_prefix.WinePrefix(wine) as prefix:
        lend_own_dlls(prefix, options.vitrine)
        oracle = Oracle(wine, prefix, options.cold and not options.record)
        for run in runs:
            if not runnable(run):
                continue
            there += 1
            outcome, cold = oracle.outcome(run)
            if options.record and run.in_tests and not outcome.timed_out:
                record(run, outcome)
            times, found = compare(run, options, outcome.summary(run))
            equal += found == ""
            ours = "".join(seconds(times.get(cpus)) for cpus in options.cpus)
            print(f"{run.name:22}{run.step:>9}{ours}{seconds(outcome.seconds)}{seconds(cold)}  {found or 'equal'}", flush=True)
    print(f"{equal} of {there} equal")
    return 0 if equal == there else 1


def kvm_job(run: corpus_run.CorpusRun, translated: corpus_run.Outcome, cpus: str) -> kvm_machine.Job:
    commands = [[str(run.program_path()), *command] for command in run.commands]
    beside = {corpus_run.fetched(name) for name in run.beside}
    folders = {path for path in run.program_path().parent.iterdir() if path.is_dir()}
    output = translated.output if run.compares_output else None
    return kvm_machine.Job(run.name, commands, translated.exits, output, translated.files, run.contents(), b"", beside, folders,
                           run.volatile, ["--cpus", cpus])


def check_kvm(runs: list[corpus_run.CorpusRun], options: argparse.Namespace) -> int:
    cpus, build = options.cpus[0], pathlib.Path(options.vitrine).parents[1]
    outcomes = {run.name: run.run(vitrine_command(options, cpus)) for run in runs if runnable(run)}
    runs = sorted((run for run in runs if run.name in outcomes), key=lambda run: outcomes[run.name].seconds)
    print(f"{'run':22}{'translator':>12}{'kvm':>8}  result")

    def report(result: kvm_machine.Result) -> None:
        print(f"{result.name:22}{seconds(outcomes[result.name].seconds):>12}{seconds(result.seconds)}"
              f"  {'equal' if result.passed else 'differs'}", flush=True)

    results = kvm_machine.run([kvm_job(run, outcomes[run.name], cpus) for run in runs], build, report, limit=options.limit,
                              timeout=options.timeout)
    equal = sum(result.passed for result in results)
    late = [run.name for run in runs[len(results):]]
    print(f"{equal} of {len(results)} equal under kvm and the translator{'; not reached: ' + ', '.join(late) if late else ''}")
    return 0 if equal == len(runs) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitrine", required=True, type=os.path.abspath)
    parser.add_argument("--step", type=int, action="append")
    parser.add_argument("--cpus", action="append")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--hashes", action="store_true")
    parser.add_argument("--no-cold", dest="cold", action="store_false")
    parser.add_argument("--expected", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--backend", choices=["kvm"])
    parser.add_argument("--limit", type=int, default=600)
    parser.add_argument("--timeout", type=int, default=3600)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    options = parser.parse_args()
    options.cpus = options.cpus or ["1"]
    known = corpus_run.load()
    if unknown := set(options.runs) - {run.name for run in known}:
        parser.error(f"no such run: {', '.join(sorted(unknown))}")
    runs = [run for run in known if (not options.runs or run.name in options.runs) and (not options.step or run.step in options.step)]
    if options.backend == "kvm":
        return check_kvm(runs, options)
    if options.hashes:
        return check_hashes(runs, options)
    if options.expected:
        return check_expected(runs, options)
    wine = wine_prefix.find_wine()
    if wine is None:
        print("skipped: wine64 is not installed (tools/install-packages)")
        return SKIPPED
    return check_against_wine(runs, options, wine)


if __name__ == "__main__":
    sys.exit(main())
