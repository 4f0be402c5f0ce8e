"""The words of a lattice as tokens of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lmscore.runtime.rescoring.lattices.histories import Tokens
from lmscore.runtime.rescoring.lattices.lattice import END, MARKS
from lmscore.runtime.scoring import encode_after, word_before
from lmscore.runtime.text import TextTokenizer


@dataclass(frozen=True, slots=True)
class Spelling:
    """The tokens of a word; empty if the model reads nothing for it."""

    first: Tokens  # at the beginning of a text
    later: Tokens  # after another word


def spell(
    tokenizer: TextTokenizer, words: Iterable[str], prepare: Callable[[str], str], *, eos: int
) -> dict[str, Spelling]:
    """Tokenize each word, by itself and after another word and a space.

    With a tokenizer that splits at white space, the tokens of a text's words are those of the text.

    Raises:
        InputError: a word has no ids.
    """
    distinct = sorted(set(words) - MARKS)
    prepared = [prepare(word) for word in distinct]
    texts = [text for text in prepared if text]
    found: dict[str, Spelling] = {"": Spelling((), ())}
    if texts:
        first = tokenizer.encode_batch(texts, name="word")
        before = [word_before(tokenizer)] * len(texts)
        later = encode_after(tokenizer, before, texts, joiner=" ", number=1)
        for text, alone, after in zip(texts, first, later, strict=True):
            found[text] = Spelling(tuple(alone.tolist()), tuple(after.ids.tolist()))
    spelt = {word: found[text] for word, text in zip(distinct, prepared, strict=True)}
    return {**spelt, "": found[""], END: Spelling((eos,), (eos,))}
