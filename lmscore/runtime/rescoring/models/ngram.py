"""N-gram models in ARPA files or KenLM's binary files, read by the package kenlm."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmscore.bundle import Direction
from lmscore.errors import InputError, ModelError, needs_extra
from lmscore.files import open_input
from lmscore.runtime.load_ngram import KENLM_BINARY
from lmscore.runtime.rescoring.models.list_scorer import score_distinct, score_of_words
from lmscore.runtime.rescoring.models.list_scoring import ListScores
from lmscore.runtime.scoring import END, LN10, Score, WordScore
from lmscore.runtime.text import check_text

if TYPE_CHECKING:
    import kenlm

_WORD = re.compile(r"\S+")
_UNKNOWN = "<unk>"
_CONTROL = ("<s>", END)
_ARPA = b"\\data\\"
_MISSING = -100.0  # what KenLM puts for log10 P(<unk>) where a model has none
_HEADER = 1 << 16  # bytes: an ARPA file may begin with blank lines


@dataclass(frozen=True)
class NgramScorer:
    """A back-off n-gram model; its tokens are words.

    Attributes:
        unk_penalty: what an unknown word costs (nats) where the model has no <unk>, else None.
    """

    name: str
    model: kenlm.Model
    eos: bool = True  # whether </s> is scored
    unk_penalty: float | None = None

    @classmethod
    def load(
        cls, name: str, path: str | Path, *, eos: bool = True, unk_penalty: float | None = None
    ) -> NgramScorer:
        """Load an ARPA file, which may be compressed, or a binary file of KenLM.

        Args:
            name: of the feature.
            path: the file.
            eos: whether </s> is scored.
            unk_penalty: what an unknown word costs (nats) where the model has no <unk>, else
                unused. Default: 230.26, for a probability of 10^-100.

        Raises:
            MissingExtraError: kenlm is not installed.
            ModelError: kenlm cannot read the file.
        """
        with needs_extra("kenlm"):
            import kenlm
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        try:
            model = kenlm.Model(str(path), config)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"{path}: {' '.join(str(error).split())}") from error
        if _has_unknown(model):
            return cls(name, model, eos)
        return cls(name, model, eos, -_MISSING * LN10 if unk_penalty is None else unk_penalty)

    @property
    def direction(self) -> Direction:
        """The end of a sentence that the model reads first: always its beginning."""
        return "forward"

    def score_lists(self, lists: Iterable[Sequence[str]]) -> Iterator[ListScores]:
        """Score n-best lists as they come, in their order, in bounded memory.

        Raises:
            InputError: a hypothesis is not a string, or no valid Unicode; says which.
        """
        return score_distinct(lists, self.score_stream)

    def score_stream(self, texts: Iterable[str]) -> Iterator[Score]:
        """Score texts as they come, each a sentence of its own, with `Score.words`.

        Log-probabilities are in nats. A word that the model does not have is an OOV, and scores
        what the model gives `<unk>`, or else costs `unk_penalty`.

        Raises:
            InputError: a text is not a string, or no valid Unicode; says which.
        """
        for number, text in enumerate(texts, 1):
            check_text(text, number)
            try:
                yield score_of_words(text, list(self._words(text)))
            except UnicodeEncodeError as error:
                raise InputError(f"text {number}: lone surrogate, not valid Unicode") from error

    def _words(self, text: str) -> Iterator[WordScore]:
        import kenlm

        before, after = kenlm.State(), kenlm.State()
        self.model.BeginSentenceWrite(before)
        for word, spelling, start, end in self._spelt(text):
            found = self.model.BaseFullScore(before, spelling, after)
            log_prob = found.log_prob * LN10
            if found.oov and self.unk_penalty is not None:
                log_prob -= _MISSING * LN10 + self.unk_penalty
            yield WordScore(word, log_prob, found.oov, start, end, 1)
            before, after = after, before

    def _spelt(self, text: str) -> Iterator[tuple[str, str, int, int]]:
        """Each word, how KenLM is asked for it, and its offsets.

        KenLM's own way to divide a text knows the white space of ASCII only.
        """
        for match in _WORD.finditer(text):
            word = match.group()
            # Text is text, and no control token; and KenLM reads no further than a NUL.
            known = word not in _CONTROL and "\0" not in word
            yield word, word if known else _UNKNOWN, *match.span()
        if self.eos:
            yield END, END, len(text), len(text)


def _has_unknown(model: kenlm.Model) -> bool:
    """Whether a model has a probability for <unk> of its own."""
    import kenlm

    nothing, after = kenlm.State(), kenlm.State()
    model.NullContextWrite(nothing)
    return bool(model.BaseFullScore(nothing, _UNKNOWN, after).log_prob != _MISSING)


def is_ngram_file(path: str | Path) -> bool:
    """Whether a file looks like an ARPA file or a binary file of KenLM; raises InputFileError."""
    with open_input(path) as file:
        header = file.read(_HEADER)
    return header.startswith(KENLM_BINARY) or _ARPA in header.removeprefix(BOM_UTF8).split()


def is_kenlm_binary(path: str | Path) -> bool:
    """Whether a file is a binary file of KenLM; raises InputFileError."""
    with open_input(path) as file:
        return file.read(len(KENLM_BINARY)) == KENLM_BINARY
