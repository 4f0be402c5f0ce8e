"""N-best lists of other people's decoders, read and written back without loss."""

from lmscore.runtime.rescoring.formats.document import Document, Line, stem_of
from lmscore.runtime.rescoring.formats.entry_points import offered
from lmscore.runtime.rescoring.formats.espnet2 import place_below
from lmscore.runtime.rescoring.formats.field_mapping import FieldMapping
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.list_reading import list_files, read
from lmscore.runtime.rescoring.formats.list_writing import check_output, render, write
from lmscore.runtime.rescoring.formats.numbers import checked_score, parse_score, to_float
from lmscore.runtime.rescoring.formats.symbols import is_count, read_symbols
from lmscore.runtime.rescoring.formats.table import (
    FORMATS,
    detect,
    format_named,
    formats_with,
    known_formats,
)

__all__ = [
    "FORMATS",
    "Document",
    "FieldMapping",
    "Format",
    "Head",
    "Line",
    "ReadOptions",
    "Surety",
    "check_output",
    "checked_score",
    "detect",
    "format_named",
    "formats_with",
    "is_count",
    "known_formats",
    "list_files",
    "offered",
    "parse_score",
    "place_below",
    "read",
    "read_symbols",
    "render",
    "stem_of",
    "to_float",
    "write",
]
