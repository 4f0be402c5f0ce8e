"""Time and memory for lattices of a million arcs, and of rescoring by the arcs that it expands.

Usage: python benchmarks/lattices.py [--arcs N...] [--rescored N...] [--model DIR]

The lattices are rows of slots with a hundred arcs each, in Kaldi's format. Times are of the
processor, not of the clock. Every size has a process of its own, whose peak memory is shown.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import lmscore
from lmscore.runtime.rescoring.lattices import (
    Lattice,
    LatticeOptions,
    n_best,
    read_lattices,
    rescore_lattice,
    word_graph,
)

Result = TypeVar("Result")

WORDS = "the a cat dog sat on mat thanks for all fish so long and I you we they saw ran".split()
PER_SLOT = 100
SEARCH = LatticeOptions(beam=4.0, max_tokens=4)


def main() -> None:
    """Print both tables."""
    options = _options()
    if options.worker:
        _work(options.worker, options.arcs[0], options.model)
        return
    print("| arcs | reading, s | best text, s | 100 best, s | posteriors, s | peak memory, MB |")
    print("|---|---|---|---|---|---|")
    for arcs in options.arcs:
        print(_in_process("searched", arcs, options.model), flush=True)
    print("\n| arcs | expanded | rescoring, s | µs for an expanded arc | peak memory, MB |")
    print("|---|---|---|---|---|")
    for arcs in options.rescored:
        print(_in_process("rescored", arcs, options.model), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arcs", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--rescored", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--model", help="default: the bundled one")
    parser.add_argument("--worker", choices=["searched", "rescored"], help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_process(work: str, arcs: int, model: str | None) -> str:
    command = [sys.executable, __file__, "--worker", work, "--arcs", str(arcs)]
    command += ["--model", model] if model else []
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _work(work: str, arcs: int, model: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lattice"
        _write(path, arcs)
        lattice, reading = _timed(lambda: next(iter(read_lattices(path))))
    figures = _searched(lattice, reading) if work == "searched" else _rescored(lattice, model)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"| {arcs:,} | {' | '.join(figures)} | {peak:,.0f} |")


def _write(path: Path, arcs: int) -> None:
    """A lattice of slots, each with a hundred words and their costs."""
    draw = random.Random(7)
    slots = arcs // PER_SLOT
    with path.open("w", encoding="utf-8") as file:
        file.write("utterance\n")
        for slot in range(slots):
            for word in draw.choices(WORDS, k=PER_SLOT):
                costs = f"{draw.uniform(0, 5):.3f},{draw.uniform(0, 50):.3f},"
                file.write(f"{slot} {slot + 1} {word} {costs}\n")
        file.write(f"{slots}\n\n")


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    begun = time.process_time()
    result = work()
    return result, time.process_time() - begun


def _searched(lattice: Lattice, reading: float) -> list[str]:
    times = [
        reading,
        _timed(lambda: n_best(lattice, 1))[1],
        _timed(lambda: n_best(lattice, 100))[1],
        _timed(lambda: word_graph(lattice))[1],
    ]
    return [f"{seconds:.1f}" for seconds in times]


def _rescored(lattice: Lattice, model: str | None) -> list[str]:
    lm = lmscore.load(model)
    found, seconds = _timed(lambda: rescore_lattice(lm, lattice, options=SEARCH))
    expanded = len(found.lattice.arcs)
    return [f"{expanded:,}", f"{seconds:.1f}", f"{1e6 * seconds / expanded:.0f}"]


if __name__ == "__main__":
    main()
