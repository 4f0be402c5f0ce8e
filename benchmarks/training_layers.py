"""Training steps a second with a big vocabulary: plain PyTorch, and each output layer.

Usage: python benchmarks/training_layers.py [--vocab 50000] [--hidden 512] [--json FILE]

One LSTM layer, batches of 64 x 32 tokens drawn by Zipf's law (so that classes get what text gives
them), AdamW, bf16 where the CPU multiplies it. Each competitor runs in a process of its own; they
take turns; medians; the ratio is what counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from training import B, T, plain_step, tokens_per_second, trainer_step
from turns import report, take_turns

TURNS = 3


def lmscore_step(
    vocab: int, hidden: int, *, classes: bool, self_normalize: float = 0.0
) -> Callable[[], None]:
    """The trainer's pieces, with an output layer."""
    import numpy as np
    import torch

    from lmscore.bundle import Config
    from lmscore.train.classes import choose_cutoffs
    from lmscore.train.memory import keep_freed_memory

    keep_freed_memory()
    shares = 1 / np.arange(1, vocab + 1)
    shares /= shares.sum()
    config = Config(
        *("lstm", vocab, hidden, 1, True, 0, 1, None, "sentence", "word", ""),
        output_layer="classes" if classes else "softmax",
        cutoffs=choose_cutoffs((1e9 * shares).astype(np.int64), recurrence=8 * hidden)
        if classes
        else (),
        self_normalized=self_normalize > 0,
    )
    tokens = torch.from_numpy(np.random.default_rng(0).choice(vocab, (2, T, B), p=shares))
    return trainer_step(config, tokens, self_normalize=self_normalize)


COMPETITORS: dict[str, Callable[[int, int], Callable[[], None]]] = {
    "plain PyTorch": lambda vocab, hidden: plain_step(vocab, hidden, 1),
    "softmax": lambda vocab, hidden: lmscore_step(vocab, hidden, classes=False),
    "softmax, self-normalised": lambda vocab, hidden: lmscore_step(
        vocab, hidden, classes=False, self_normalize=0.1
    ),
    "classes": lambda vocab, hidden: lmscore_step(vocab, hidden, classes=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab", type=int, default=50_000)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(tokens_per_second(COMPETITORS[options.worker](options.vocab, options.hidden)))
        return

    arguments = [f"--vocab={options.vocab}", f"--hidden={options.hidden}"]
    medians = take_turns(__file__, list(COMPETITORS), arguments, turns=TURNS)
    report(f"V {options.vocab:,}, H {options.hidden}, L 1", medians, options.json)


if __name__ == "__main__":
    main()
