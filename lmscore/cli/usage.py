"""Errors of the command line, and the library's messages with flags instead of Python's names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lmscore.errors import OptionError

# Advice in the library's messages: `name`, or name=value as in Python, which is a word of its own
# and neither begins a message nor goes on as a path does.
_ADVICE = re.compile(
    r"`([a-z_]+)`"
    r"|(?<=[ (])([a-z_]+)=('[^']*'|\"[^\"]*\"|True|False|-?[0-9][0-9.e-]*)(?![\w/:]|\.\w)"
)
# The first word of an OptionError, or a name with an underscore, neither quoted nor in a path.
_NAME = re.compile(
    r"^([a-z_]+)(?= (?:is|are|must) )|(?<![\w/.'\"-])([a-z]+(?:_[a-z]+)+)(?![\w/'\"=-])"
)

_QUOTES = "'\""

Flags = Mapping[str, tuple[str, str]]  # by Python's name: the flag, and the flag that switches off


class UsageError(OptionError):
    """The command line is wrong, whatever its files hold; the exit status is 2."""


@contextmanager
def command_line(**names: str) -> Iterator[None]:
    """Turn every OptionError inside into a UsageError, whose message names flags.

    Args:
        names: flags by the library's name, where the verb has another name for the option.
    """
    try:
        yield
    except UsageError:
        raise
    except OptionError as error:
        flags = {name: (flag, "") for name, flag in names.items()}
        raise UsageError(with_flags(str(error), flags, bare=True)) from error


def flags_of(command: Any) -> Flags:
    """The flags of a verb, by the names of its parameters in Python."""
    return {
        parameter.name: (
            max(parameter.opts, key=len),
            max(parameter.secondary_opts, key=len, default=""),
        )
        for parameter in command.params
        if parameter.opts[0].startswith("-")
    }


def training_flags() -> Flags:
    """The flags of `lmscore train`, which messages of other verbs may name."""
    from lmscore.train.options import option_fields

    return {name: (f"--{name.replace('_', '-')}", "") for name in option_fields()}


def with_flags(message: str, flags: Flags, *, bare: bool = False) -> str:
    """Replace Python's names of options in a message of the library by flags.

    Args:
        message: a message, whose advice names options as `name` or name='value'.
        flags: the flags of the verb.
        bare: whether the message is about options, and may name them without quotes.
    """
    known = {**training_flags(), **flags}

    def flag(match: re.Match[str]) -> str:
        name, value = match[1] or match[2], match[3]
        if name not in known:
            return match[0]
        on, off = known[name]
        if value in (None, "True"):
            return on
        return off or match[0] if value == "False" else f"{on} {value.strip(_QUOTES)}"

    message = _ADVICE.sub(flag, message)
    if not bare:
        return message
    return _NAME.sub(lambda match: flags.get(match[0], (match[0],))[0], message)
