"""Text to scores, tokens a second: int8 and fp32, beside PyTorch eager on ids that are ready.

Usage: python benchmarks/scoring.py TEXT [--model PATH] [--lines 3000] [--json FILE]

The model directory needs model.safetensors and both graphs. lmscore reads text: tokenising,
batching and the sums are in its time; PyTorch gets padded batches of ids, sorted by length.
Each competitor runs in a process of its own; they take turns; medians; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

from turns import report, take_turns

COMPETITORS = ("PyTorch eager fp32", "lmscore fp32", "lmscore int8")


def lmscore_speed(model: str, variant: str, lines: list[str]) -> float:
    import lmscore

    lm = lmscore.load(model, variant=variant)
    lm.score_batch(lines[:200], tokens=False)
    start = time.perf_counter()
    tokens = sum(score.num_tokens for score in lm.score_stream(lines, tokens=False))
    return tokens / (time.perf_counter() - start)


def torch_speed(model: str, lines: list[str]) -> float:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from lmscore.bundle import Bundle
    from lmscore.export.weights import load_weights
    from lmscore.runtime.tokenizer import TextTokenizer
    from lmscore.train.memory import keep_freed_memory
    from lmscore.train.network import RecurrentLM

    keep_freed_memory()
    bundle = Bundle.read(model)
    network = RecurrentLM(bundle.config).eval()
    weights = load_weights(bundle)
    network.load_weights({name: torch.from_numpy(weight) for name, weight in weights.items()})
    bos, eos = bundle.config.bos_token_id, bundle.config.eos_token_id
    ids = TextTokenizer.load(bundle).encode_batch(lines)
    rows = sorted(([bos, *row, eos] for row in ids), key=len, reverse=True)
    batches = [
        pad_sequence([torch.tensor(r) for r in rows[i : i + 32]]) for i in range(0, len(rows), 32)
    ]

    @torch.inference_mode()
    def score(batch: torch.Tensor) -> None:
        hidden, _ = network(batch[:-1], network.initial_state(batch.size(1)))
        network.log_probs(hidden).gather(2, batch[1:, :, None])

    for batch in batches[-5:]:
        score(batch)
    start = time.perf_counter()
    for batch in batches:
        score(batch)
    return sum(len(row) - 1 for row in rows) / (time.perf_counter() - start)


def worker(name: str, model: str, lines: list[str]) -> None:
    if name.startswith("lmscore"):
        print(lmscore_speed(model, name.split()[1], lines))
    else:
        print(torch_speed(model, lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--model", default="lmscore/models/english")
    parser.add_argument("--lines", type=int, default=3000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        with open(options.text, encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in islice(file, options.lines)]
        worker(options.worker, options.model, lines)
        return

    arguments = [options.text, f"--model={options.model}", f"--lines={options.lines}"]
    medians = take_turns(__file__, COMPETITORS, arguments)
    report(f"{options.lines:,} lines", medians, options.json)


if __name__ == "__main__":
    main()
