"""How the cost of a token grows: with V, H, L, with the rows and tokens of a run, with the corpus.

Usage: python benchmarks/scaling.py TEXT [--work DIR] [--variant int8] [--figure FILE.svg]
                                    [--json FILE]

One size at a time is changed, the others are V 10,000, H 512, L 1, 32 rows of 8 tokens; models have
random weights, and the graph alone runs, on one core (as scoring runs it on each). The corpus is
TEXT, its first lines or all of it, over and over, through `score_stream` on all cores. A figure
(extra `plot`) shows all of it. What is compared was measured in turns; medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from models import make_model
from turns import save

V, H, L, B, T = 10_000, 512, 1, 32, 8
SIZES: dict[str, list[int]] = {
    "V": [1_000, 2_500, 5_000, 10_000, 20_000],
    "H": [128, 256, 512, 1024],
    "L": [1, 2, 4],
    "B": [1, 4, 8, 16, 32, 64, 128],
    "T": [1, 2, 4, 8, 16, 32],
}
LINES = [100, 1_000, 10_000, 50_000]
TURNS, SECONDS = 3, 0.3


def settings() -> Iterator[tuple[str, int, dict[str, int]]]:
    for name, values in SIZES.items():
        for value in values:
            yield name, value, {"V": V, "H": H, "L": L, "B": B, "T": T, name: value}


def open_engine(options: argparse.Namespace, sizes: dict[str, int]) -> Any:
    from lmscore.bundle import Bundle
    from lmscore.runtime.engine import Engine

    model = make_model(
        options.work,
        options.text,
        vocab=sizes["V"],
        hidden=sizes["H"],
        layers=sizes["L"],
        variants=(options.variant,),
    )
    return Engine.load(Bundle.read(model), options.variant, device="cpu", threads=1)


def microseconds(engine: Any, rows: int, tokens: int) -> float:
    """Of one token, one core."""
    inputs = np.random.default_rng(0).integers(3, engine.config.vocab_size, (rows, tokens))
    state = engine.initial_state(rows)
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 4 or time.perf_counter() < end:
        start = time.perf_counter()
        engine.targets(inputs, inputs[:, :, None], state)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times[2:]) / (rows * tokens)


def by_size(options: argparse.Namespace) -> dict[str, dict[int, float]]:
    engines: dict[tuple[int, ...], Any] = {}
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(TURNS):
        for name, value, sizes in settings():
            key = (sizes["V"], sizes["H"], sizes["L"])
            if key not in engines:
                engines[key] = open_engine(options, sizes)
            cost = microseconds(engines[key], sizes["B"], sizes["T"])
            found.setdefault((name, value), []).append(cost)
    return {
        name: {value: statistics.median(found[name, value]) for value in values}
        for name, values in SIZES.items()
    }


def by_corpus(options: argparse.Namespace) -> dict[int, float]:
    """Lines of the corpus -> tokens a second, text to scores, all cores."""
    import lmscore

    model = make_model(options.work, options.text, hidden=128, layers=1, variants=("int8",))
    lm = lmscore.load(model)
    with open(options.text, encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    lm.score_batch(lines[:1000], tokens=False)
    rates: dict[int, list[float]] = {count: [] for count in LINES}
    for _ in range(TURNS):
        for count in LINES:
            start = time.perf_counter()
            some = islice(cycle(lines), count)
            tokens = sum(score.num_tokens for score in lm.score_stream(some, tokens=False))
            rates[count].append(tokens / (time.perf_counter() - start))
    return {count: statistics.median(values) for count, values in rates.items()}


def draw(sizes: dict[str, dict[int, float]], corpus: dict[int, float], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(10, 6), layout="constrained")
    titles = {
        "V": "vocabulary V",
        "H": "hidden size H",
        "L": "layers L",
        "B": "rows of a batch B",
        "T": "tokens of a row in a run T",
    }
    for axis, (name, costs) in zip(axes.flat, sizes.items(), strict=False):
        axis.plot(list(costs), list(costs.values()), "o-")
        axis.set(xlabel=titles[name], ylabel="µs a token, one core", ylim=(0, None))
        if name in "BT":
            axis.set_xscale("log", base=2)
    axes.flat[-1].plot(list(corpus), list(corpus.values()), "o-")
    axes.flat[-1].set(
        xscale="log", xlabel="lines of text", ylabel="tokens/s (H 128)", ylim=(0, None)
    )
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--variant", default="int8")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    sizes, corpus = by_size(options), by_corpus(options)
    print("| size | µs a token, one core |\n|---|---|")
    for name, costs in sizes.items():
        print(f"| {name} | " + ", ".join(f"{v:,}: {cost:.1f}" for v, cost in costs.items()) + " |")
    print("\n| lines | tokens/s |\n|---|---|")
    for count, rate in corpus.items():
        print(f"| {count:,} | {rate:,.0f} |")
    if options.figure:
        draw(sizes, corpus, options.figure)
    save(options.json, {"microseconds_a_token": sizes, "tokens_per_second_by_lines": corpus})


if __name__ == "__main__":
    main()
