"""Lines of bytes in any encoding of text, and files that hold no text at all."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from lmscore.errors import InputError, OptionError

_HEAD_SIZE = 1 << 16  # the bytes at the start of a file that show how its lines end
_UTF8_BOM = b"\xef\xbb\xbf"
_WHOLE = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}  # no mark: in order
_BYTE_ORDER_MARKS = {  # the longer ones first: that of UTF-16-LE begins that of UTF-32-LE
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1\x00\x00", b"\xff\xff\xff\xff"
_NO_TEXT = {
    PARQUET: "Parquet: name it as a file of its own, not compressed, with input_format='parquet'",
    ARROW_FILE: "an Arrow file: name it as a file of its own with input_format='arrow'",
    ARROW_STREAM: "an Arrow stream: use input_format='arrow'",
    b"PK\x03\x04": "a zip archive (.zip, .xlsx, .npz, ...): unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!\x1a\x07": "a rar archive: unpack it",
    b"%PDF-": "PDF: extract its text",
    b"SQLite format 3\x00": "an SQLite database: export its text",
    b"ORC": "ORC: convert it to Parquet",
    b"Obj\x01": "Avro: convert it to Parquet or JSON Lines",
    b"\x89HDF\r\n\x1a\n": "HDF5: convert it to Parquet or JSON Lines",
    b"\x93NUMPY": "a NumPy array: write its texts to a file of lines",
}


class LineReader:
    r"""The lines of a file of text, as bytes and as text.

    The encoding is that of the byte-order mark, else the one given, else UTF-8. A line ends with
    `\n` or `\r\n`; where the first 64 kB hold `\r` and no `\n`, with `\r`.

    Args:
        file: bytes, not compressed.
        name: the file in error messages.
        encoding: what Python calls the encoding.
        remedy: what to do about a file in another encoding.

    Attributes:
        file: the bytes from the start.
        encoding: what they are in.

    Raises:
        InputError: the file holds no text; says what it looks like.
        OptionError: there is no such encoding.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        encoding: str | None = None,
        *,
        remedy: str = "convert the file",
    ) -> None:
        self._remedy = remedy
        given = None if encoding is None else check_encoding(encoding)
        # To look ahead at a terminal would make the user end an empty text twice.
        head, self.file = (b"", file) if file.isatty() else _read_head(file)
        self.encoding = _marked(head) or given or "utf-8"
        _check_text(head, self.encoding, name, given, remedy)
        self._end, carriage = "\n".encode(self.encoding), "\r".encode(self.encoding)
        if self._end not in head and carriage in head:
            self._end = carriage

    def __iter__(self) -> Iterator[bytes]:
        """Yield each line with its line end, if it has one."""
        return iter(self.file) if self._end == b"\n" else _split(self.file, self._end)

    def text(self, raw: bytes, where: str, errors: str) -> str:
        """The text of a line, without its line end and without a byte-order mark at its start.

        Raises InputError, which names `where`, if the bytes are no text in this encoding.
        """
        ended = raw.endswith(self._end)
        try:
            text = raw.decode(self.encoding, errors)
        except UnicodeDecodeError as error:
            shown = "UTF-8" if self.encoding == "utf-8" else self.encoding
            raise InputError(
                f"{where}: invalid {shown} at byte {error.start + 1}; {self._remedy}, or use "
                "errors='replace'"
            ) from error
        if ended:
            text = text[:-2] if text.endswith("\r\n") else text[:-1]
        return text.removeprefix("\ufeff")

    def utf8(self, raw: bytes, text: str) -> bytes:
        r"""The line in UTF-8 with its line end, `\n` for `\r` alone: else the bytes of the file."""
        if self.encoding == "utf-8" and self._end == b"\n":
            return raw.removeprefix(_UTF8_BOM)
        end = b"\r\n" if raw.endswith("\r\n".encode(self.encoding)) else b"\n"
        return text.encode() + (end if raw.endswith(self._end) else b"")


def check_encoding(name: str) -> str:
    """The name of an encoding, as Python knows it; raises OptionError if there is none."""
    try:
        found = codecs.lookup(name).name
        "\n".encode(found)
    except (LookupError, UnicodeError, TypeError):
        raise OptionError(f"encoding is {name!r}, which Python does not know") from None
    return _WHOLE.get(found, found)


def _read_head(file: BinaryIO) -> tuple[bytes, BinaryIO]:
    """The first bytes of a file, at most 64 kB or up to a line end; and all of the file."""
    head = b""
    while len(head) < _HEAD_SIZE and b"\n" not in head:
        more = file.read1(_HEAD_SIZE - len(head))  # type: ignore[attr-defined]
        if not more:
            break
        head += more
    return head, io.BufferedReader(_Rejoined(head, file), 1 << 17)


class _Rejoined(io.RawIOBase):
    """A file whose first bytes have been read already."""

    def __init__(self, head: bytes, file: Any) -> None:
        self._head = head
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._file.read1(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _marked(head: bytes) -> str | None:
    """The encoding that a byte-order mark stands for."""
    found = (name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark))
    return next(found, None)


def _check_text(head: bytes, encoding: str, name: str, given: str | None, remedy: str) -> None:
    """Raise InputError, which says what a file is, if it begins as no text does."""
    kind = no_text(head)
    if kind is not None:
        raise InputError(f"{name}: looks like {kind}")
    is_told = given is not None or head.startswith(_UTF8_BOM)
    if encoding == "utf-8" and not is_told and (guess := _unmarked(head)) is not None:
        raise InputError(f"{name}: looks like {guess} without a byte-order mark: {remedy}")


def _unmarked(head: bytes) -> str | None:
    """UTF-16 or UTF-32 that begins without a mark, by where the zeros of Latin letters are."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    most = max(even, odd)
    # A text of NUL characters has them everywhere, which no letters have.
    if most <= len(head) // 3 or len(head) < 6 or min(even, odd) > 0.6 * most:
        return None
    bits = 32 if even + odd > 0.7 * len(head) else 16
    return f"UTF-{bits}-{'LE' if odd > even else 'BE'}"


def no_text(head: bytes) -> str | None:
    """What a file is that begins with these bytes, and what to do; None if it may be text."""
    # Bytes that no text has after it, since a text may begin with the letters of a magic number.
    binary = not head.isascii() or any(byte in head for byte in (b"\x00", b"\x03", b"\x04"))
    found = (what for magic, what in _NO_TEXT.items() if head.startswith(magic))
    return next(found, None) if binary or head.startswith(b"%PDF-") else None


def _split(file: BinaryIO, end: bytes) -> Iterator[bytes]:
    """The lines of a file in which `end`, a character of len(end) bytes, ends a line."""
    width, pending, searched = len(end), bytearray(), 0
    while data := file.read(_HEAD_SIZE):
        pending += data
        start = 0
        while (at := pending.find(end, searched)) >= 0:
            if at % width:  # the last byte of a character and the first of the next
                searched = at + 1
                continue
            searched = at + width
            yield bytes(pending[start:searched])
            start = searched
        del pending[:start]
        searched = max(0, len(pending) - width + 1)
    if pending:
        yield bytes(pending)
