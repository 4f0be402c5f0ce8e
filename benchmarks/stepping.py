"""A decoder's view: milliseconds of a step, and hypotheses a second, beside what bounds them.

Usage: python benchmarks/stepping.py TEXT [--model PATH | --vocab 10000 --hidden 650 --layers 2]
                                     [--work DIR] [--rows 1 8 32] [--device cpu] [--json FILE]

A step of B hypotheses reads a token for each, re-orders their states (`parents`), and chooses the B
best next tokens of each; B = 1 is `LanguageModel.step`. PyTorch does the same with nn.LSTM, topk.
What bounds a step: the time to read the weights once, as this machine reads as many bytes again and
again, and the matrix products alone. Each runs in a process of its own; they take turns; medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from models import add_model_options, chosen_model
from turns import save, take_turns

STEPS = 200
Options = argparse.Namespace


def milliseconds(step: Callable[[], object]) -> float:
    for _ in range(10):
        step()
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def lmscore_step(variant: str, rows: int, options: Options) -> float:
    import lmscore

    lm = lmscore.load(options.model, variant=variant, device=options.device)
    tokens = np.arange(3, 3 + rows)
    state = lm.step(tokens, lm.initial_state(rows))[1]
    if rows == 1:
        return milliseconds(lambda: lm.step(tokens, state))
    parents = np.arange(rows)[::-1].copy()
    return milliseconds(lambda: lm.engine.top(tokens, state, rows, parents))


def torch_step(_: str, rows: int, options: Options) -> float:
    import torch
    from scoring import torch_network

    network, _ = torch_network(options)
    tokens = torch.arange(3, 3 + rows, device=options.device)[None]
    state = network.initial_state(rows)
    parents = torch.arange(rows - 1, -1, -1, device=options.device)

    def step() -> object:
        hidden, after = network(tokens, tuple(part[:, parents] for part in state))
        log_probs = network.log_probs(hidden[0])
        return (log_probs.cpu() if rows == 1 else log_probs.topk(rows)[0].cpu()), after

    with torch.inference_mode():
        return milliseconds(step)


def weights_read(variant: str, _: int, options: Options) -> float:
    from lmscore.bundle import Bundle
    from lmscore.runtime.bench.memory import reading_seconds
    from lmscore.runtime.bench.products import weight_bytes

    size = weight_bytes(Bundle.read(options.model).config, variant)
    return 1000 * reading_seconds(size, seconds=2)


def products(variant: str, rows: int, options: Options) -> float:
    from lmscore.bundle import Bundle
    from lmscore.runtime.bench.products import step_ceiling

    config = Bundle.read(options.model).config
    return 1000 * step_ceiling(config, variant, rows=rows, device=options.device, seconds=2)


KINDS = {
    "PyTorch eager": torch_step,
    "lmscore": lmscore_step,
    "matrix products alone": products,
    "weights read once": weights_read,
}


def competitors(options: Options) -> list[str]:
    variants = ["fp32", "int8" if options.device == "cpu" else "fp16"]
    names = []
    for rows in options.rows:
        names.append(f"PyTorch eager|fp32|{rows}")
        for kind in ("lmscore", "matrix products alone", "weights read once"):
            if kind != "weights read once" or (rows == 1 and options.device == "cpu"):
                names += [f"{kind}|{variant}|{rows}" for variant in variants]
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    add_model_options(parser)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, variant, rows = options.worker.split("|")
        print(KINDS[kind](variant, int(rows), options))
        return

    options.model = chosen_model(options)
    arguments = [options.text, f"--model={options.model}", f"--device={options.device}"]
    found = take_turns(__file__, competitors(options), arguments, turns=options.turns)
    print(
        f"| {Path(options.model).name} | variant | B | ms | hypotheses/s |\n|---|---|---|---|---|"
    )
    for name, ms in found.items():
        kind, variant, rows = name.split("|")
        print(f"| {kind} | {variant} | {rows} | {ms:.3f} | {1000 * int(rows) / ms:,.0f} |")
    save(options.json, {"model": Path(options.model).name, "milliseconds": found})


if __name__ == "__main__":
    main()
