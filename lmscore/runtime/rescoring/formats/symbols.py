"""Kaldi's symbol tables (`words.txt`), for texts whose words are numbers."""

from __future__ import annotations

from pathlib import Path

from lmscore.errors import InputError
from lmscore.files import input_name, read_lines
from lmscore.names import Utf8Errors


def read_symbols(path: str | Path, *, errors: Utf8Errors = "strict") -> dict[str, str]:
    """Read the words of a symbol table, by their numbers.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: a line is not a word and its number, or a number appears twice.
    """
    symbols: dict[str, str] = {}
    for number, line in enumerate(read_lines(path, errors=errors), 1):
        where = f"{input_name(path)}, line {number}"
        columns = line.split()
        if len(columns) != 2 or not is_count(columns[1]):
            raise InputError(f"{where}: expected a word and its number, got {line!r}")
        label = str(int(columns[1]))
        if label in symbols:
            raise InputError(f"{where}: a second word with the number {label}")
        symbols[label] = columns[0]
    return symbols


def is_count(text: str) -> bool:
    """Whether a text spells a natural number or 0."""
    return text.isascii() and text.isdecimal()
