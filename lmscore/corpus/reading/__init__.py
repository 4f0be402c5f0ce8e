"""Records read from files: text, TSV, CSV, JSON Lines, JSON arrays, Parquet, Arrow; packed or not.

`read_records` yields them in bounded memory, `BadRecords` decides about those that cannot be read.
"""

from lmscore.corpus.reading.bad_records import BadRecords
from lmscore.corpus.reading.delimited import Line
from lmscore.corpus.reading.formats import format_named, format_of
from lmscore.corpus.reading.json_text import json_line, json_object
from lmscore.corpus.reading.read import file_records, located_lines, read_records
from lmscore.corpus.reading.record import (
    ReadOptions,
    Record,
    TableRow,
    delimiter_named,
    free_name,
    shown_text,
    text_field,
)

__all__ = [
    "BadRecords",
    "Line",
    "ReadOptions",
    "Record",
    "TableRow",
    "delimiter_named",
    "file_records",
    "format_named",
    "format_of",
    "free_name",
    "json_line",
    "json_object",
    "located_lines",
    "read_records",
    "shown_text",
    "text_field",
]
