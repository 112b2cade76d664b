"""Puts a run's input files into its folder: small ones are kept in inputs/, large and regular ones are made here, the same on every host."""

import os
import pathlib
import shutil
import struct
import zlib

HERE = pathlib.Path(__file__).resolve().parent
FOLDERS = (HERE / "inputs", HERE.parent / "guest" / "scripts")
A_FIXED_TIME = 1_600_000_000  # of every input: what a program sees must not depend on when it was made


def numbers(seed: int):
    """A linear congruential sequence of 15-bit numbers."""
    while True:
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        yield seed >> 16


def text(size: int) -> bytes:
    """Words in an irregular order, some of them numbers that hardly repeat: compresses about as well as prose."""
    source, words, length = numbers(1), [], 0
    while length < size:
        pick = next(source)
        word = b"%d" % (pick * 7919 + length) if pick % 7 == 0 else b"word%d" % (pick % 997)
        word += b"\n" if pick % 11 == 0 else b" "
        words.append(word)
        length += len(word)
    return b"".join(words)[:size]


def png() -> bytes:
    """A picture of 96 by 64 pixels, stored without filters and hardly compressed, so that optimisers have work."""
    rows = b"".join(b"\0" + b"".join(bytes((x * 2 % 256, y * 4 % 256, (x ^ y) & 0xF0)) for x in range(96)) for y in range(64))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 96, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


def children() -> bytes:
    """A ninja file with 200 independent children."""
    lines = ["rule copy", "  command = cmd /c copy $in $out", "  description = $out"]
    lines += [f"build out{n}.txt: copy sample.txt" for n in range(200)]
    return ("\n".join(lines) + "\n").encode()


MADE = {
    "text1m.txt": lambda: text(1 << 20),
    "text8m.txt": lambda: text(8 << 20),
    "image.png": png,
    "children.ninja": children,
}
cache: dict[str, bytes] = {}


def place(name: str, folder: pathlib.Path) -> None:
    target = folder / name
    if name in MADE:
        if name not in cache:
            cache[name] = MADE[name]()
        target.write_bytes(cache[name])
    else:
        source = next(place / name for place in FOLDERS if (place / name).is_file())
        shutil.copyfile(source, target)
    os.utime(target, (A_FIXED_TIME, A_FIXED_TIME))
