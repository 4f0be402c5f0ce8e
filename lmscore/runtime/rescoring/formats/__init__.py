"""N-best lists of other people's decoders, read and written back without loss."""

from lmscore.runtime.rescoring.formats.document import Document, Line
from lmscore.runtime.rescoring.formats.format import Format
from lmscore.runtime.rescoring.formats.list_reading import read
from lmscore.runtime.rescoring.formats.list_writing import render, write
from lmscore.runtime.rescoring.formats.numbers import checked_score, parse_score, to_float
from lmscore.runtime.rescoring.formats.table import FORMATS

__all__ = [
    "FORMATS",
    "Document",
    "Format",
    "Line",
    "checked_score",
    "parse_score",
    "read",
    "render",
    "to_float",
    "write",
]
