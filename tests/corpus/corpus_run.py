"""One run of corpus.json: the folder it needs, its commands, and what it leaves."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "guest"))
import guest_case
import inputs

SYSTEM32 = pathlib.Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Outcome:
    """What a run leaves that users can see, and how long it took. Standard error is kept for messages; it is not compared."""

    def __init__(self):
        self.exits: list[int] = []
        self.output = b""
        self.errors = b""
        self.files: dict[str, str] = {}
        self.seconds = 0.0
        self.timed_out = False

    def summary(self, run: "CorpusRun") -> dict:
        found = {"exits": self.exits, "files": dict(sorted(self.files.items()))}
        if run.compares_output:
            found["output"] = digest(self.output)
        return found

    def first_missing(self) -> str | None:
        """The first system service that the program asked for and did not get."""
        for line in self.errors.decode("utf-8", "replace").splitlines():
            if line.startswith("vitrine: ") and " called " in line:
                return line.split(" called ", 1)[1].split(",", 1)[0]
        return None

    def trace_hashes(self) -> list[str]:
        """The hash of each command that was run with --stats=json."""
        text, found, at = "\n" + self.errors.decode("utf-8", "replace"), [], 0
        while (at := text.find("\n{", at)) >= 0:
            try:
                found.append(str(json.JSONDecoder().raw_decode(text[at + 1:])[0]["trace_hash"]))
            except (ValueError, KeyError):
                pass  # a line of the program's own
            at += 1
        return found


class CorpusRun:
    def __init__(self, entry: dict):
        self.name = entry["name"]
        self.step = entry["step"]
        self.program = entry["program"]
        self.inputs = entry.get("inputs", [])
        self.beside = entry.get("beside", [])
        self.commands = entry["commands"]
        self.volatile = set(entry.get("volatile", []))
        self.compares_output = entry.get("output") != "exit code only"
        self.timeout = entry.get("timeout", 60)
        self.in_tests = entry.get("test", False)

    def program_path(self) -> pathlib.Path:
        if self.program.endswith(".exe"):
            return SYSTEM32 / self.program
        return fetched(self.program)

    def programs(self) -> list[str]:
        """The recipes of tools/programs that it needs."""
        return [name for name in [self.program, *self.beside] if not name.endswith(".exe")]

    def absent(self) -> list[str]:
        return [name for name in self.programs() if not fetched(name).is_file()]

    def run(self, prefix: list[str], env: dict | None = None) -> Outcome:
        """Runs its commands as `prefix PROGRAM ARGUMENTS`, in a new folder that holds its inputs."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vitrine-corpus."))
        outcome = Outcome()
        try:
            self.fill(folder)
            # Streams are files: Node.js refuses the pipes that Wine makes of the host's.
            with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
                try:
                    self.run_commands(prefix, {"cwd": folder, "env": env, "stdout": output, "stderr": errors}, outcome)
                except subprocess.TimeoutExpired:
                    outcome.timed_out = True
                    outcome.seconds = float(self.timeout)
                for stream in (output, errors):
                    stream.seek(0)
                outcome.output, outcome.errors = output.read(), errors.read()
            outcome.files = self.digests(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return outcome

    def fill(self, folder: pathlib.Path) -> None:
        for name in self.inputs:
            inputs.place(name, folder)
        for name in self.beside:
            shutil.copy2(fetched(name), folder)

    def contents(self) -> dict[str, bytes]:
        """What its folder holds in the beginning."""
        with tempfile.TemporaryDirectory(prefix="vitrine-corpus.") as folder:
            self.fill(pathlib.Path(folder))
            return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}

    def run_commands(self, prefix: list[str], where: dict, outcome: Outcome) -> None:
        begin = time.monotonic()
        for command in self.commands:
            done = subprocess.run([*prefix, str(self.program_path()), *command], stdin=subprocess.DEVNULL, timeout=self.timeout,
                                  check=False, **where)
            outcome.exits.append(done.returncode)
        outcome.seconds = time.monotonic() - begin

    def digests(self, folder: pathlib.Path) -> dict[str, str]:
        found = {}
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in self.volatile:
                found[name] = digest(path.read_bytes())
        return found

    def expected_path(self) -> pathlib.Path:
        return HERE / "expected" / f"{self.name}.json"


def fetched(name: str) -> pathlib.Path:
    return guest_case.fetched_folder() / name / f"{name}.exe"


def difference(run: CorpusRun, ours: Outcome, oracle: dict) -> str:
    """Empty when the two are equal; else what differs, and the service that was missed first."""
    if ours.timed_out:
        parts = [f"timed out after {run.timeout} s"]
    else:
        mine = ours.summary(run)
        parts = [f"differs in {name}" + (f" {mine[name]}, expected {oracle[name]}" if name == "exits" else "")
                 for name in mine if mine[name] != oracle.get(name)]
    if not parts:
        return ""
    missing = ours.first_missing()
    return ", ".join(parts) + (f"; first missing service {missing}" if missing else "")


def load() -> list[CorpusRun]:
    entries = json.loads((HERE / "corpus.json").read_text(encoding="utf-8"))["runs"]
    return [CorpusRun(entry) for entry in entries]
