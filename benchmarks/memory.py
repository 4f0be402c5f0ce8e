"""Memory and rate of `lmscore score` over millions of short lines: neither should change.

Usage: python benchmarks/memory.py [--model PATH] [--threads N] [--lines 1000000] [--json FILE]

The program runs in a process of its own, between two pipes: one brings lines that are made as they
are needed, no two alike, the other takes the scores away. From the first score on, its resident
memory, its CPU time and the clock are read a hundred times, at even distances: each rate is that
of the lines since the reading before, so that a drift would show. For Linux (/proc).
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


READINGS = 100
SHOWN = (1, 2, 5, 10, 20, 50, 100)  # of them
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Reading:
    lines: int  # since the first score
    seconds: float  # likewise
    cpu_seconds: float  # since the process began
    megabytes: float


@dataclass(frozen=True)
class Stretch:
    """What lies between two readings."""

    first: Reading
    last: Reading

    @property
    def lines_per_second(self) -> float:
        return (self.last.lines - self.first.lines) / self.seconds

    @property
    def cores(self) -> float:
        """CPU seconds a second: how many cores were kept busy."""
        return self.cpu_seconds / self.seconds

    @property
    def lines_per_cpu_second(self) -> float:
        """What is left of the rate when other programs' share of the machine is taken out."""
        return (self.last.lines - self.first.lines) / self.cpu_seconds

    @property
    def seconds(self) -> float:
        return self.last.seconds - self.first.seconds

    @property
    def cpu_seconds(self) -> float:
        return self.last.cpu_seconds - self.first.cpu_seconds


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


def cpu_seconds(process: int) -> float:
    """User and system time of all threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    if found is None:
        raise SystemExit("lmscore score ended too early")
    return int(found[1]) / 1024


def measure(arguments: list[str], lines: int) -> list[Reading]:
    program = subprocess.Popen([*COMMAND, "score", "--quiet", *arguments], stdin=-1, stdout=-1)
    assert program.stdin is not None
    assert program.stdout is not None
    feeder = threading.Thread(target=feed, args=(program.stdin, lines), daemon=True)
    feeder.start()
    readings: list[Reading] = []
    done = first = 0
    start = 0.0
    while block := program.stdout.read1(1 << 16):
        done += block.count(b"\n")
        first, start = (first, start) if readings else (done, time.perf_counter())
        # The last one is taken while there are scores to come: the program still runs.
        due = first + (lines - first) * len(readings) // (READINGS + 1)
        if done >= due and len(readings) <= READINGS:
            seconds = time.perf_counter() - start
            usage = cpu_seconds(program.pid), resident_megabytes(program.pid)
            readings.append(Reading(done - first, seconds, *usage))
    program.stdout.close()
    if program.wait() or done != lines:
        raise SystemExit(f"lmscore score ended with {program.returncode} after {done} lines")
    return readings


def report(readings: list[Reading]) -> None:
    print("Rates are those of the lines since the row above.\n")
    print("| lines | seconds | lines/s | lines per CPU second | cores busy | memory |")
    print("|---|---|---|---|---|---|")
    shown = [readings[number] for number in (0, *SHOWN)]
    for stretch in map(Stretch, shown, shown[1:]):
        row = stretch.last
        print(
            f"| {row.lines:,} | {row.seconds:.1f} "
            f"| {stretch.lines_per_second:,.0f} | {stretch.lines_per_cpu_second:,.0f} "
            f"| {stretch.cores:.2f} | {row.megabytes:.1f} MB |"
        )
    rates = [each.lines_per_second for each in map(Stretch, readings, readings[1:])]
    print(f"\nlines/s, each character one of {len(rates)} equal stretches, from 0 to the fastest:")
    print("".join(BARS[min(7, int(8 * rate / max(rates)))] for rate in rates))
    tenth = READINGS // 10
    before = Stretch(readings[0], readings[tenth])
    after = Stretch(readings[-1 - tenth], readings[-1])
    rate = after.lines_per_second / before.lines_per_second
    cost = after.lines_per_cpu_second / before.lines_per_cpu_second
    growth = readings[-1].megabytes - readings[1].megabytes
    times = readings[-1].lines / readings[1].lines
    print(f"\nlast tenth to first tenth: {rate:.3f} x the lines/s, {cost:.3f} x per CPU second")
    print(f"from the first stretch to {times:.0f} times as many lines: {growth:+.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="default: the bundled model")
    parser.add_argument("--threads", type=int, help="default: one per core")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.lines < 100 * BLOCK:
        parser.error(f"--lines must be at least {100 * BLOCK}, for a hundred readings to differ")

    chosen = {"--model": options.model, "--threads": options.threads}
    arguments = [f"{name}={value}" for name, value in chosen.items() if value is not None]
    readings = measure(arguments, options.lines)
    report(readings)
    if options.json:
        document = {
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "model": options.model,
            "threads": options.threads,
            "readings": list(map(asdict, readings)),
        }
        options.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
