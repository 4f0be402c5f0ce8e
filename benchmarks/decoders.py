"""Seconds of an utterance in real decoders, and how they split: decoder, adapter, graph.

Usage: python benchmarks/decoders.py TEXT [--model PATH] [--decoders pyctcdecode espnet ...]
                                     [--utterances 5] [--beams 50] [--threads N] [--json FILE]

The decoders are in no extra: `.ci/decoders` shows the environment that has them. The acoustics are
synthetic, made from 60 to 90 letters of TEXT each, about 5 seconds of speech. `adapter` is all
the time inside lmscore, `graph` the part of it inside ONNX Runtime; `rows` are the hypotheses that
the graph read, in `runs`. Medians of the utterances, each decoded once, by an adapter that knows
none of its words.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from decoder_sessions import LETTERS, SESSIONS
from onnxruntime import InferenceSession
from turns import save

import lmscore
from lmscore.runtime.model import LanguageModel

COLUMNS = ("seconds", "adapter", "graph", "runs", "rows", "positions")


class Meter:
    """Where the time of an utterance goes."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(COLUMNS, 0.0)
        self._depth = 0

    def watch(self, owner: type, name: str, column: str) -> None:
        """Add the time inside a method to a column; not twice where watched methods nest."""
        inside: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **keywords: Any) -> Any:
            nested = column == "adapter" and self._depth > 0
            self._depth += column == "adapter"
            start = time.perf_counter()
            try:
                return inside(*arguments, **keywords)
            finally:
                self._depth -= column == "adapter"
                if not nested:
                    self.counts[column] += time.perf_counter() - start

        setattr(owner, name, timed)

    def count_run(self, rows: int, times: int) -> None:
        """Observe a run of the graph."""
        self.counts["runs"] += 1
        self.counts["rows"] += rows
        self.counts["positions"] += rows * times


def measure(lm: LanguageModel, name: str, texts: list[str], beams: int) -> dict[str, float]:
    """The medians of a decoder over the texts; the first one warms it up."""
    session, meter = SESSIONS[name](lm, texts, beams), Meter()
    for method in session.methods:
        meter.watch(session.adapter, method, "adapter")
    found: list[dict[str, float]] = []
    with lm.engine.observe(meter.count_run):
        for number in range(len(texts)):
            meter.counts = dict.fromkeys(COLUMNS, 0.0)
            METER.counts = meter.counts
            start = time.perf_counter()
            text = session.decode(number)
            meter.counts["seconds"] = time.perf_counter() - start
            found.append(meter.counts)
            print(f"{name} {meter.counts['seconds']:.2f} s: {text}", file=sys.stderr)
    return {key: statistics.median(one[key] for one in found[1:]) for key in COLUMNS}


METER = Meter()  # of the sessions, which all adapters share


def utterances_of(path: Path, count: int) -> list[str]:
    """Words of a text one after another, cut to 60 to 90 letters of the alphabet."""
    text = path.read_text(encoding="utf-8").lower()
    words = re.sub(f"[^{''.join(LETTERS[2:])}]+", " ", text).split()
    found, line = [], ""
    for word in words:
        line = f"{line} {word}".lstrip() if len(word) <= 30 else ""
        if len(line) >= 60:
            found.append(line)
            line = ""
    if len(found) < count:
        raise SystemExit(
            f"{path}: its letters make {len(found)} utterances of 60 to 90, and {count} are needed "
            "(the first warms a decoder up): give a longer text, or fewer --utterances"
        )
    return found[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--model", help="default: the bundled one")
    parser.add_argument("--decoders", nargs="+", default=list(SESSIONS), choices=SESSIONS)
    parser.add_argument("--utterances", type=int, default=5)
    parser.add_argument("--beams", type=int, default=50)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    lm = lmscore.load(options.model, threads=options.threads)
    texts = utterances_of(options.text, options.utterances + 1)
    METER.watch(InferenceSession, "run", "graph")
    figures = {}
    print("| decoder | s | adapter s | graph s | adapter/graph | runs | rows |")
    print("|---|---|---|---|---|---|---|")
    for name in options.decoders:
        row = figures[name] = measure(lm, name, texts, options.beams)
        print(
            f"| {name} | {row['seconds']:.2f} | {row['adapter']:.2f} | {row['graph']:.2f} "
            f"| {row['adapter'] / row['graph']:.2f} | {row['runs']:.0f} | {row['rows']:.0f} |",
            flush=True,
        )
    save(options.json, figures)


if __name__ == "__main__":
    main()
