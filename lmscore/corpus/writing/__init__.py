"""Records written in the kind of file that they were read from, perhaps with fields added."""

from lmscore.corpus.writing.write import RecordWriter

__all__ = ["RecordWriter"]
