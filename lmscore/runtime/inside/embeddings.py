"""Word vectors: the rows of a model's embedding matrix, their neighbours and analogies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError
from lmscore.runtime.arguments import check_count
from lmscore.runtime.text import TextTokenizer


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The vectors of a vocabulary.

    A word that the tokenizer spells with several tokens has the mean of their vectors. Neighbours
    are single tokens, by the cosine of the angle to them.
    """

    matrix: NDArray[np.float32]  # [V, E]
    tokenizer: TextTokenizer

    def vector(self, word: str) -> NDArray[np.float32]:
        """The vector of a word, float32 [E]; as a word within a sentence where that matters.

        Raises InputError if the word has no token.
        """
        ids = self.tokenizer.encode(word)
        if not self.tokenizer.splits_at_spaces and len(spaced := self.tokenizer.encode(" " + word)):
            ids = spaced if len(spaced) <= len(ids) else ids
        if not len(ids):
            raise InputError(f"{word!r} has no token")
        return np.asarray(self.matrix[ids].mean(axis=0))

    def nearest(self, word: str, k: int = 10) -> list[tuple[str, float]]:
        """The k tokens that are nearest to a word, and their cosines, best first.

        Raises:
            InputError: the word has no token.
            OptionError: k is below 1.
        """
        return self._nearest(self.vector(word), k, [word])

    def analogy(self, a: str, b: str, c: str, k: int = 10) -> list[tuple[str, float]]:
        """The k tokens that are to c what b is to a: nearest to b - a + c (Mikolov et al. 2013).

        The three words are left out. Errors as `nearest`.
        """
        x, y, z = (_unit(self.vector(word)) for word in (a, b, c))
        return self._nearest(y - x + z, k, [a, b, c])

    def _nearest(
        self, target: NDArray[np.float32], k: int, without: Iterable[str]
    ) -> list[tuple[str, float]]:
        check_count("k", k)
        cosines = _unit(self.matrix) @ _unit(target)
        order = np.argsort(-cosines, kind="stable")
        left_out = {word.strip() for word in without}
        found = []
        for token in order.tolist():
            text = self.tokenizer.pieces[token].decode("utf-8", "replace").strip()
            if text and text not in left_out:
                found.append((text, float(cosines[token])))
            if len(found) == k:
                break
        return found


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)
