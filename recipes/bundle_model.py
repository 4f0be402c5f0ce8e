"""Copy a trained model with its weights rounded to float16, half the size to keep in a repository.

Usage: python recipes/bundle_model.py MODEL... DESTINATION

Several models that began with the same weights become one, with the mean of their weights ("model
soups", Wortsman et al. 2022); the record of the training is that of the first, with the perplexity
of the mean.

parity.npz is computed anew from the rounded weights, so that export checks its graphs against what
is stored. The held-out texts are read from the corpus that training left in the first MODEL.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from lmscore.bundle import TOKENIZER_FILE, Bundle, load_weights, save_weights
from lmscore.files import atomic_write_bytes, make_directory
from lmscore.train.corpus import Corpus, join_corpora, open_corpus
from lmscore.train.evaluate import HeldOut, held_out
from lmscore.train.network import RecurrentLM
from lmscore.train.samples import make_parity


def held_out_text(model: Bundle) -> Corpus:
    """The held-out text of a training, or all of them: `valid`, or `valid-0` and so on."""
    folder, V = model.path / "corpus", model.config.vocab_size
    names = sorted(path.stem for path in folder.glob("valid*.json")) or ["valid"]
    return join_corpora([open_corpus(folder, name, V) for name in names])


def mean_weights(models: Sequence[Bundle]) -> dict[str, np.ndarray]:
    """The mean of the models' weights, in float32."""
    every = [load_weights(model) for model in models]
    return {
        name: np.mean([weights[name] for weights in every], axis=0, dtype=np.float32)
        for name in every[0]
    }


def main() -> None:
    *paths, destination = map(Path, sys.argv[1:])
    models = [Bundle.read(path) for path in paths]
    source = models[0]
    make_directory(destination)
    half = {name: weight.astype(np.float16) for name, weight in mean_weights(models).items()}
    network = RecurrentLM(source.config).eval()
    network.load_weights({name: weight.astype(np.float32) for name, weight in half.items()})
    valid, training = held_out_text(source), source.config.training
    if len(models) > 1:
        figures = held_out(network, HeldOut({"valid": valid}))
        training = {**training, "valid": {**asdict(valid.counts), **figures}}

    save_weights(destination, half)
    atomic_write_bytes(destination / TOKENIZER_FILE, source.tokenizer_file().read_bytes())
    with torch.no_grad():
        make_parity(network, valid).save(destination)
    bundle = Bundle(destination, replace(source.config, training=training, graphs={}, layouts={}))
    bundle.write_config()
    print(json.dumps({"parameters": bundle.config.num_parameters, "path": str(destination)}))


if __name__ == "__main__":
    main()
