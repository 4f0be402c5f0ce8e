"""Lists of words: one a line, alone or with an id or a count (Kaldi and RASR words.txt, SRILM)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from lmscore.errors import InputError
from lmscore.files import read_lines

UNKNOWN = ("<unk>", "[unk]", "<oov>", "unk", "oov", "<spoken_noise>")
"""Names of the unknown word in lists, in lower case, the likeliest first."""

BEGINS = ("<s>", "<sos>", "<bos>", "<sos/eos>", "[cls]")
ENDS = ("</s>", "<eos>", "<sos/eos>", "[sep]")
"""Names of the tokens that begin and end a sentence, in lower case, the likeliest first."""

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
        [word for word in words if not is_graph_symbol(word)],
        [word for word in words if is_graph_symbol(word)],
    )


def is_graph_symbol(word: str) -> bool:
    """Whether an entry is a symbol of decoding graphs or a silence: `<eps>`, `#0`, `!SIL`."""
    return _NO_WORD.fullmatch(word) is not None


def find_name(words: Iterable[str], names: tuple[str, ...]) -> str | None:
    """The first of several names, in lower case, that one of the words has in any case."""
    by_name: dict[str, str] = {}
    for word in words:
        by_name.setdefault(word.lower(), word)
    return next((by_name[name] for name in names if name in by_name), None)


def word_tokenizer(ids: dict[str, int], unknown: str, special: list[str]) -> Tokenizer:
    """A tokenizer that splits at white space and looks words up; `special` have no text."""
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(special)
    return tokenizer
