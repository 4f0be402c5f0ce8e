"""Memory of `lmscore score` over millions of short lines: it should not grow.

Usage: python benchmarks/memory.py [--model PATH] [--lines 10000000] [--rows 20] [--json FILE]

The program runs in a process of its own, between two pipes: one brings lines that are made as they
are needed, no two alike, the other takes the scores away. Its resident memory is read at even
distances between the first score and the last. For Linux (/proc).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

WORDS = "the a cat dog sat ran saw on with of in fish is was it not".split()
BLOCK = 10_000  # lines
COMMAND = [sys.executable, "-c", "import sys; from lmscore.cli import main; sys.exit(main())"]


@dataclass(frozen=True)
class Row:
    lines: int
    seconds: float
    megabytes: float


def blocks(lines: int) -> Iterator[bytes]:
    """One to four words and a number that no other line has; every hundredth line is blank."""
    for start in range(0, lines, BLOCK):
        numbers = range(start, min(start + BLOCK, lines))
        made = (
            f"{' '.join(WORDS[n % 13 : n % 13 + n % 4 + 1])} {n}\n" if n % 100 else "\n"
            for n in numbers
        )
        yield "".join(made).encode()


def feed(pipe: BinaryIO, lines: int) -> None:
    with pipe:
        for block in blocks(lines):
            pipe.write(block)


def resident_megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    if found is None:
        raise SystemExit("lmscore score ended too early")
    return int(found[1]) / 1024


def measure(model: str | None, lines: int, rows: int) -> list[Row]:
    arguments = ["score", "--quiet", *(["--model", model] if model else [])]
    program = subprocess.Popen([*COMMAND, *arguments], stdin=-1, stdout=-1)
    assert program.stdin is not None
    assert program.stdout is not None
    feeder = threading.Thread(target=feed, args=(program.stdin, lines), daemon=True)
    start = time.perf_counter()
    feeder.start()
    measured: list[Row] = []
    done = 0
    while block := program.stdout.read1(1 << 16):
        done += block.count(b"\n")
        # The last row is read while there are scores to come: the program still runs.
        if len(measured) < rows and done >= lines * (len(measured) + 1) // (rows + 1):
            seconds = time.perf_counter() - start
            measured.append(Row(done, seconds, resident_megabytes(program.pid)))
    program.stdout.close()
    if program.wait() or done != lines:
        raise SystemExit(f"lmscore score ended with {program.returncode} after {done} lines")
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="default: the bundled model")
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--rows", type=int, default=20, help="how often memory is read")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    rows = measure(options.model, options.lines, options.rows)
    print("| lines | seconds | lines/s | memory |\n|---|---|---|---|")
    for row in rows:
        rate = row.lines / row.seconds
        print(f"| {row.lines:,} | {row.seconds:.0f} | {rate:,.0f} | {row.megabytes:.1f} MB |")
    growth = rows[-1].megabytes - rows[0].megabytes
    print(f"\nfrom the first row to the last: {growth:+.1f} MB")
    if options.json:
        machine = {"machine": platform.platform(), "cores": os.cpu_count()}
        document = {**machine, "model": options.model, "rows": list(map(asdict, rows))}
        options.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
