"""Training steps a second with a big vocabulary: plain PyTorch, and each output layer.

Usage: python benchmarks/training_layers.py [--vocab 50000] [--hidden 512] [--json FILE]

One LSTM layer, batches of 64 x 32 tokens drawn by Zipf's law (so that classes get what text gives
them), AdamW, bf16 where the CPU multiplies it. Each competitor runs in a process of its own; they
take turns; medians; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from training import STEPS, WARM_UP, B, T, plain_step
from turns import report, take_turns

TURNS = 3


def lmscore_step(
    vocab: int, hidden: int, *, classes: bool, self_normalize: float = 0.0
) -> Callable[[], None]:
    """The trainer's pieces."""
    import numpy as np
    import torch

    from lmscore.bundle import Config
    from lmscore.train.batches import Batch
    from lmscore.train.classes import choose_cutoffs
    from lmscore.train.dropout import Rates
    from lmscore.train.heads import SelfNormalisedHead
    from lmscore.train.loss import batch_loss
    from lmscore.train.memory import keep_freed_memory
    from lmscore.train.network import RecurrentLM
    from lmscore.train.precision import matrix_dtype

    keep_freed_memory()
    shares = 1 / np.arange(1, vocab + 1)
    shares /= shares.sum()
    dtype = matrix_dtype("auto", torch.device("cpu"))
    config = Config(
        *("lstm", vocab, hidden, 1, True, 0, 1, None, "sentence", "word", ""),
        output_layer="classes" if classes else "softmax",
        cutoffs=choose_cutoffs((1e9 * shares).astype(np.int64), recurrence=8 * hidden)
        if classes
        else (),
        self_normalized=self_normalize > 0,
    )
    network = RecurrentLM(config, Rates(embedding=0.2, layers=0.2, output=0.2))
    if isinstance(network.head, SelfNormalisedHead):
        network.head.self_normalize = self_normalize
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    tokens = torch.from_numpy(np.random.default_rng(0).choice(vocab, (2, T, B), p=shares))
    batch = Batch(*tokens, B * T, continues=False)

    def step() -> None:
        loss, _ = batch_loss(network, batch, None, dtype=dtype)
        (loss / batch.num_tokens).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


COMPETITORS: dict[str, Callable[[int, int], Callable[[], None]]] = {
    "plain PyTorch": lambda vocab, hidden: plain_step(vocab, hidden, 1),
    "softmax": lambda vocab, hidden: lmscore_step(vocab, hidden, classes=False),
    "softmax, self-normalised": lambda vocab, hidden: lmscore_step(
        vocab, hidden, classes=False, self_normalize=0.1
    ),
    "classes": lambda vocab, hidden: lmscore_step(vocab, hidden, classes=True),
}


def worker(name: str, vocab: int, hidden: int) -> None:
    """Print tokens per second of one competitor."""
    step = COMPETITORS[name](vocab, hidden)
    for _ in range(WARM_UP):
        step()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    print(B * T * STEPS / (time.perf_counter() - start))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab", type=int, default=50_000)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.vocab, options.hidden)
        return

    arguments = [f"--vocab={options.vocab}", f"--hidden={options.hidden}"]
    medians = take_turns(__file__, list(COMPETITORS), arguments, turns=TURNS)
    report(f"V {options.vocab:,}, H {options.hidden}, L 1", medians, options.json)


if __name__ == "__main__":
    main()
