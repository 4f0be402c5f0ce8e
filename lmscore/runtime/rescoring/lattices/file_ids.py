"""The id of a lattice that has none in its file: the file's name."""

from __future__ import annotations

from pathlib import Path

from lmscore.files import STANDARD_INPUT
from lmscore.runtime.rescoring.formats import Document, stem_of

_SUFFIXES = (".lat", ".slf", ".htk", ".mesh", ".wlat")


def file_name(document: Document) -> str:
    """The name of a file without its directory; "" for standard input."""
    return "" if document.name == STANDARD_INPUT else Path(document.name).name


def file_id(document: Document) -> str:
    """The name of a file without its directory and its suffixes."""
    return stem_of(file_name(document), _SUFFIXES)
