"""The lines of an SLF file: reading and replacing their `name=value` fields, quoted or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lmscore.errors import InputError

_FIELD = re.compile(
    r"(?<!\S)#.*"  # a comment, where a field would begin
    r'|([^\s=]+)=("(?:[^"\\]|\\.)*"'
    r"|'(?:[^'\\=]|\\.)*'(?!\S)"  # no other field is in it: 'tis a=-1 d='x'
    r"|\S*)"
)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LONG_NAMES = {
    "VERSION": "V",
    "UTTERANCE": "U",
    "SUBLAT": "S",
    "NODES": "N",
    "LINKS": "L",
    "time": "t",
    "WORD": "W",
    "var": "v",
    "START": "S",
    "END": "E",
    "acoustic": "a",
    "language": "l",
    "ngram": "n",
    "div": "d",
}


@dataclass(frozen=True, slots=True)
class Fields:
    """A line as text, without a comment, and its fields by their short names."""

    text: str
    values: Mapping[str, str]

    def replaced(self, values: Mapping[str, str]) -> str:
        """The line with other values of some fields; missing fields are added."""
        added = (f"{name}={value}" for name, value in values.items() if name not in self.values)
        return " ".join([replace_fields(self.text, values).rstrip(), *added])


def replace_fields(text: str, values: Mapping[str, str | None]) -> str:
    """A line with other values of the fields it has; a field whose value is None is removed."""

    def replaced(match: re.Match[str]) -> str:
        name = short_name(match[1] or "")  # a comment has none
        if name not in values:
            return match[0]
        return "" if values[name] is None else f"{match[1]}={values[name]}"

    return _FIELD.sub(replaced, text)


def parse_fields(text: str, where: str) -> Fields:
    """The fields of a line; raises InputError for anything else, or a field that appears twice."""
    rest = _FIELD.sub("", text).split()
    if rest:
        raise InputError(f"{where}: expected fields name=value, got {rest[0]!r}")
    values: dict[str, str] = {}
    for match in _FIELD.finditer(text):
        if match[1] is None:
            text = text[: match.start()].rstrip()
            break
        name = short_name(match[1])
        if name in values:
            raise InputError(f"{where}, field {match[1]!r}: stands here twice")
        values[name] = _unquoted(name, match[2], f"{where}, field {match[1]!r}")
    return Fields(text, values)


def field_names(text: str) -> set[str]:
    """The short names of the fields of a line; a comment has none."""
    return {short_name(match[1]) for match in _FIELD.finditer(text) if match[1]}


def short_name(name: str) -> str:
    """The short name of a field, or its name if it has no short one."""
    return _LONG_NAMES.get(name, name)


def quoted(text: str) -> str:
    """A value as it is written in a file, in quotation marks if it needs them."""
    if re.search(r'[\s"\\=]', text) or not text:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def _unquoted(name: str, value: str, where: str) -> str:
    # SRILM writes words as they are, and some have apostrophes at both ends: rock 'n' roll.
    is_word = name == "W" and len(value.split()) < 2
    if re.fullmatch("'.*'", value, re.DOTALL) and not is_word:
        value = value[1:-1]
    elif value.startswith('"'):
        if len(value) < 2 or not value.endswith('"'):
            raise InputError(f"{where}: {value!r} has no closing quotation mark")
        value = value[1:-1]
    if "\\" not in value:
        return value
    try:
        return _ESCAPE.sub(_unescaped, value.encode()).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: the escapes in {value!r} are no UTF-8") from error


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8) & 0xFF]) if len(code) == 3 else code
