"""Lists of words: one a line, alone or with an id or a count (Kaldi and RASR words.txt, SRILM)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from lmscore.errors import InputError
from lmscore.files import read_lines

UNKNOWN = ("<unk>", "[unk]", "<oov>", "unk", "oov", "<spoken_noise>")
"""Names of the unknown word in lists, in lower case, the likeliest first."""

# Symbols of decoding graphs and silences, which no text has.
_NO_WORD = re.compile(
    r"<eps>|<epsilon>|#\d+|!null|(!|<|\[)?sil(ence)?(>|\])?|-pau-|\[pause\]", re.IGNORECASE
)


@dataclass(frozen=True)
class Entry:
    """A line of a list."""

    word: str
    number: int | None  # an id or a count; None if there is none


def read_word_list(path: str | Path) -> list[Entry]:
    """The entries of a list, in its order; blank lines are left out.

    Raises:
        InputFileError: the file cannot be read.
        InputError: a line has more than a word and a number, or a word stands there twice.
    """
    entries: dict[str, Entry] = {}
    for number, line in enumerate(read_lines(path), 1):
        word, *rest = line.split() or [""]
        if not word:
            continue
        if len(rest) > 1 or (rest and not rest[0].isdecimal()):
            raise InputError(
                f"{path}, line {number}: {line!r} is not a word, or a word and its id or count"
            )
        if word in entries:
            raise InputError(f"{path}, line {number}: {word!r} stands there twice")
        entries[word] = Entry(word, int(rest[0]) if rest else None)
    if not entries:
        raise InputError(f"{path}: no word in it")
    return list(entries.values())


def words_of_text(entries: list[Entry]) -> tuple[list[str], list[str]]:
    """The words of a list that texts have, and the symbols of decoding graphs and silences."""
    words = [entry.word for entry in entries]
    return (
        [word for word in words if not _NO_WORD.fullmatch(word)],
        [word for word in words if _NO_WORD.fullmatch(word)],
    )


def find_unknown(words: list[str]) -> str | None:
    """The unknown word's name in a list, if it has one."""
    by_name = {word.lower(): word for word in reversed(words)}
    return next((by_name[name] for name in UNKNOWN if name in by_name), None)


def word_tokenizer(ids: dict[str, int], unknown: str, special: list[str]) -> Tokenizer:
    """A tokenizer that splits at white space and looks words up; `special` have no text."""
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(special)
    return tokenizer
