"""The main function of the tests that ctest calls with --vitrine and --programs, and what it was given."""

import argparse
import os
import pathlib
import shutil
import sys
import unittest

options = argparse.Namespace()  # vitrine, programs: filled by main


def main(needs: str | None = None) -> int:
    """`needs`: a program of the host without which the test is skipped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vitrine", required=True, type=os.path.abspath)
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    known, rest = parser.parse_known_args()
    if needs is not None and shutil.which(needs) is None:
        print(f"skipped: {needs} is not installed (tools/install-packages brings it)")
        return 77
    options.vitrine, options.programs = known.vitrine, known.programs.resolve()
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1
