"""Reading a tokenizer.json, which may come from anybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tokenizers import Tokenizer

from lmscore.bundle import parse_object
from lmscore.errors import ModelError
from lmscore.forks import undivided
from lmscore.runtime.text.tokenizer_check import check_tokenizer


def read_tokenizer(data: bytes, source: str, *, trust: bool = False) -> Tokenizer:
    """Make a tokenizer of the content of a tokenizer.json; `source` names the file in errors.

    Args:
        trust: load it whatever its steps may do; otherwise see `check_tokenizer`.

    Raises:
        ModelError: it is damaged, or holds steps that are loaded only with `trust`.
    """
    if not trust:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(f"{source}: not UTF-8") from error
        check_tokenizer(parse_object(text, source), source)
    try:
        with undivided(), panics_as_errors():
            return Tokenizer.from_buffer(data)
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelError(f"{source}: not a tokenizer that tokenizers can read: {error}") from error


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Turn Rust's panics, which are no Exceptions, into errors: too slow a pattern panics, say."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise RuntimeError(str(error)) from error
        raise
