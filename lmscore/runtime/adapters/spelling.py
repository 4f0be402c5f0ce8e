"""The tokens of words that follow other words, tokenized once each."""

from __future__ import annotations

from collections.abc import Sequence

from lmscore.errors import InputError
from lmscore.runtime.adapters.cache import Cache
from lmscore.runtime.scoring import encode_after, tool_words, word_before
from lmscore.runtime.text import TextTokenizer

Tokens = tuple[int, ...]

_CACHED = 1 << 16  # words: decoders ask for the same ones after every history


class Spelling:
    """The token ids of words, at the beginning of a sentence and in its middle."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        """Spell words with a model's tokenizer."""
        self._tokenizer = tokenizer
        self._before = word_before(tokenizer)
        self._known: Cache[tuple[str, bool], Tokens] = Cache(_CACHED)

    def ids(self, words: Sequence[tuple[str, bool]]) -> list[Tokens]:
        """The ids of words, each with whether a sentence begins with it; new ones in one batch.

        Raises:
            InputError: ASCII white space in a word, or a string that the tokenizer cannot read.
        """
        return self._known.get_or_make_all(words, self._spell)

    def _spell(self, words: Sequence[tuple[str, bool]]) -> list[Tokens]:
        made: dict[tuple[str, bool], Tokens] = {}
        for begins in (True, False):
            texts = [text for text, at_beginning in words if at_beginning == begins]
            keys = [(text, begins) for text in texts]
            made.update(zip(keys, self._encode(texts, begins), strict=True))
        return [made[word] for word in words]

    def _encode(self, texts: list[str], begins: bool) -> list[Tokens]:
        for text in texts:
            if text and tool_words(text, "kenlm") != [text]:
                raise InputError(f"{text!r} is not one word: score the words one after another")
        if not texts:
            return []
        if begins:
            return [tuple(ids.tolist()) for ids in self._tokenizer.encode_batch(texts)]
        before = [self._before] * len(texts)
        encoded = encode_after(self._tokenizer, before, texts, joiner=" ", number=1)
        return [tuple(one.ids.tolist()) for one in encoded]
