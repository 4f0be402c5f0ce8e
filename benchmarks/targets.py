"""What a run of an int8 graph costs by what is asked of it: targets apart, whole rows, the state.

Usage: python benchmarks/targets.py TEXT [--vocab V...] [--hidden H] [--work DIR] [--json FILE]

Models of one layer with random weights and the V commonest words of TEXT; the graph alone runs, on
one core, on ROWS x 9 tokens. What is compared takes turns of twenty runs, of which the first ones
do not count: they find the other's arrays in the cache. Medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from models import make_model
from turns import save

ROWS, TOKENS, TURNS, RUNS, COLD = (4, 32, 64, 128), 9, 6, 20, 4


def runs(engine: Any, rows: int) -> dict[str, Callable[[], object]]:
    """The ways to run it; the first two give the same log-probabilities."""
    tokens = np.random.default_rng(0).integers(3, engine.config.vocab_size, (rows, TOKENS))
    targets, state = tokens[:, :, None], engine.initial_state(rows)
    return {
        "apart": lambda: engine.targets(tokens, targets, state),
        "whole rows": lambda: engine.ranked(tokens, targets, state, k=0),
        "state": lambda: engine._run([], tokens, state),
    }


def microseconds(ways: dict[str, Callable[[], object]], tokens: int) -> dict[str, float]:
    """Of one token."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, run in ways.items():
            for number in range(RUNS):
                start = time.perf_counter()
                run()
                if number >= COLD:
                    times[name].append(time.perf_counter() - start)
    return {name: 1e6 * statistics.median(found) / tokens for name, found in times.items()}


def main() -> None:
    from lmscore.bundle import Bundle
    from lmscore.runtime.engine import Engine

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--vocab", type=int, nargs="+", default=[2_500, 10_000, 20_000])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    found = {}
    print("| V | rows | apart | whole rows | ratio | the state alone |\n|---|---|---|---|---|---|")
    for vocab in options.vocab:
        model = make_model(
            options.work,
            options.text,
            vocab=vocab,
            hidden=options.hidden,
            layers=1,
            variants=("int8",),
        )
        engine = Engine.load(Bundle.read(model), "int8", device="cpu", threads=1)
        for rows in ROWS:
            cost = microseconds(runs(engine, rows), rows * TOKENS)
            found[f"{vocab}, {rows}"] = cost
            apart, whole, state = cost.values()
            print(
                f"| {vocab:,} | {rows} | {apart:.1f} µs | {whole:.1f} µs | {whole / apart:.2f} "
                f"| {state:.1f} µs |",
                flush=True,
            )
    save(options.json, found)


if __name__ == "__main__":
    main()
