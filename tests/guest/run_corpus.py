#!/usr/bin/env python3
"""Runs the third-party programs of cases.json under Vitrine and under wine64 and prints a table: equal or not, and the times of both.

  tests/guest/run_corpus.py --vitrine build/release/src/vitrine [--cpus N] [CASE...]      (`make corpus` fetches the programs first)
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import guest_case
import wine_prefix


def timed(case: guest_case.Case, prefix: list[str], env: dict | None) -> tuple[guest_case.Outcome | None, float]:
    begin = time.monotonic()
    try:
        outcome = case.run(prefix, pathlib.Path("."), env)
    except subprocess.TimeoutExpired:
        outcome = None
    return outcome, time.monotonic() - begin


def verdict(ours: guest_case.Outcome | None, oracle: guest_case.Outcome | None) -> str:
    if ours is None or oracle is None:
        return "timed out"
    if ours.encode() == oracle.encode():
        return "equal"
    notices = [line for line in ours.errors.decode("utf-8", "replace").splitlines() if line.startswith("vitrine: ")]
    parts = [name for name in ("exits", "output", "files") if getattr(ours, name) != getattr(oracle, name)]
    return f"differs in {', '.join(parts)}" + (f" ({notices[0]})" if notices else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vitrine", required=True, type=os.path.abspath)
    parser.add_argument("--cpus", default="1")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    wine = wine_prefix.find_wine()
    if wine is None:
        print("skipped: wine64 is not installed")
        return 77
    cases = [case for case in guest_case.load_cases().values() if case.fetched and (not options.cases or case.name in options.cases)]
    equal = there = 0
    print(f"{'run':24}{'vitrine':>10}{'wine64':>10}  result")
    with wine_prefix.WinePrefix(wine) as prefix:
        for case in cases:
            if not case.program_path(pathlib.Path(".")).is_file():
                print(f"{case.name:24}{'':20}  skipped: {case.fetched}.exe is not there (tools/fetch-programs)")
                continue
            there += 1
            oracle, wine_seconds = timed(case, [wine], prefix.env)
            ours, our_seconds = timed(case, [options.vitrine, "run", "--cpus", options.cpus], None)
            result = verdict(ours, oracle)
            equal += result == "equal"
            print(f"{case.name:24}{our_seconds:9.2f}s{wine_seconds:9.2f}s  {result}")
    print(f"{equal} of {there} equal")
    return 0 if equal == there else 1


if __name__ == "__main__":
    sys.exit(main())
