"""Size, perplexity and speed of a model in fp32, in int8, and in ways that lmscore does not export.

Usage: python benchmarks/quantisation.py MODEL TEXT [--lines 1000] [--json FILE]

MODEL is a trained model directory with model.safetensors and parity.npz; it is not changed. The
variants are exported into a copy of it, checked on the way like any other. `variants.py` has
those that are not lmscore's own: int8 with the scales of the batch, and 4-bit weights.

The perplexity is per word, </s> counted, over all of TEXT in the model's own context. Speed is
text to scores, the first lines as sentences of their own; and steps of one hypothesis. Each
competitor runs in a process of its own; they take turns; medians; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from texts import first_lines, tokens_per_second
from turns import save, take_turns
from variants import admit, variants

STEPS = 500


@dataclass(frozen=True)
class Row:
    variant: str
    megabytes: float
    perplexity: float  # per word
    change: float  # of perplexity: 0.01 is one per cent worse than fp32
    batching: float  # nats, the most that a token's score moved when batched
    tokens_per_second: float
    step_ms: float


def load(options: argparse.Namespace, variant: str):  # noqa: ANN201
    import lmscore

    admit()
    return lmscore.load(options.copy, variant=variant, device="cpu", threads=options.threads)


def perplexity(options: argparse.Namespace, variant: str) -> float:
    """Per word; the same whenever and wherever, so nobody needs to take turns for it."""
    from lmscore.runtime.scoring.score import Summary

    summary = Summary()
    summary.extend(load(options, variant).score_stream(first_lines(options.text), tokens=False))
    return summary.ppl


def scoring(options: argparse.Namespace, variant: str) -> float:
    """Tokens a second."""
    lines = first_lines(options.text, options.lines)
    return tokens_per_second(load(options, variant), lines)


def stepping(options: argparse.Namespace, variant: str) -> float:
    """Milliseconds a step, the median."""
    lm = load(options, variant)
    state, seconds = lm.initial_state(1), []
    for token in np.random.default_rng(0).integers(0, lm.vocab_size, STEPS):
        start = time.perf_counter()
        _, state = lm.step([token], state)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds))


WORK = {"scoring": scoring, "step": stepping}


def export_copy(model: str, folder: str) -> list[str]:
    """Export every variant beside a copy of the weights; their names, fp32 first."""
    from lmscore.bundle import FP32, INT8, Bundle
    from lmscore.export import export_model

    admit()
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("checkpoints", "corpus"))
    config = Bundle.read(folder).config
    if config.head_spec.name != "softmax":
        raise SystemExit(f"{model}: only for models with a plain softmax")
    names = [FP32, INT8, *variants(config.cell)]
    export_model(folder, variants=names)
    return names


def measure(options: argparse.Namespace) -> list[Row]:
    from lmscore.bundle import Bundle

    names = export_copy(options.model, options.copy)
    graphs = Bundle.read(options.copy).config.graphs
    quality = {name: perplexity(options, name) for name in names}
    arguments = [options.model, options.text, f"--copy={options.copy}", f"--lines={options.lines}"]
    arguments += [f"--threads={options.threads}"] if options.threads else []
    competitors = [f"{work} {name}" for work in WORK for name in names]
    figures = take_turns(__file__, competitors, arguments)
    return [
        Row(
            variant=name,
            megabytes=graphs[name].size_bytes / 1e6,
            perplexity=quality[name],
            change=quality[name] / quality[names[0]] - 1,
            batching=graphs[name].max_batching_difference,
            tokens_per_second=figures[f"scoring {name}"],
            step_ms=figures[f"step {name}"],
        )
        for name in names
    ]


def print_table(rows: list[Row], title: str) -> None:
    first = rows[0]
    columns = "MB | perplexity | change | batched or alone, nats | tokens/s | ratio | ms a step"
    print(f"| {title} | {columns} | ratio |\n{'|---' * 9}|")
    for row in rows:
        ratio = row.tokens_per_second / first.tokens_per_second
        print(
            f"| {row.variant} | {row.megabytes:.1f} | {row.perplexity:.2f} | {row.change:+.2%} "
            f"| {row.batching:.2g} | {row.tokens_per_second:,.0f} | {ratio:.2f} "
            f"| {row.step_ms:.3f} | {first.step_ms / row.step_ms:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--copy", help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work, variant = options.worker.split()
        print(WORK[work](options, variant))
        return

    with tempfile.TemporaryDirectory() as folder:
        options.copy = str(Path(folder) / "model")
        rows = measure(options)
    print_table(rows, Path(options.model).name)
    save(options.json, {"lines": options.lines, "rows": list(map(asdict, rows))})


if __name__ == "__main__":
    main()
