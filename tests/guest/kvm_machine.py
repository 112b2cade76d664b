"""Runs Windows programs with `vitrine run --backend kvm` and says which did what was expected: here where there is a /dev/kvm,
else inside tools/kvm-in-qemu, which has a shell and nothing else. So a job is a piece of shell script that compares for itself."""

import dataclasses
import os
import pathlib
import shlex
import struct
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
NLS = pathlib.Path("/usr/share/wine/nls")
SYSTEM32 = pathlib.Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")
# What programs load or start without importing it.
ALSO_LOADED = ["ntdll.dll", "kernel32.dll", "kernelbase.dll", "apisetschema.dll", "advapi32.dll", "cmd.exe"]
IMPORTS, DELAYED_IMPORTS = 1, 13  # data directories


@dataclasses.dataclass
class Job:
    name: str
    commands: list[list[str]]  # a program's path and its arguments, run after each other in a folder of their own
    exits: list[int]
    output: bytes | None  # None: not compared
    files: dict[str, str]  # name and SHA-256 of what is there afterwards
    inputs: dict[str, bytes] = dataclasses.field(default_factory=dict)
    stdin: bytes = b""
    beside: set[pathlib.Path] = dataclasses.field(default_factory=set)  # PE files that it starts besides its programs
    folders: set[pathlib.Path] = dataclasses.field(default_factory=set)  # what its programs read from where they lie
    volatile: set[str] | None = None  # None: no other files are looked at; else all but these must be in `files`
    options: list[str] = dataclasses.field(default_factory=list)  # of `vitrine run`

    def programs(self) -> set[pathlib.Path]:
        """The PE files that it needs: its programs, the DLLs that lie beside them, and what the caller names."""
        files = {pathlib.Path(command[0]) for command in self.commands} | self.beside
        return files | {dll for file in files if file.parent != SYSTEM32 for dll in file.parent.glob("*.dll")}


@dataclasses.dataclass
class Result:
    name: str
    passed: bool
    seconds: float
    details: list[str] = dataclasses.field(default_factory=list)


def imports(file: pathlib.Path) -> list[str]:
    """The names in the import directories of a PE32+ file."""
    data = file.read_bytes()
    header = struct.unpack_from("<I", data, 0x3C)[0]
    count, optional_size = struct.unpack_from("<H", data, header + 6)[0], struct.unpack_from("<H", data, header + 20)[0]
    table = [struct.unpack_from("<IIII", data, header + 24 + optional_size + 40 * n + 8) for n in range(count)]

    def offset(address: int) -> int:
        return next(address - start + raw for size, start, raw_size, raw in table if start <= address < start + max(size, raw_size))

    names = []
    for directory, record_bytes, name_at in ((IMPORTS, 20, 12), (DELAYED_IMPORTS, 32, 4)):
        entry = struct.unpack_from("<I", data, header + 24 + 112 + 8 * directory)[0]
        while entry and (name := struct.unpack_from("<I", data, offset(entry) + name_at)[0]):
            names.append(data[offset(name) : data.index(b"\0", offset(name))].decode().lower())
            entry += record_bytes
    return names


def system_files(programs: set[pathlib.Path]) -> set[pathlib.Path]:
    """The files of system32 that the programs need, and those that these need."""
    found, todo = set(), [name for program in programs for name in imports(program)] + ALSO_LOADED
    while todo:
        file = SYSTEM32 / todo.pop()
        if file.is_file() and file not in found:
            found.add(file)
            todo += imports(file)
    return found


def script_of(job: Job, folder: pathlib.Path, vitrine: pathlib.Path, limit: int) -> str:
    """Fills `folder`, and says how the job is run there and compared."""
    work = folder / "work"
    work.mkdir(parents=True)
    for name, data in job.inputs.items():
        (work / name).write_bytes(data)
        os.utime(work / name, (1_600_000_000, 1_600_000_000))
    (folder / "stdin").write_bytes(job.stdin)
    if job.output is not None:
        (folder / "expected").write_bytes(job.output)
    (folder / "exits").write_text("".join(f"{code}\n" for code in job.exits))
    (folder / "files").write_text("".join(sorted(f"{digest}  ./{name}\n" for name, digest in job.files.items() if digest != "absent")))
    if job.volatile is None:
        listing = f"ls -d {shlex.join('./' + name for name in job.files)} 2>/dev/null" if job.files else "true"
    else:
        listing = "find . -type f " + " ".join(f"! -path {shlex.quote('./' + name)}" for name in sorted(job.volatile))
    lines = [f"cd {shlex.quote(str(work))}", "start=$(cut -d' ' -f1 /proc/uptime)"]
    for command in job.commands:
        words = ["timeout", "-s", "KILL", str(limit), str(vitrine), "run", "--backend", "kvm", *job.options, *command]
        lines.append(f"{shlex.join(words)} <../stdin >>../output 2>>../errors; echo $? >>../codes")
    return "\n".join(lines + [
        f"{listing} | xargs -r -n 1 sha256sum | sort >../listing",
        f"passed=FAIL; {'cmp -s ../output ../expected' if job.output is not None else 'true'} && cmp -s ../codes ../exits && cmp -s ../listing ../files && passed=ok",
        f"echo \"@ $passed {job.name} $start $(cut -d' ' -f1 /proc/uptime)\"",
        "[ $passed = ok ] || { tail -n 3 ../errors; diff ../exits ../codes; diff ../expected ../output | head -n 30; diff ../files ../listing; }",
        f"cd /; rm -rf {shlex.quote(str(work))}",
    ])


def collect(lines, report) -> list[Result]:
    """`report` is called with each result as it comes; what follows it says how it differs."""
    results = []
    for line in lines:
        words = line.split()
        if len(words) == 5 and words[0] == "@":
            results.append(Result(words[2], words[1] == "ok", float(words[4]) - float(words[3])))
            report(results[-1])
        elif results:
            results[-1].details.append(line.rstrip("\n"))
            print("    " + line, end="", flush=True)
        else:
            print(line, end="", flush=True)
    return results


def run(jobs: list[Job], build: pathlib.Path, report, *, limit: int, timeout: int, shadow: bool = False) -> list[Result]:
    """Runs the jobs after each other, each command for at most `limit` seconds, all of them for at most `timeout`: then the results
    are fewer than the jobs. With `shadow`, KVM in QEMU has no nested paging."""
    vitrine = build / "src" / "vitrine"
    with tempfile.TemporaryDirectory(prefix="vitrine-kvm.") as temporary:
        folder = pathlib.Path(temporary)
        scripts = [script_of(job, folder / job.name, vitrine, limit) for job in jobs]
        (folder / "script").write_text("\n".join(scripts) + "\n")
        command = ["sh", str(folder / "script")]
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            files = set().union(*(job.programs() for job in jobs)) | set((build / "src" / "guest").glob("*.dll"))
            folders = set().union(*(job.folders for job in jobs))
            needed = [vitrine, folder, NLS, *files, *folders, *system_files(files)]
            command = [str(TOP / "tools" / "kvm-in-qemu"), "--timeout", str(timeout), "--memory", "4096", *["--shadow"] * shadow,
                       *[word for path in needed for word in ("--with", str(path))], *command]
        with subprocess.Popen(command, stdout=subprocess.PIPE, errors="replace") as machine:
            return collect(machine.stdout, report)
