"""Fuzzing led by coverage, with atheris: text and model files as nobody would think of them.

Usage: python tests/fuzzing/coverage.py TARGET [-max_total_time=60] [more options of libFuzzer]

TARGET is text, jsonl, config, tokenizer, graph, parity or weights. Needs `pip install atheris`.
What goes in must come to an end in scores or in an LmscoreError of one line; the input that does
not is written to a file crash-..., which may be given instead of options to run it again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lmscore", "json", "numpy.lib", "zipfile"]):
    import lmscore
    from lmscore.bundle import (
        PARITY_FILE,
        TOKENIZER_FILE,
        WEIGHTS_FILE,
        Bundle,
        Config,
        Parity,
        load_weights,
    )
    from lmscore.cli.records import TextInput
    from lmscore.errors import LmscoreError
    from lmscore.files import read_lines
    from lmscore.runtime.engine.structure import check_structure
    from lmscore.runtime.load import find_model
    from lmscore.runtime.text.tokenizer import TextTokenizer

LM = lmscore.load(threads=1)
FOLDER = Path(tempfile.mkdtemp(prefix="lmscore-fuzzing-"))


def text(data: bytes) -> None:
    """As many scores as lines, all of them finite."""
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    lines = list(read_lines("-", errors="replace"))
    scores = list(LM.score_stream(lines, tokens=False, words=True))
    assert [score.text for score in scores] == lines
    assert all(math.isfinite(score.log_prob) for score in scores)


def jsonl(data: bytes) -> None:
    """Records are texts."""
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    for record in TextInput(files=["-"], input_format="jsonl").records():
        record.text.encode()


def config(data: bytes) -> None:
    """What is read can be written."""
    read = Config.from_json(data.decode("utf-8", "replace"))
    assert Config.from_json(read.to_json()) == read


def tokenizer(data: bytes) -> None:
    """One that loads makes ids of a text."""
    TextTokenizer.load(_with_file(TOKENIZER_FILE, data)).encode("Thanks for all the fish")


def graph(data: bytes) -> None:
    """Looked through, and not given to ONNX Runtime, which is not ours to fuzz."""
    check_structure(_with_file("model.onnx", data).path / "model.onnx", LM.config)


def parity(data: bytes) -> None:
    """Read and held against the configuration."""
    Parity.load(Bundle(_with_file(PARITY_FILE, data).path, LM.config))


def weights(data: bytes) -> None:
    """Read and held against the configuration."""
    load_weights(_with_file(WEIGHTS_FILE, data))


def _with_file(name: str, data: bytes) -> Bundle:
    (FOLDER / name).write_bytes(data)
    signed = dataclasses.replace(LM.config, tokenizer_sha256=hashlib.sha256(data).hexdigest())
    return Bundle(FOLDER, signed)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (text, jsonl, config, tokenizer, graph, parity, weights)
}
SEEDS = {
    "config": "config.json",
    "tokenizer": TOKENIZER_FILE,
    "graph": "model_int8.onnx",
    "parity": PARITY_FILE,
    "weights": WEIGHTS_FILE,
}
"""Files of the model that inputs are made from, where that helps."""


def main() -> None:
    """Fuzz the target that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(__doc__)
    name = sys.argv.pop(1)
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    if name in SEEDS:
        shutil.copy(find_model() / SEEDS[name], corpus)

    def once(data: bytes) -> None:
        try:
            TARGETS[name](data)
        except LmscoreError as error:
            if "\n" in str(error):
                raise AssertionError("an error of more than one line") from error

    atheris.Setup([*sys.argv, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
