"""Text to token ids by the model's tokenizer.json, without special treatment of any text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmscore.bundle import CONFIG_FILE, Bundle, Config
from lmscore.errors import InputError, ModelError
from lmscore.forks import lazy
from lmscore.runtime.text.byte_spans import ByteSpans, Spans
from lmscore.runtime.text.characters import extends_character, is_spaceless
from lmscore.runtime.text.cuts import Cuts, find_cuts
from lmscore.runtime.text.encoding import (
    Found,
    check_texts,
    encodings,
    has_long,
    id_rows,
    rows_in_parts,
    spans_in_parts,
    spans_of,
)
from lmscore.runtime.text.id_rows import IdRows, Ids
from lmscore.runtime.text.offsets import cover_composed
from lmscore.runtime.text.pieces import PieceIndex, token_pieces, without_space_before
from lmscore.runtime.text.tokenizer_file import panics_as_errors, read_tokenizer
from lmscore.runtime.text.word_ends import find_word_ends
from lmscore.runtime.text.word_ids import WordIds

_SAMPLE = 512  # tokens that show the script of a vocabulary
_MUCH = 1 << 15  # characters at once, from which on it pays to prepare the looking up of words


class Encoded(NamedTuple):
    """The tokens of a text, and where they lie in it."""

    ids: Ids  # [n]
    spans: Ids  # [n, 2], character offsets into the text

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """The spans as pairs of numbers."""
        return [(start, end) for start, end in self.spans.tolist()]


class _Spellings(dict[int, str]):
    """The spellings of the tokens that were asked for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, token_id: int) -> str:
        token = self._tokenizer.id_to_token(token_id)
        if token is None:
            raise InputError(f"token id {token_id} is not in the vocabulary")
        self[token_id] = token
        return token


class TextTokenizer:
    """A Hugging Face tokenizer that never truncates, pads, samples or adds special tokens.

    A typed `<s>` or `</s>` is text like any other. Where the vocabulary holds it as a word (as in a
    word model), it becomes `<unk>`: only the scorer adds control ids.
    """

    def __init__(self, tokenizer: Tokenizer, config: Config, *, source: str) -> None:
        """Wrap a loaded tokenizer; `source` names its file in errors.

        Raises:
            ModelError: it does not fit the config's vocabulary size and special ids.
        """
        _check_vocabulary(tokenizer, config, source)
        self._tokenizer = _only_text(tokenizer)
        self._source = source
        self._looks_up = False  # whether ids of words are looked up
        self._spellings = _Spellings(tokenizer)
        self._unk_id = config.unk_token_id
        self._bos_id, self._eos_id = config.bos_token_id, config.eos_token_id
        for token_id in (self._bos_id, self._eos_id, self._unk_id):
            if token_id is not None:  # SentencePiece's have a space in front, which no text has
                self._spellings[token_id] = self._spellings[token_id].removeprefix(" ")

    @classmethod
    def load(cls, bundle: Bundle, *, trust: bool = False) -> TextTokenizer:
        """Load a model directory's tokenizer.json.

        Args:
            trust: load it whatever its steps may do to a text.

        Raises:
            ModelNotFoundError: it is missing.
            ModelError: it is damaged, or not the one the model was trained with, or has steps that
                are loaded only with `trust`.
        """
        path, data = bundle.read_tokenizer()
        tokenizer = read_tokenizer(data, str(path), trust=trust)
        return cls(tokenizer, bundle.config, source=str(path))

    def encode(self, text: str) -> Ids:
        """The token ids of one text, int64 [n]; empty for a text without tokens.

        Raises:
            InputError: not a string, or a string that has no ids.
        """
        return self.encode_batch([text])[0]

    def encode_batch(
        self, texts: Sequence[str], *, first: int = 1, name: str = "text"
    ) -> list[Ids]:
        """The token ids of several texts, each int64 [n].

        Args:
            texts: tokenized in parallel, unless TOKENIZERS_PARALLELISM is off.
            first: the number of the first text in errors.
            name: the word for a text in errors.

        Raises:
            InputError: a text is not a string, or has no ids; names its number.
        """
        return self.encode_rows(texts, first=first, name=name).split()

    def encode_rows(self, texts: Sequence[str], *, first: int = 1, name: str = "text") -> IdRows:
        """Like `encode_batch`, in one flat array."""
        check_texts(texts, first, name)
        rows = None
        self._looks_up = self._looks_up or sum(map(len, texts)) > _MUCH
        if self._looks_up and self._word_ids is not None:
            with suppress(InputError):  # which is raised below, with the number of the text
                rows = self._word_ids.rows(texts)
        if rows is None:
            rows = self._tokenized(texts, first, name)
        self._replace_control_ids(rows, first, name)
        return rows

    def _tokenized(self, texts: Sequence[str], first: int = 1, name: str = "text") -> IdRows:
        fast = self._tokenizer.encode_batch_fast  # counts no offsets
        cuts = self._cuts if has_long(texts) else None
        rows = rows_in_parts(fast, texts, cuts) if cuts else None
        return id_rows(encodings(fast, texts, first, name)) if rows is None else rows

    def encode_spans(self, texts: Sequence[str], *, first: int = 1) -> list[Encoded]:
        """Like `encode_batch`, with the offsets of `spans`."""
        check_texts(texts, first, "text")
        found = self._found(texts, first)
        rows = IdRows.of([ids for ids, _ in found])
        self._replace_control_ids(rows, first, "text")
        return [
            Encoded(ids, cover_composed(text, offsets))
            for text, ids, (_, offsets) in zip(texts, rows.split(), found, strict=True)
        ]

    def _found(self, texts: Sequence[str], first: int) -> list[Found]:
        """The ids and offsets of strings, as the tokenizer gives them."""
        encode = self._tokenizer.encode_batch
        cuts = self._cuts if has_long(texts) else None
        if cuts is None:
            return [spans_of(encoding) for encoding in encodings(encode, texts, first, "text")]
        return [spans_in_parts(encode, text, cuts, n) for n, text in enumerate(texts, first)]

    def spans(self, text: str, ids: Sequence[int] = ()) -> Spans:
        """Where the tokens of a text begin and end, in characters.

        Offsets refer to the text before normalization; those of a character that it composes cover
        all of its parts. Tokens that share a character, as the bytes of an emoji do, share its
        offsets.

        Args:
            text: a text.
            ids: its tokens, if they are known. Unless they spell it, it is tokenized again.

        Raises:
            InputError: as `encode`.
        """
        if self._byte_spans is not None and ids:
            known = self._byte_spans.find(text, ids)
            if known is not None:
                return known
        check_texts([text], 1, "text")
        ((_, offsets),) = self._found([text], 1)
        starts, ends = cover_composed(text, offsets).T.tolist()
        return Spans(starts, ends)

    def decode(self, ids: Ids) -> str:
        """The text that ids int64 [n] spell; <s>, </s> add nothing, invalid UTF-8 becomes U+FFFD.

        Raises:
            InputError: an id is not in the vocabulary.
        """
        outside = ids[(ids < 0) | (ids >= len(self.pieces))]
        if outside.size:
            raise InputError(f"token id {outside[0]} is not in the vocabulary")
        spelt = b"".join(self.pieces[token] for token in ids.tolist())
        return (spelt.removeprefix(b" ") if self.puts_space_first else spelt).decode(
            "utf-8", "replace"
        )

    def token(self, token_id: int) -> str:
        """A token as the vocabulary spells it: `the`, `Ġthe`, `▁the`, `</s>`."""
        return self._spellings[token_id]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Several tokens, each as `token` gives it."""
        return list(map(self._spellings.__getitem__, ids))

    @lazy
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes that each token adds to a text that has begun, V of them; `</s>` adds none.

        Raises:
            ModelError: the decoder of the tokenizer fails.
        """
        with self._decoding():
            return token_pieces(self._tokenizer, (self._bos_id, self._eos_id))

    @lazy
    def index(self) -> PieceIndex:
        """The tokens by the first letters of their pieces."""
        return PieceIndex(self.pieces)

    @lazy
    def index_in_words(self) -> PieceIndex:
        """The tokens by the first letters of their pieces, white space before them left out."""
        return PieceIndex(list(map(without_space_before, self.pieces)))

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            with panics_as_errors():
                yield
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"{self._source}: its decoder fails: {error}") from error

    @lazy
    def _byte_spans(self) -> ByteSpans | None:
        return ByteSpans.of(self._tokenizer)

    @lazy
    def puts_space_first(self) -> bool:
        """Whether the tokenizer itself puts a space in front of a text, or of each word."""
        first = self.encode("a")[:1].tolist()
        return any(self.pieces[token].startswith(b" ") for token in first)

    @lazy
    def begins_word(self) -> NDArray[np.bool_]:
        """Which tokens show that the word before them is over, bool [V]: white space, and </s>."""
        texts = (piece.decode("utf-8", "ignore") for piece in self.pieces)
        begins = np.array([text[:1].isspace() for text in texts])
        begins[self._eos_id] = True
        return begins

    @lazy
    def begins_character(self) -> NDArray[np.bool_]:
        """Which tokens show that the user-perceived character before them is over, bool [V].

        A token that goes on with the bytes of one, or with a mark on it, does not.
        """
        return np.array(list(map(_begins_character, self.pieces)))

    @lazy
    def spaceless(self) -> bool:
        """Whether the vocabulary spells scripts without spaces, so that a character is a word.

        Tokens that are whole words are a segmentation of their own, by white space. Otherwise most
        letters of 512 tokens from everywhere in the vocabulary must be of such scripts.
        """
        return not self.splits_at_spaces and is_spaceless(self._sample)

    @lazy
    def _cuts(self) -> Cuts | None:
        return find_cuts(self._tokenizer)

    @lazy
    def _word_ids(self) -> WordIds | None:
        ends = None if self._cuts is None else find_word_ends(self._tokenizer)
        if ends is None or self._cuts is None:
            return None
        return WordIds(self._tokenized, ends, drops_space=self._cuts.drops_space)

    @property
    def splits_at_spaces(self) -> bool:
        """Whether the tokenizer drops white space: each token is a word of its own."""
        return len(self.encode("a")) == 1 and np.array_equal(self.encode("a"), self.encode(" a "))

    @property
    def _sample(self) -> str:
        size = self._tokenizer.get_vocab_size()
        ids = np.linspace(0, size - 1, min(size, _SAMPLE)).astype(np.int64)
        with self._decoding():
            return "".join(self._tokenizer.decode_batch([[token] for token in ids.tolist()]))

    def _replace_control_ids(self, rows: IdRows, first: int, name: str) -> None:
        """Put <unk> in the place of a typed <s> or </s> that the vocabulary holds as a word."""
        ids = rows.ids
        control = (ids == self._bos_id) | (ids == self._eos_id)
        if not control.any():
            return
        if self._unk_id is None:
            place = int(np.argmax(control))
            number = first + int(np.searchsorted(rows.ends, place, side="right"))
            raise InputError(
                f"{name} {number}: {self.token(int(ids[place]))!r} is reserved, and the vocabulary "
                "has no unknown token to put in its place; remove it from the text"
            )
        ids[control] = self._unk_id


def _begins_character(piece: bytes) -> bool:
    if not piece or 0x80 <= piece[0] < 0xC0:  # </s> adds nothing, and ends it; else in the middle
        return not piece
    first = piece.decode("utf-8", "ignore")[:1]
    return not first or not extends_character(first)


def _only_text(tokenizer: Tokenizer) -> Tokenizer:
    """Switch off everything that makes ids depend on more than the text."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if getattr(tokenizer.model, "dropout", None):  # BPE dropout draws other tokens every time
        tokenizer.model.dropout = None
    return tokenizer


def _check_vocabulary(tokenizer: Tokenizer, config: Config, source: str) -> None:
    size = tokenizer.get_vocab_size()
    if size != config.vocab_size or None in map(tokenizer.id_to_token, range(size)):
        raise ModelError(
            f"{source}: {size} tokens do not fill the ids below vocab_size "
            f"{config.vocab_size} of {CONFIG_FILE}"
        )
    for key in ("bos_token_id", "eos_token_id", "unk_token_id"):
        token_id = getattr(config, key)
        if token_id is not None and tokenizer.id_to_token(token_id) is None:
            raise ModelError(f"{source}: no token has the id {token_id}, {key} of {CONFIG_FILE}")
    unk = getattr(tokenizer.model, "unk_token", None)
    if unk is not None and tokenizer.token_to_id(unk) != config.unk_token_id:
        raise ModelError(
            f"{source}: the unknown token {unk!r} has the id {tokenizer.token_to_id(unk)}, "
            f"unk_token_id of {CONFIG_FILE} is {config.unk_token_id}"
        )
