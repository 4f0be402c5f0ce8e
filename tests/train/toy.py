"""A tiny language to learn, and the smallest runs that learn it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from lmscore.bundle import CELLS, HEADS, Config, Context, HeadSpec
from lmscore.runtime.text.tokenizer import TextTokenizer
from lmscore.train.corpus import Corpus, CorpusCounts, build_corpus
from lmscore.train.options import TrainOptions
from lmscore.train.precision import computes_bf16

needs_bf16 = pytest.mark.skipif(
    not computes_bf16(torch.device("cpu")), reason="for a processor that PyTorch computes bf16 on"
)

NOUNS = ("cat", "dog", "fish", "bird")
VERBS = ("sees", "likes", "eats")


def sentences(count: int, *, seed: int = 1) -> list[str]:
    """`the NOUN VERB the NOUN .`: most of what unigrams do not know can be learnt."""
    draw = random.Random(seed)
    return [
        f"the {draw.choice(NOUNS)} {draw.choice(VERBS)} the {draw.choice(NOUNS)} ."
        for _ in range(count)
    ]


def write(path: Path, lines: Iterable[str]) -> str:
    """Write lines to a file; returns its name, as options take it."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def toy_options(folder: Path, **changes: Any) -> TrainOptions:
    """A run of about 30 updates on `folder`/text, into `folder`/model."""
    text = folder / "text"
    if "train" not in changes and not text.exists():
        write(text, sentences(200))
    values: dict[str, Any] = {
        "train": (str(text),),
        "output": str(folder / "model"),
        "tokenizer": "word",
        "hidden_size": 16,
        "epochs": 5,
        "batch_size": 8,
        "learning_rate": 0.02,
        "threads": 1,
        "precision": "fp32",
        "device": "cpu",
    }
    return TrainOptions(**{**values, **changes})


def toy_config(vocab: int = 30, *, context: Context = "sentence", **changes: Any) -> Config:
    """`<unk>` 0, `</s>` 1, `<s>` 2 (or `</s>` again)."""
    values: dict[str, Any] = {
        "cell": "lstm",
        "vocab_size": vocab,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "tie_word_embeddings": True,
        "bos_token_id": 1 if context == "document" else 2,
        "eos_token_id": 1,
        "unk_token_id": 0,
        "context": context,
        "tokenizer": "word",
        "tokenizer_sha256": "",
    }
    values |= changes
    if not CELLS[values["cell"]].is_recurrent:
        values.setdefault("window_size", 3)
    return Config(**values)


def head_config(spec: HeadSpec, **changes: Any) -> Config:
    """A configuration with that output layer, three classes behind a head of 10 words if any."""
    ((layer, self_normalized),) = (key for key, value in HEADS.items() if value is spec)
    cutoffs = (10, 11, 20) if spec.has_classes else ()
    return toy_config(
        output_layer=layer, self_normalized=self_normalized, cutoffs=cutoffs, **changes
    )


def toy_corpus(lengths: Iterable[int], *, vocab: int = 30, seed: int = 0) -> Corpus:
    """Lines of random tokens; a length counts `</s>`."""
    random_ids = np.random.default_rng(seed)
    rows = [np.append(random_ids.integers(3, vocab, length - 1), 1) for length in lengths]
    starts = np.cumsum([0, *map(len, rows)])
    tokens = np.concatenate(rows).astype(np.uint16)
    return Corpus(tokens, starts, CorpusCounts(len(rows), len(tokens), 1, len(tokens), 0))


def words_tokenizer(vocab: int, config: Config) -> TextTokenizer:
    """w3, w4, ... behind the special tokens."""
    names = ["<unk>", "</s>", "<s>", *(f"w{number}" for number in range(3, vocab))]
    tokenizer = Tokenizer(
        models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return TextTokenizer(tokenizer, config, source="toy")


def tokenised(lines: Iterable[str], folder: Path, *, vocab: int = 30, mark: str = "1") -> Corpus:
    """Lines of w3 w4 ... as `build_corpus` writes them."""
    config = toy_config(vocab)
    return build_corpus([lines], words_tokenizer(vocab, config), config, folder, "train", mark)
