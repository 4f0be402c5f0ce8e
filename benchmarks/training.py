"""Training steps a second: plain PyTorch, the same with kept memory, lmscore, and the GEMMs alone.

Usage: python benchmarks/training.py [--vocab 8192] [--hidden 512] [--layers 1]
                                     [--precision auto|fp32|bf16] [--json FILE]
                                     [--waiting [--beside N]]

One LSTM language model, random tokens, batches of 64 x 32, AdamW; auto is bf16 where the CPU
multiplies it. The GEMMs alone are the matrix products of such a step and nothing else, as torch.mm:
no step can be faster, and what lmscore reaches of their speed is its share of the machine's rate.
Each competitor runs in a process of its own; they take turns; medians; the ratio is what counts.

--waiting compares how the threads of lmscore's step wait for each other instead: they spin as GNU
OpenMP does by itself, sleep at once, or spin for a moment; or there is one thread. --beside N does
so while N other processes compute.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from turns import TURNS, report, take_turns

if TYPE_CHECKING:
    import torch

    from lmscore.bundle import Config

B, T, WARM_UP, STEPS = 64, 32, 3, 10
WAITING = {  # the environment of each, for libgomp
    "threads that spin": {},
    "threads that sleep": {"OMP_WAIT_POLICY": "passive"},
    "threads that spin for a moment": {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
COMPETITORS = ("plain PyTorch", "plain PyTorch, memory kept", "lmscore", "the GEMMs alone")


def plain_step(vocab: int, hidden: int, layers: int, precision: str = "auto") -> Callable[[], None]:
    """What people write: nn.LSTM under autocast, F.cross_entropy on all logits."""
    import torch
    from torch.nn import functional as F

    from lmscore.train.precision import matrix_dtype

    dtype = matrix_dtype(precision, torch.device("cpu"))
    embedding = torch.nn.Embedding(vocab, hidden)
    recurrence = torch.nn.LSTM(hidden, hidden, layers)
    bias = torch.nn.Parameter(torch.zeros(vocab))
    weights = [*embedding.parameters(), *recurrence.parameters(), bias]
    optimizer = torch.optim.AdamW(weights, fused=True)
    inputs, targets = torch.randint(vocab, (2, T, B))

    def step() -> None:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            output, _ = recurrence(F.dropout(embedding(inputs), 0.2))
            logits = F.linear(F.dropout(output, 0.2).flatten(0, 1), embedding.weight, bias)
            loss = F.cross_entropy(logits, targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def lmscore_step(vocab: int, hidden: int, layers: int, precision: str) -> Callable[[], None]:
    import torch

    from lmscore.bundle import Config

    config = Config("lstm", vocab, hidden, layers, True, 0, 1, None, "sentence", "bpe", "")
    return trainer_step(config, torch.randint(vocab, (2, T, B)), precision)


def trainer_step(
    config: Config, tokens: torch.Tensor, precision: str = "auto", self_normalize: float = 0.0
) -> Callable[[], None]:
    """The trainer's pieces; `tokens` are inputs and targets, int64 [2, T, B]."""
    import torch

    from lmscore.train.batches import Batch
    from lmscore.train.dropout import Rates
    from lmscore.train.heads import SelfNormalisedHead
    from lmscore.train.loss import batch_loss
    from lmscore.train.network import RecurrentLM
    from lmscore.train.precision import matrix_dtype

    dtype = matrix_dtype(precision, torch.device("cpu"))
    network = RecurrentLM(config, Rates(embedding=0.2, layers=0.2, output=0.2))
    if isinstance(network.head, SelfNormalisedHead):
        network.head.self_normalize = self_normalize
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    batch = Batch(*tokens, B * T, continues=False)

    def step() -> None:
        loss, _ = batch_loss(network, batch, None, dtype=dtype)
        (loss / batch.num_tokens).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def gemm_step(vocab: int, hidden: int, layers: int, precision: str) -> Callable[[], None]:
    """Every product of a step, forward and backward; a recurrent one per time."""
    import torch

    from lmscore.train.precision import matrix_dtype

    dtype = matrix_dtype(precision, torch.device("cpu"))
    h, rows = torch.randn(T * B, hidden, dtype=dtype), torch.randn(B, hidden, dtype=dtype)
    E, W = (torch.randn(size, hidden, dtype=dtype) for size in (vocab, 4 * hidden))

    @torch.no_grad()
    def step() -> None:
        for weight, times in ((E, 1), (W, layers)):  # the output, the input projections
            for _ in range(times):
                out = h @ weight.T
                out @ weight
                out.T @ h
        gates = rows @ W.T
        for _ in range(layers):
            for _ in range(T):
                rows @ W.T
                gates @ W
            gates.repeat(T, 1).T @ h  # the recurrent weights' gradient, for all times at once

    return step


def worker(name: str, vocab: int, hidden: int, layers: int, precision: str) -> None:
    """Print tokens per second of one competitor."""
    os.environ.update(WAITING.get(name, {}))  # before torch is imported

    from lmscore.train.memory import keep_freed_memory

    if name != "plain PyTorch":
        keep_freed_memory()
    makers = {"lmscore": lmscore_step, "the GEMMs alone": gemm_step}
    makers |= dict.fromkeys(WAITING, lmscore_step)
    print(tokens_per_second(makers.get(name, plain_step)(vocab, hidden, layers, precision)))


def tokens_per_second(step: Callable[[], None]) -> float:
    """How fast steps of B x T tokens are, after some to warm up."""
    for _ in range(WARM_UP):
        step()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return B * T * STEPS / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--waiting", action="store_true")
    parser.add_argument("--beside", type=int, default=0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = (options.vocab, options.hidden, options.layers, options.precision)
    if options.worker:
        worker(options.worker, *sizes)
        return

    names = ("vocab", "hidden", "layers", "precision")
    arguments = [f"--{name}={getattr(options, name)}" for name in names]
    competitors = tuple(WAITING) if options.waiting else COMPETITORS
    with busy(options.beside):
        medians = take_turns(
            __file__, competitors, arguments, turns=3 if options.waiting else TURNS
        )
    beside = f", beside {options.beside}" if options.beside else ""
    report("V {}, H {}, L {}, {}".format(*sizes) + beside, medians, options.json)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Let processes compute on the same cores meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    main()
