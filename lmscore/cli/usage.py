"""What a command line is refused for, and what the shell calls the options of the library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lmscore.errors import OptionError

# Advice in the library's messages: `name`, or name=value as in Python.
_ADVICE = re.compile(r"`([a-z_]+)`|\b([a-z_]+)=('[^']*'|\"[^\"]*\"|True|False|-?[0-9][0-9.e-]*)")
# What an OptionError begins with, or a name with an underscore that is not quoted nor in a path.
_NAME = re.compile(
    r"^([a-z_]+)(?= (?:is|are|must) )|(?<![\w/.'\"-])([a-z]+(?:_[a-z]+)+)(?![\w/'\"=-])"
)

_QUOTES = "'\""

Flags = Mapping[str, tuple[str, str]]  # of a name in Python: to switch it on or give it, and off


class UsageError(OptionError):
    """A command line that is wrong whatever its files hold; the exit status is 2."""


@contextmanager
def command_line(**names: str) -> Iterator[None]:
    """Let the library check options before any file is opened.

    Args:
        names: flags by what the library calls them, where the verb has another name for them.

    Raises:
        UsageError: for every OptionError inside.
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
    """The flags of `lmscore train`, which other verbs may advise."""
    from lmscore.train.options import option_fields

    return {name: (f"--{name.replace('_', '-')}", "") for name in option_fields()}


def with_flags(message: str, flags: Flags, *, bare: bool = False) -> str:
    """A message of the library with flags in the place of Python's names.

    Args:
        message: names options as `name` or name='value' where it gives advice.
        flags: those of the verb.
        bare: whether it is about options: names may stand in it as they are.
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
