"""Kaldi's symbol tables (`words.txt`): words and their numbers."""

from __future__ import annotations

from pathlib import Path

from lmscore.errors import InputError
from lmscore.files import input_name, read_lines
from lmscore.names import Utf8Errors
from lmscore.runtime.rescoring.lattices.checks import parse_count


def read_symbols(path: str | Path, *, errors: Utf8Errors = "strict") -> dict[str, str]:
    """Read the words of a symbol table (`words.txt`), by their numbers.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: a line is not a word and its number, or a number appears twice.
    """
    symbols: dict[str, str] = {}
    for number, line in enumerate(read_lines(path, errors=errors), 1):
        where = f"{input_name(path)}, line {number}"
        columns = line.split()
        if len(columns) != 2:
            raise InputError(f"{where}: expected a word and its number, got {line!r}")
        word, label = columns[0], str(parse_count(columns[1], where))
        if label in symbols:
            raise InputError(f"{where}: a second word with the number {label}")
        symbols[label] = word
    return symbols
