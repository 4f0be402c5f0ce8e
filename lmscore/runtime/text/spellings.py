"""Texts as the tokens of a tokenizer.json, without the model that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from lmscore.errors import InputError, ModelError
from lmscore.files import is_directory, open_input_raw
from lmscore.runtime.text.tokenizer_file import panics_as_errors, read_tokenizer

_TEXTS = 1 << 12  # tokenized at a time, in parallel


class SpellingTokenizer:
    """A tokenizer that gives each token as a word without white space: its spelling, or its id."""

    def __init__(self, path: str | Path, *, ids: bool = False) -> None:
        """Read a tokenizer.json, or the one of a model directory.

        Raises:
            InputFileError: the file cannot be read.
            ModelError: it is no tokenizer, or a spelling has white space in it.
        """
        file = Path(path) / "tokenizer.json" if is_directory(path) else Path(path)
        with open_input_raw(file) as opened:
            data = opened.read()
        self._tokenizer = read_tokenizer(data, str(file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True
        self._ids = ids
        divided = (token for token in self._tokenizer.get_vocab() if token.split() != [token])
        if not ids and (token := next(divided, None)) is not None:
            raise ModelError(f"{file}: the token {token!r} has white space in it; use `ids`")

    def tokens(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, in bounded memory.

        Raises:
            InputError: a text cannot be tokenized.
        """
        remaining = iter(texts)
        while batch := list(islice(remaining, _TEXTS)):
            try:
                with panics_as_errors():
                    found = self._tokenizer.encode_batch(batch, add_special_tokens=False)
            except Exception as error:  # tokenizers raises bare Exception and TypeError
                raise InputError(f"a text cannot be tokenized: {error}") from error
            for encoding in found:
                yield [str(number) for number in encoding.ids] if self._ids else encoding.tokens
