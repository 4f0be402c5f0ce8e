"""The same model exported in several ways: the time of each graph, as ratios of one run.

Usage: python benchmarks/graphs.py MODEL MODEL... [--variant int8] [--unnormalized] [--rows B]
                                   [--tokens T] [--json FILE]

The models are directories of the same sizes, say of one model exported by two versions of lmscore.
The graphs alone run, on one core, and take turns of twenty runs (see `targets.py`). What is asked
for: the targets of B rows of T tokens, the distribution after a step of one row, and of B rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from targets import microseconds
from turns import save


def work(engine: Any, rows: int, times: int) -> dict[str, Callable[[], Any]]:
    """What a graph is asked for, by the name of the row."""
    tokens = np.random.default_rng(0).integers(3, engine.config.vocab_size, (rows, times))
    one, several = engine.initial_state(1), engine.initial_state(rows)
    return {
        f"targets of {rows} x {times}": lambda: engine.targets(tokens, tokens[:, :, None], several),
        "a step": lambda: engine.step(tokens[0, :1], one),
        f"a step of {rows} rows": lambda: engine.step(tokens[:, 0], several),
    }


def main() -> None:
    from lmscore.bundle import Bundle
    from lmscore.runtime.engine import Engine

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--variant", default="int8")
    parser.add_argument("--unnormalized", action="store_true", help="leave the softmax out")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=10, help="of each row")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    asked = [
        work(
            Engine.load(
                Bundle.read(model),
                options.variant,
                device="cpu",
                threads=1,
                unnormalized=options.unnormalized,
            ),
            options.rows,
            options.tokens,
        )
        for model in options.models
    ]
    found = {}
    print("| what | model | ms | the first one's speed |\n|---|---|---|---|")
    for name in asked[0]:
        ways = {model: each[name] for model, each in zip(options.models, asked, strict=True)}
        found[name] = microseconds(ways, 1000)  # of a thousandth, so milliseconds
        first = next(iter(found[name].values()))
        for model, cost in found[name].items():
            print(f"| {name} | {model} | {cost:.3f} | {first / cost:.2f} |", flush=True)
    save(options.json, found)


if __name__ == "__main__":
    main()
