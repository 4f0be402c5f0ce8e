"""Files with references, one a line, in the forms that recognisers and scorers have.

Texts of another use, such as those that hypotheses translate, come in the same forms.

utterance w1 w2 ...                             Kaldi's `text`, ours (also with a tab)
w1 w2 ... (utterance)                           sclite's trn
file channel speaker begin end <label> w1 ...   NIST's stm
{"id": "utterance", "text": "w1 w2"}            a manifest, as NeMo and WeNet have
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from lmscore.errors import InputError
from lmscore.files import input_name, read_lines
from lmscore.names import Utf8Errors

Rows = Iterator[tuple[str, str, str]]  # a place for messages, an id (perhaps empty), a text

_TRN = re.compile(r"(.*?)\s*\(([^\s()]+)\)\s*")
_LIKE_AN_ID = re.compile(r"[-_]|[^\W\d]\d|\d[^\W\d]")
_STM = re.compile(
    r"(?P<file>\S+)\s+\S+\s+(?P<speaker>\S+)\s+(?P<begin>[0-9.]+)\s+(?P<end>[0-9.]+)"
    r"(\s+<[^<>]*>)?(\s+(?P<text>.*))?"
)
_ALTERNATIVES = re.compile(r"(?<!\S)\{\s[^{}]*(?<=\s)/\s[^{}]*(?<=\s)\}(?!\S)")
_UNSCORED = "ignore_time_segment_in_scoring"
_IDS = ("id", "utt", "utt_id", "key", "utterance_id")
_TEXTS = ("text", "txt", "reference", "transcript")
_SOUNDS = ("audio_filepath", "wav")


def read_references(
    path: str | Path, *, by_line: bool, errors: Utf8Errors, what: str = "reference"
) -> dict[str, str]:
    """The references, or other texts, of a file, by the ids of their lists.

    Args:
        path: a file in one of the forms above, told from its lines.
        by_line: whether a list is known by its number, from 0, and the lines may be texts alone.
        errors: "replace" puts U+FFFD in the place of invalid UTF-8.
        what: what the texts are, for messages.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: a line is not what it should be, or an id is there twice.
    """
    name = input_name(path)
    lines = list(read_lines(path, errors=errors))
    references: dict[str, str] = {}
    for number, (where, key, text) in enumerate(_rows(lines, name, what, by_line=by_line)):
        found = str(number) if by_line else key
        if not found:
            raise InputError(f"{where}: no id; expected the list's id and the {what}")
        if found in references:
            raise InputError(f"{where}: a second {what} for the list {found!r}")
        references[found] = text
    return references


def _rows(lines: list[str], name: str, what: str, *, by_line: bool) -> Rows:
    told = [line for line in lines if line.strip() and not line.startswith(";;")]
    if told and all(map(_STM.fullmatch, told)):
        yield from _stm_rows(lines, name)
    elif told and _is_trn(told, by_line=by_line):
        for number, line in enumerate(lines, 1):
            match = _TRN.fullmatch(line)
            if match:
                where = f"{name}, line {number}"
                yield where, match[2], _one_text(match[1], where)
    else:
        is_manifest = not by_line or all(map(_is_object, told))
        mark = "\t" if all("\t" in line for line in told) else " "
        for number, line in enumerate(lines, 1):
            where = f"{name}, line {number}"
            if is_manifest and line.startswith("{"):
                row = _manifest_row(line, where, what)
            else:
                row = ("", line.strip()) if by_line else _text_row(line, mark)
            yield where, *row


def _is_trn(told: list[str], *, by_line: bool) -> bool:
    """Whether every line ends with an id in parentheses; a text may end with a word in them."""
    matches = [_TRN.fullmatch(line) for line in told]
    ids = [match[2] for match in matches if match is not None]
    if len(ids) < len(told):
        return False
    return not by_line or (len(set(ids)) == len(ids) and all(map(_LIKE_AN_ID.search, ids)))


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _text_row(line: str, mark: str) -> tuple[str, str]:
    """An id and a text; if all lines have a tab, it ends the id, which may have spaces then."""
    if mark == " ":
        line = line.replace("\t", " ", 1)
    key, _, text = line.partition(mark)
    return key.strip(), text.strip()


def _stm_rows(lines: list[str], name: str) -> Rows:
    """A segment is known by its file, or, where a file has several, by the file and its speaker."""
    found = []
    for number, line in enumerate(lines, 1):
        match = _STM.fullmatch(line)
        if match and not line.startswith(";;") and (match["text"] or "").strip() != _UNSCORED:
            found.append((f"{name}, line {number}", match))
    files = [match["file"] for _, match in found]
    is_alone = len(set(files)) == len(files)
    for where, match in found:
        key = match["file"] if is_alone else f"{match['file']}-{match['speaker']}"
        yield where, key, _one_text(match["text"] or "", where)


def _one_text(text: str, where: str) -> str:
    """A text of a NIST file; raises InputError where it names alternatives, as `{ a / b / @ }`."""
    found = _ALTERNATIVES.search(text)
    if found:
        raise InputError(
            f"{where}: alternatives {found[0]!r}, while texts are compared with one reference; "
            "write one of them (@ stands for no word)"
        )
    return text.strip()


def _manifest_row(line: str, where: str, what: str) -> tuple[str, str]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error
    text = _first(fields, _TEXTS)
    if not isinstance(text, str):
        raise InputError(f"{where}: no field 'text' with the {what}")
    sound = _first(fields, _SOUNDS)
    key = _first(fields, _IDS)
    if key is None and isinstance(sound, str):
        key = PurePath(sound).stem
    return "" if key is None else str(key), text


def _first(fields: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((fields[key] for key in keys if fields.get(key) is not None), None)
