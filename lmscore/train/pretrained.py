"""Word vectors that another program trained, as the first values of a model's embedding."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lmscore.errors import InputError, OptionError
from lmscore.files import open_input
from lmscore.runtime.text import TextTokenizer
from lmscore.train.network import RecurrentLM

_log = logging.getLogger("lmscore")

_LEAST = 2  # columns of a vector: a line of two numbers may be the header of word2vec


def load_embeddings(network: RecurrentLM, path: str | Path, tokenizer: TextTokenizer) -> None:
    """Give tokens the vectors of the words that they spell, from word2vec's or GloVe's text.

    A file has a word and its numbers on each line, and perhaps a first line with the numbers of
    words and columns. Tokens without a vector keep their values. Of a word that comes twice the
    first line counts.

    Raises:
        InputFileError: the file cannot be read.
        InputError: a line is no vector; names it. No token of the vocabulary is in the file.
        OptionError: the vectors have another size than the embedding.
    """
    E = network.config.embedding_dim
    ids = {word: token for token, word in _words(tokenizer).items()}
    found: dict[int, NDArray[np.float32]] = {}
    for number, word, vector in _vectors(path):
        if len(vector) != E:
            raise OptionError(
                f"{path}:{number}: the vectors have {len(vector)} numbers, the embedding {E}: give "
                f"embedding_size={len(vector)}"
            )
        if word in ids:
            found.setdefault(ids[word], vector)
    if not found:
        raise InputError(f"{path}: none of its words is a token of the vocabulary")
    with torch.no_grad():
        places = torch.tensor(list(found), device=network.device)
        values = torch.from_numpy(np.stack(list(found.values()))).to(network.device)
        network.embedding.weight[places] = values
    share = 100 * len(found) / network.config.vocab_size
    _log.info("embeddings: %d tokens have a vector, %.0f %%", len(found), share)


def _words(tokenizer: TextTokenizer) -> dict[int, str]:
    """The text of each token, without the space that belongs to it; special tokens have none."""
    texts = enumerate(piece.decode("utf-8", "replace").strip() for piece in tokenizer.pieces)
    # Of `the` and ` the` in a subword vocabulary the second is the word within a sentence.
    return {token: text for token, text in texts if text}


def _vectors(path: str | Path) -> Iterator[tuple[int, str, NDArray[np.float32]]]:
    """The number of the line, the word and the vector of each line."""
    with open_input(path) as file:
        for number, line in enumerate(file, 1):
            word, *values = line.decode("utf-8", "replace").rstrip().split(" ")
            if number == 1 and len(values) < _LEAST:
                continue  # the numbers of words and columns
            try:
                vector = np.array(values, np.float32)
            except ValueError:
                raise InputError(
                    f"{path}:{number}: no word and numbers with spaces between them, as word2vec "
                    "and GloVe write text files"
                ) from None
            if not len(vector) or not np.isfinite(vector).all():
                raise InputError(f"{path}:{number}: {word!r} has no finite vector")
            yield number, word, vector
