"""Threads and processes that score at the same time: tokens a second of all of them together.

Usage: python benchmarks/concurrency.py TEXT [--model PATH] [--lines 6000] [--counts 1 2 4]
                                        [--unnormalized] [--rows NAME …] [--json FILE]

N threads share one model and score a part of the text each, in batches (`score_batch`) or sentence
by sentence (`score`); N processes load it themselves, with one thread each or with the default,
which is all cores for each. Rows take turns; medians; the ratio to the first is what counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from texts import first_lines
from turns import save, take_turns

Options = argparse.Namespace


def threads(options: Options, count: int, *, batches: bool, each: int | None) -> float:
    import lmscore

    lm = lmscore.load(options.model, threads=each, unnormalized=options.unnormalized)
    lines = first_lines(options.text, options.lines)
    lines = lines if batches else lines[: len(lines) // 8]
    parts = [lines[n::count] for n in range(count)]
    lm.score_batch(lines[:100], tokens=False)

    def work(part: list[str]) -> int:
        if batches:
            return sum(score.num_tokens for score in lm.score_batch(part, tokens=False))
        return sum(lm.score(line, tokens=False).num_tokens for line in part)

    start = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(work, parts)) / (time.perf_counter() - start)


def processes(options: Options, count: int, *, each: int | None) -> float:
    """Each reads a part of the lines; they begin together, once all have loaded the model."""
    code = (
        "import sys, time, lmscore\n"
        "lm = lmscore.load(sys.argv[1] or None, threads=int(sys.argv[2]) or None, "
        "unnormalized=sys.argv[7] == 'True')\n"
        "lines = open(sys.argv[3], encoding='utf-8').read().split('\\n')[:int(sys.argv[4])]\n"
        "part = lines[int(sys.argv[5])::int(sys.argv[6])]\n"
        "lm.score_batch(part[:100], tokens=False)\n"
        "print(flush=True); sys.stdin.readline(); start = time.time()\n"
        "n = sum(s.num_tokens for s in lm.score_batch(part, tokens=False))\n"
        "print(n, start, time.time())\n"
    )
    fixed = [options.model or "", str(each or 0), options.text, str(options.lines)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, *fixed, str(n), str(count), str(options.unnormalized)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(count)
    ]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    done = [tuple(map(float, process.communicate()[0].split())) for process in started]
    seconds = max(end for _, _, end in done) - min(start for _, start, _ in done)
    return sum(tokens for tokens, _, _ in done) / seconds


def rows(counts: list[int]) -> dict[str, tuple[str, int]]:
    found = {}
    for count in counts:
        found[f"{count} threads, batches"] = ("batches", count)
    for count in counts:
        found[f"{count} threads, sentence by sentence"] = ("sentences", count)
    found[f"{max(counts)} threads, sentence by sentence, threads=1"] = ("sentences1", max(counts))
    for count in counts:
        found[f"{count} processes, --threads 1"] = ("processes1", count)
    for count in counts[1:]:
        found[f"{count} processes, default threads"] = ("processes", count)
    return found


def worker(kind: str, count: int, options: Options) -> float:
    if kind.startswith("processes"):
        return processes(options, count, each=1 if kind.endswith("1") else None)
    each = 1 if kind.endswith("1") else None
    return threads(options, count, batches=kind == "batches", each=each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--model", help="default: the bundled model")
    parser.add_argument("--lines", type=int, default=6000)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--unnormalized", action="store_true", help="leave the softmax out")
    parser.add_argument("--rows", nargs="+", help="only these rows")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = rows(options.counts)
    if options.worker:
        print(worker(*names[options.worker], options))
        return

    counts = map(str, options.counts)
    given = [options.text, f"--lines={options.lines}", "--counts", *counts]
    given += [f"--model={options.model}"] if options.model else []
    given += ["--unnormalized"] if options.unnormalized else []
    speeds = take_turns(__file__, options.rows or list(names), given, turns=options.turns)
    base = next(iter(speeds.values()))
    print(f"| {os.cpu_count()} cores | tokens/s | ratio |\n|---|---|---|")
    for name, speed in speeds.items():
        print(f"| {name} | {speed:,.0f} | {speed / base:.2f} |")
    save(options.json, speeds)


if __name__ == "__main__":
    main()
