"""A case of cases.json: how it is run, and the file that holds what is expected of it."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass
class Outcome:
    """What a run leaves that users can see. Standard error is kept for messages; it is not compared."""

    exits: list[int]
    output: bytes
    files: dict[str, str]
    errors: bytes = b""

    def encode(self) -> bytes:
        lines = [f"exit {code}" for code in self.exits]
        lines += [f"file {name} {digest}" for name, digest in sorted(self.files.items())]
        return "\n".join(lines + ["output", ""]).encode() + self.output

    @staticmethod
    def decode(data: bytes) -> "Outcome":
        head, output = data.split(b"output\n", 1)
        exits, files = [], {}
        for line in head.decode().splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "exit":
                exits.append(int(rest))
            else:
                name, digest = rest.rsplit(" ", 1)
                files[name] = digest
        return Outcome(exits, output, files)


def fetched_folder() -> pathlib.Path:
    if folder := os.environ.get("VITRINE_PROGRAMS"):
        return pathlib.Path(folder)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(cache) / "vitrine" / "programs"


class Case:
    def __init__(self, entry: dict):
        self.name = entry["name"]
        self.program = entry.get("program", self.name)
        self.fetched = entry.get("fetched")
        self.steps = entry.get("chain") or [entry.get("args", [])]
        self.stdin = entry.get("stdin", "").encode()
        self.files = entry.get("files", [])
        self.produces = entry.get("produces", [])
        self.oracle = entry.get("oracle", "wine64")
        self.timeout = entry.get("timeout", 60)
        self.options = entry.get("options", [])
        self.emulated = entry.get("emulated", "")

    def program_path(self, programs: pathlib.Path) -> pathlib.Path:
        if self.fetched:
            return fetched_folder() / self.fetched / f"{self.fetched}.exe"
        return programs / f"{self.program}.exe"

    def expected_path(self) -> pathlib.Path:
        return HERE / "expected" / f"{self.name}.txt"

    def expected(self) -> Outcome:
        return Outcome.decode(self.expected_path().read_bytes())

    def run(self, prefix: list[str], programs: pathlib.Path, env: dict | None = None) -> Outcome:
        """Runs the case's steps as `prefix PROGRAM ARGUMENTS`, in a folder of its own that holds the case's files."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vitrine-guest."))
        try:
            for name in self.files:
                shutil.copyfile(HERE / name, folder / pathlib.Path(name).name)
            exits, output, errors = [], b"", b""
            for step in self.steps:
                done = subprocess.run(
                    [*prefix, str(self.program_path(programs)), *step],
                    input=self.stdin, capture_output=True, cwd=folder, env=env, timeout=self.timeout, check=False,
                )
                exits.append(done.returncode)
                output += done.stdout
                errors += done.stderr
            files = {name: digest_of(folder / name) for name in self.produces}
            return Outcome(exits, output, files, errors)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def host_has_avx512() -> bool:
    flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"} <= set(flags)


def digest_of(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"


def load_cases() -> dict[str, Case]:
    entries = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))["cases"]
    return {entry["name"]: Case(entry) for entry in entries}
