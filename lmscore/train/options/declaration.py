"""How an option is declared, read from its dataclass, and checked by itself."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Union, cast, get_args, get_origin, get_type_hints

from lmscore.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The range of numbers that an option may have."""

    at_least: float | None = None
    above: float | None = None
    below: float = math.inf

    def check(self, name: str, value: float) -> None:
        """Raise OptionError if the value of the option `name` is outside."""
        # Written so that NaN fails every bound.
        if self.at_least is not None and not value >= self.at_least:
            raise OptionError(f"{name} is {value}, expected at least {self.at_least:g}")
        if self.above is not None and not value > self.above:
            raise OptionError(f"{name} is {value}, expected more than {self.above:g}")
        if not value < self.below:
            raise OptionError(f"{name} is {value}, expected less than {self.below:g}")


@dataclass(frozen=True)
class Option:
    """The properties of an option besides its type and its default."""

    help: str = ""
    metavar: str | None = None  # a word for the value in the help of the command line
    bounds: Bounds | None = None
    default: str = ""  # a word for a default of None in the help
    flags: tuple[str, ...] = ()  # on the command line; by default the name with dashes
    pattern: str = ""  # a regular expression for a string
    allowed: str = ""  # what the pattern allows, in words
    path: bool = False  # relative to the folder of a TOML file
    named: bool = False  # NAME=FILE may stand for FILE
    resumable: bool = False  # a resumed run may change it


_ENDLESS = 10**30

COUNT = Bounds(at_least=1, below=1 << 31)
SIZE = Bounds(at_least=1, below=1 << 24)  # of what is allocated
POSITIVE = Bounds(above=0)
NOT_NEGATIVE = Bounds(at_least=0)
SHARE = Bounds(at_least=0, below=1)


@dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """Options that belong together; each field is Annotated with an Option."""

    heading: ClassVar[str]  # above the group in the help of the command line


@dataclass(frozen=True)
class Field:
    """A field of a group of options: its name, type, default, option and heading."""

    name: str
    type: Any
    default: Any  # `dataclasses.MISSING` for a required option
    option: Option
    heading: str


@cache
def fields_of(options: type[OptionGroup]) -> Mapping[str, Field]:
    """The fields of a dataclass by name: group by group, as it names the groups as its bases."""
    found: dict[str, Field] = {}
    for group in cast("tuple[type[OptionGroup], ...]", options.__bases__):
        hints = get_type_hints(group, include_extras=True)
        for field in dataclasses.fields(group):
            kind, option = get_args(hints[field.name])
            found[field.name] = Field(field.name, kind, field.default, option, group.heading)
    return found


def check_each(values: Mapping[str, Any], fields: Mapping[str, Field]) -> None:
    """Check each value, by the name of its option, without regard to the others.

    Raises OptionError with the allowed values.
    """
    for name, value in values.items():
        field = fields[name]
        _check_type(name, value, field.type)
        if isinstance(value, int) and abs(value) >= _ENDLESS:
            raise OptionError(f"{name} has more than 30 digits")
        if field.option.bounds is not None and value is not None:
            field.option.bounds.check(name, value)
        if value == "":
            raise OptionError(f"{name} is empty")
        if field.option.pattern and not re.fullmatch(field.option.pattern, value):
            raise OptionError(f"{name} is {value!r}, expected {field.option.allowed}")
        if name in ("train", "valid") and "-" in value:
            raise OptionError(f"{name} is '-', but text is read more than once: name a file")


def _check_type(name: str, value: object, hint: Any) -> None:
    allowed = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if any(_is_instance(value, kind) for kind in allowed):
        return
    expected = " or ".join(_describe(kind) for kind in allowed if kind is not NoneType)
    raise OptionError(f"{name} is {value!r}, expected {expected}")


def _is_instance(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(
            _is_instance(item, get_args(kind)[0]) for item in value
        )
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return isinstance(value, kind)


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if get_origin(kind) is tuple:
        return "a list of strings" if str in get_args(kind) else "a list of whole numbers"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
    return names[kind]
