"""Where fetched archives lie: $LMSCORE_CACHE, else lmscore in the user's folder of caches."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "LMSCORE_CACHE"

# What a model directory may hold; everything else stays where it is.
MODEL_FILES = (
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "parity.npz",
    "README.md",
    "model*.onnx",
    "model*.ort",
    "model*.required_operators.config",
    "sherpa-*.onnx",
    "rasr*.onnx",
    "triton/*",
)


def cache_folder() -> Path:
    """The folder, which may not exist."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "lmscore"
