"""N-best lists of other people's decoders, read and written back without loss."""

from lmscore.runtime.rescoring.formats.format import Format
from lmscore.runtime.rescoring.formats.list_reading import FORMATS, read
from lmscore.runtime.rescoring.formats.list_writing import render, write

__all__ = ["FORMATS", "Format", "read", "render", "write"]
