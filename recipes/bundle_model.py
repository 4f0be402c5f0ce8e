"""Copy a trained model with its weights rounded to float16, half the size to keep in a repository.

Usage: python recipes/bundle_model.py MODEL DESTINATION

parity.npz is computed anew from the rounded weights, so that export checks its graphs against what
is stored. The held-out text is read from the corpus that training left in MODEL.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from lmscore.bundle import PARITY_FILE, TOKENIZER_FILE, WEIGHTS_FILE, Bundle
from lmscore.files import atomic_write_bytes, make_directory
from lmscore.train.corpus import open_corpus
from lmscore.train.network import RecurrentLM
from lmscore.train.samples import make_parity


def main() -> None:
    source, destination = Bundle.read(sys.argv[1]), Path(sys.argv[2])
    make_directory(destination)
    half = {name: w.half() for name, w in load_file(source.file(WEIGHTS_FILE)).items()}
    network = RecurrentLM(source.config).eval()
    network.load_weights({name: weight.float() for name, weight in half.items()})
    valid = open_corpus(source.path / "corpus", "valid", source.config.vocab_size)

    atomic_write_bytes(destination / WEIGHTS_FILE, save(half))
    atomic_write_bytes(destination / TOKENIZER_FILE, source.tokenizer_file().read_bytes())
    with torch.no_grad():
        make_parity(network, valid).save(destination / PARITY_FILE)
    bundle = Bundle(destination, replace(source.config, graphs={}))
    bundle.write_config()
    print(json.dumps({"parameters": bundle.config.num_parameters, "path": str(destination)}))


if __name__ == "__main__":
    main()
