"""Copy a trained model with its weights rounded to float16, half the size to keep in a repository.

Usage: python recipes/bundle_model.py MODEL DESTINATION

parity.npz is computed anew from the rounded weights, so that export checks its graphs against what
is stored. The held-out texts are read from the corpus that training left in MODEL.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lmscore.bundle import TOKENIZER_FILE, Bundle, load_weights, save_weights
from lmscore.files import atomic_write_bytes, make_directory
from lmscore.train.corpus import Corpus, join_corpora, open_corpus
from lmscore.train.network import RecurrentLM
from lmscore.train.samples import make_parity


def held_out(model: Bundle) -> Corpus:
    """The held-out text of a training, or all of them: `valid`, or `valid-0` and so on."""
    folder, V = model.path / "corpus", model.config.vocab_size
    names = sorted(path.stem for path in folder.glob("valid*.json")) or ["valid"]
    return join_corpora([open_corpus(folder, name, V) for name in names])


def main() -> None:
    source, destination = Bundle.read(sys.argv[1]), Path(sys.argv[2])
    make_directory(destination)
    half = {name: weight.astype(np.float16) for name, weight in load_weights(source).items()}
    network = RecurrentLM(source.config).eval()
    network.load_weights({name: weight.astype(np.float32) for name, weight in half.items()})
    valid = held_out(source)

    save_weights(destination, half)
    atomic_write_bytes(destination / TOKENIZER_FILE, source.tokenizer_file().read_bytes())
    with torch.no_grad():
        make_parity(network, valid).save(destination)
    bundle = Bundle(destination, replace(source.config, graphs={}, layouts={}))
    bundle.write_config()
    print(json.dumps({"parameters": bundle.config.num_parameters, "path": str(destination)}))


if __name__ == "__main__":
    main()
