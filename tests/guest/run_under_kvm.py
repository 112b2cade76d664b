#!/usr/bin/env python3
"""Runs cases of cases.json with `vitrine run --backend kvm` inside tools/kvm-in-qemu, and compares exit codes, standard output
and files with tests/guest/expected/, as run_guest_test.py does for the translator. Cases whose third-party program is not there
are left out. With no names: every case.

    tests/guest/run_under_kvm.py --build build/release hello_write seh
"""

import argparse
import pathlib
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import guest_case

TOP = pathlib.Path(__file__).resolve().parents[2]
NLS = pathlib.Path("/usr/share/wine/nls")
SYSTEM32 = pathlib.Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")
# What programs load without importing it.
ALSO_LOADED = ["ntdll.dll", "kernel32.dll", "kernelbase.dll", "apisetschema.dll"]


def imports(file: pathlib.Path) -> list[str]:
    """The names in the import directory of a PE32+ file."""
    data = file.read_bytes()
    header = struct.unpack_from("<I", data, 0x3C)[0]
    sections, optional_size = struct.unpack_from("<H", data, header + 6)[0], struct.unpack_from("<H", data, header + 20)[0]
    table = [struct.unpack_from("<IIII", data, header + 24 + optional_size + 40 * n + 8) for n in range(sections)]

    def offset(address: int) -> int:
        return next(address - start + raw for size, start, raw_size, raw in table if start <= address < start + max(size, raw_size))

    names, entry = [], struct.unpack_from("<I", data, header + 24 + 120)[0]
    while entry and (name := struct.unpack_from("<I", data, offset(entry) + 12)[0]):
        names.append(data[offset(name) : data.index(b"\0", offset(name))].decode().lower())
        entry += 20
    return names


def system_files(programs: set[pathlib.Path]) -> set[pathlib.Path]:
    """The DLLs that the programs need, and those that these need."""
    found, todo = set(), [name for program in programs for name in imports(program)] + ALSO_LOADED
    while todo:
        file = SYSTEM32 / todo.pop()
        if file.is_file() and file not in found:
            found.add(file)
            todo += imports(file)
    return found


def script_of(case: guest_case.Case, folder: pathlib.Path, vitrine: pathlib.Path, programs: pathlib.Path) -> str:
    """Fills `folder`, and says how the case is run there and compared."""
    folder.mkdir()
    for name in case.files:
        shutil.copyfile(guest_case.HERE / name, folder / pathlib.Path(name).name)
    expected = case.expected()
    (folder / ".stdin").write_bytes(case.stdin)
    (folder / ".expected").write_bytes(expected.output)
    (folder / ".exits").write_text("".join(f"{code}\n" for code in expected.exits))
    lines = [f"cd {shlex.quote(str(folder))}", "start=$(cut -d' ' -f1 /proc/uptime)"]
    for step in case.steps:
        command = [str(vitrine), "run", "--backend", "kvm", str(case.program_path(programs)), *step]
        lines.append(f"{shlex.join(command)} <.stdin >>.output 2>>.errors; echo $? >>.codes")
    checks = ["cmp -s .output .expected", "cmp -s .codes .exits"]
    for name, digest in expected.files.items():
        checks.append(f'[ "$(sha256sum {shlex.quote(name)} 2>/dev/null | cut -d" " -f1)" = {digest} ]')
    lines.append(f"if {' && '.join(checks)}; then echo ok   {case.name}, $start to $(cut -d' ' -f1 /proc/uptime) s; else")
    lines.append(f"  echo FAIL {case.name}; tail -3 .errors; diff .exits .codes; diff .expected .output | head -20; fi")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--shadow", action="store_true", help="KVM without nested paging")
    parser.add_argument("--timeout", default="900")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    build = options.build.resolve()
    cases, programs = guest_case.load_cases(), build / "tests" / "guest"
    chosen = [cases[name] for name in options.names] or list(cases.values())
    chosen = [case for case in chosen if case.program_path(programs).is_file()]
    vitrine = build / "src" / "vitrine"
    with tempfile.TemporaryDirectory(prefix="vitrine-kvm.") as temporary:
        folder = pathlib.Path(temporary)
        scripts = [script_of(case, folder / case.name, vitrine, programs) for case in chosen]
        (folder / "script").write_text("\n".join(scripts) + "\n")
        files = {case.program_path(programs) for case in chosen} | set((build / "src" / "guest").glob("*.dll"))
        needed = [vitrine, folder, NLS, *files, *system_files(files)]
        command = [str(TOP / "tools" / "kvm-in-qemu"), "--timeout", options.timeout, "--memory", "3072"]
        command += ["--shadow"] * options.shadow + [word for path in needed for word in ("--with", str(path))]
        passed = 0
        with subprocess.Popen([*command, "sh", str(folder / "script")], stdout=subprocess.PIPE, errors="replace") as machine:
            for line in machine.stdout:
                print(line, end="", flush=True)
                passed += line.startswith("ok ")
    print(f"{passed} of {len(chosen)} cases pass under kvm")
    return 0 if machine.returncode == 0 and passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
