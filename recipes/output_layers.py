"""A table and a figure of models with different output layers: perplexity, and speed in turns.

Usage: python recipes/output_layers.py TEXT MODEL... [--lines 1000] [--figure FILE]

Each MODEL holds ppl-test.json, which `lmscore ppl --format json` wrote. The speed is that of int8
over the first lines of TEXT, from text to sums; each model runs in a process of its own, they take
turns, and the ratio to the first is what counts. A self-normalised model has a second row, scored
without its softmax, whose perplexity is not one.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from lmscore.bundle import INT8, Bundle

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from texts import first_lines, tokens_per_second
from turns import take_turns

UNNORMALIZED = ":unnormalized"
MARKERS = "os^DvPX*"


@dataclass(frozen=True)
class Row:
    """One way to score with one model."""

    model: str
    unnormalized: bool
    speed: float  # tokens a second

    @property
    def bundle(self) -> Bundle:
        return Bundle.read(self.model)

    @property
    def name(self) -> str:
        config = self.bundle.config
        if config.output_layer == "classes":
            bounds = " + ".join(str(part.stop - part.start) for part in config.classes)
            return f"classes, {config.cutoffs[0]} + {bounds}"
        if not config.self_normalized:
            return "softmax"
        return "without the softmax" if self.unnormalized else "softmax, self-normalised"

    @property
    def perplexity(self) -> float:
        return float(json.loads((self.bundle.path / "ppl-test.json").read_text())["ppl"])


def speed(name: str, text: str, lines: int) -> float:
    import lmscore

    model, unnormalized = name.removesuffix(UNNORMALIZED), name.endswith(UNNORMALIZED)
    lm = lmscore.load(model, variant=INT8, unnormalized=unnormalized)
    return tokens_per_second(lm, first_lines(text, lines))


def print_table(rows: list[Row]) -> None:
    first = rows[0]
    print(
        "| output layer | test perplexity | from the softmax's | tokens/s | x softmax "
        "| log Z: mean, deviation | Kendall's tau |\n|---|---|---|---|---|---|---|"
    )
    for row in rows:
        ratio = row.perplexity / first.perplexity - 1
        exact = " | " if row.unnormalized else f"{row.perplexity:.1f} | {100 * ratio:+.1f} %"
        record = row.bundle.config.graphs[INT8].log_z if row.unnormalized else None
        log_z = " | "
        if record is not None:
            log_z = f"{record.mean:+.3f}, {record.std:.3f} | {record.rank_agreement:.3f}"
        print(
            f"| {row.name} | {exact} | {row.speed:,.0f} | {row.speed / first.speed:.2f} | {log_z} |"
        )


def draw(rows: list[Row], path: Path) -> None:
    """Perplexity over speed, in a range of 5 per cent around the softmax's."""
    from matplotlib.figure import Figure

    first = rows[0]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="scoring speed, times that of the softmax",
        ylabel="test perplexity per word",
        xlim=(0, 1.1 * max(row.speed for row in rows) / first.speed),
        ylim=(0.95 * first.perplexity, 1.05 * first.perplexity),
    )
    axes.axhline(first.perplexity, color="grey", linestyle=":")
    for row, marker in zip(rows, MARKERS, strict=False):
        axes.plot(row.speed / first.speed, row.perplexity, marker, label=row.name)
    axes.legend(fontsize=8)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(speed(options.worker, options.text, options.lines))
        return

    names = []
    for model in options.models:
        names.append(model)
        if Bundle.read(model).config.self_normalized:
            names.append(f"{model}{UNNORMALIZED}")
    speeds = take_turns(__file__, names, [options.text, f"--lines={options.lines}"], turns=3)
    rows = [
        Row(n.removesuffix(UNNORMALIZED), n.endswith(UNNORMALIZED), s) for n, s in speeds.items()
    ]
    print_table(rows)
    if options.figure:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()
