"""Formats that other packages offer, as entry points of the group `lmscore.formats`."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import entry_points
from typing import TypeVar

from lmscore.errors import OptionError

GROUP = "lmscore.formats"

T = TypeVar("T")


def offered(kind: type[T], *, taken: Collection[str] = ()) -> dict[str, T]:
    """The formats of one kind that installed packages offer, by the names of their entry points.

    Args:
        kind: the class of the records, of formats of lists or of lattices; entry points of another
            kind are left out.
        taken: the names of the formats that are here already.

    Raises:
        OptionError: an entry point cannot be loaded, or has a name that is taken; names its
            package.
    """
    found: dict[str, T] = {}
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist is not None else point.value
        try:
            record = point.load()
        except Exception as error:  # whatever a foreign module raises
            raise OptionError(
                f"the format {point.name!r} of the package {package} cannot be loaded: {error}"
            ) from error
        if not isinstance(record, kind):
            continue
        if point.name in taken or point.name in found:
            raise OptionError(f"the package {package} offers a second format {point.name!r}")
        found[point.name] = record
    return found
