"""Values of options that are more than a string."""

from __future__ import annotations

from collections.abc import Iterable

from lmscore.cli.usage import UsageError


def assignments(option: str, values: Iterable[str] | None) -> dict[str, str]:
    """The values of an option NAME=VALUE, by name.

    Raises:
        UsageError: a name or a value is missing, or a name is given twice.
    """
    found: dict[str, str] = {}
    for given in values or ():
        name, sign, value = given.partition("=")
        if not (name and sign and value):
            raise UsageError(f"{option} {given!r}: expected NAME=VALUE")
        if name in found:
            raise UsageError(f"{option} {name!r} is given twice")
        found[name] = value
    return found


def number(option: str, value: str) -> float:
    """The value of an option as a number; raises UsageError if it is no number."""
    try:
        return float(value)
    except ValueError as error:
        raise UsageError(f"{option} {value!r}: expected a number") from error
