"""The settings of `lmscore ppl --cache` that fit a text best.

Usage: python recipes/tune_cache.py MODEL TEXT [--size N ...] [--flatness R ...] [--threads N]

Fit them on validation text, for another. Every size and flatness reads the text once; of what is
read, all weights are tried.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import torch

from lmscore.bundle import Bundle
from lmscore.files import read_lines
from lmscore.runtime.text.tokenizer import Ids, TextTokenizer
from lmscore.train.adaptive import Cache, check_adaptable
from lmscore.train.inherit import load_weights_into
from lmscore.train.network import RecurrentLM

WEIGHTS = np.linspace(0, 0.5, 51)[:, None]


def read(bundle: Bundle, path: str) -> Ids:
    """The ids of a text, `</s>` after every line."""
    end = np.array([bundle.config.eos_token_id])
    rows = TextTokenizer.load(bundle).encode_batch(list(read_lines(path)))
    return np.concatenate([part for row in rows for part in (row, end)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--size", type=int, nargs="+", default=[2000])
    parser.add_argument("--flatness", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.4, 0.6])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    bundle = Bundle.read(options.model)
    check_adaptable(bundle)
    network = RecurrentLM(bundle.config)
    load_weights_into(network, bundle)
    document = read(bundle, options.text)

    static = np.exp(Cache(weight=0).log_probs(network, document))
    perplexity = np.exp(-np.log(static).mean())
    print(f"{len(document):,} tokens, perplexity {perplexity:.2f} without a cache\n")
    print("| size | flatness | best weight | perplexity |\n|---|---|---|---|")
    for size, flatness in itertools.product(options.size, options.flatness):
        cache = Cache(size=size, flatness=flatness, weight=1)
        cached = np.exp(cache.log_probs(network, document))
        mixed = np.log((1 - WEIGHTS) * static + WEIGHTS * cached)
        perplexities = np.exp(-mixed.mean(axis=1))
        best = perplexities.argmin()
        row = f"| {size} | {flatness:g} | {WEIGHTS[best, 0]:.2f} | {perplexities[best]:.2f} |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
