"""What kind of records a file holds: as told, by the ending of its name, or by its first bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from lmscore.compression import SUFFIXES
from lmscore.encodings import ARROW_FILE, ARROW_STREAM, PARQUET
from lmscore.errors import InputError, OptionError
from lmscore.files import is_file, open_input
from lmscore.names import InputFormat

_ENDINGS: dict[str, InputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
_TABLES: dict[bytes, InputFormat] = {
    PARQUET: "parquet",
    ARROW_FILE: "arrow",
    ARROW_STREAM: "arrow",
}


def format_of(path: str, given: InputFormat | None) -> InputFormat:
    """The kind of a file; without a word about it, text.

    Args:
        path: the file; `-` is standard input.
        given: the kind that the user names.

    Raises:
        OptionError: there is no such kind.
        InputFileError: the file cannot be opened.
    """
    if given is not None:
        if given not in get_args(InputFormat):
            known = ", ".join(get_args(InputFormat))
            raise OptionError(f"input_format must be one of {known}, not {given!r}")
        return given
    named = format_named(path)
    if named is not None:
        return named
    if path == "-" or not is_file(path):  # a pipe is opened once, when it is read
        return "text"
    with open_input(path) as file:
        head = file.peek(8)[:8]  # type: ignore[attr-defined]
    found = (kind for magic, kind in _TABLES.items() if head.startswith(magic))
    return next(found, "text")


def format_named(path: str) -> InputFormat | None:
    """The kind that the ending of a file's name stands for, a suffix for packing aside."""
    name = Path(path).name.lower()
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return _ENDINGS.get(Path(name).suffix)


def check_plain(line: str, where: str) -> None:
    """Raise InputError if the first line of a text is a JSON object, or begins an array of them."""
    start = line.lstrip()
    kind = None
    if start.startswith("{"):
        try:
            kind = "jsonl" if isinstance(json.loads(line), dict) else None
        except (ValueError, RecursionError):
            return
    elif start.rstrip() == "[" or start.startswith(('[{"', '[ {"')):
        kind = "json"
    if kind is not None:
        shown = "JSON Lines" if kind == "jsonl" else "a JSON array"
        raise InputError(
            f"{where}: looks like {shown}: use input_format={kind!r}, or input_format='text' if "
            "it is plain text"
        )
