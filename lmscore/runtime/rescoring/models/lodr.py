"""A small n-gram model of the recogniser's own training text, whose score the LM's is relieved of.

The recogniser has learnt that text with its words, as an internal language model. What the text
makes likely would count twice, so a share of its log-probability is taken off (low-order density
ratio; Zheng et al., "An empirical study of language model integration for transducer based speech
recognition", 2022).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmscore.errors import ModelError, ModelNotFoundError, OptionError
from lmscore.files import is_file, is_there
from lmscore.runtime.load_ngram import load_ngram
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.ngram import CONTROL
from lmscore.runtime.rescoring.models.list_scorer import RecurrentScorer
from lmscore.runtime.rescoring.models.list_scoring import ListScores
from lmscore.runtime.text import TextTokenizer

LODR = "lodr"
"""The name of the feature."""

LODR_SHARE = 0.5
"""How much the n-gram's log-probability counts against the LM's, unless weights say it."""


@dataclass(frozen=True)
class Lodr:
    """The n-gram model, and what it reads.

    Attributes:
        ngram: the model; its tokens are words, or the token ids of another model in decimal.
        tokenizer: of the other model; None if the n-gram reads words.
    """

    ngram: LanguageModel
    tokenizer: TextTokenizer | None = None

    def __str__(self) -> str:
        """What it is, for people."""
        return f"({self.ngram.variant} of {'words' if self.tokenizer is None else 'token ids'})"

    def texts(self, texts: Sequence[str]) -> list[str]:
        """What the n-gram reads of each text; raises InputError if a text has no ids."""
        if self.tokenizer is None:
            return list(texts)
        return [" ".join(map(str, ids.tolist())) for ids in self.tokenizer.encode_batch(texts)]

    def token(self, token_id: int) -> int:
        """The n-gram's token for one of the other model's."""
        return int(self.ngram.encode(str(token_id))[0])


@dataclass(frozen=True)
class LodrScorer:
    """The log-probabilities of hypotheses by the n-gram model, in nats."""

    lodr: Lodr
    eos: bool = True  # whether </s> is scored
    name: str = LODR

    def score_lists(self, lists: Iterable[Sequence[str]]) -> Iterator[ListScores]:
        """Score n-best lists as they come, in their order, in bounded memory.

        Raises:
            InputError: a hypothesis is not a string that the model can read; says which.
        """
        spelt = map(self.lodr.texts, lists)
        return RecurrentScorer(self.name, self.lodr.ngram, self.eos).score_lists(spelt)


def open_lodr(
    path: str | Path, lm: LanguageModel | None, *, unk_penalty: float | None = None
) -> Lodr:
    """Open an n-gram model over words, or over token ids, which are recognised.

    Args:
        path: an ARPA file, compressed or not.
        lm: the language model whose token ids the n-gram may be over.
        unk_penalty: what an unknown word costs (nats) if the n-gram has no <unk>.

    Raises:
        ModelNotFoundError: there is no such file.
        InputFileError: it cannot be read.
        ModelError: it is no ARPA file, or over token ids that `lm` does not have.
        OptionError: it has no <unk>, and there is no `unk_penalty`; or it is over token ids and
            there is no `lm`.
    """
    if not is_there(path):
        raise ModelNotFoundError(f"{path}: no such file; `lodr` is an n-gram model in an ARPA file")
    if not is_file(path):
        raise ModelError(f"{path}: `lodr` is an n-gram model in an ARPA file, not a directory")
    ngram = load_ngram(Path(path), unk_penalty=unk_penalty)
    if ngram.unk_penalty is not None and unk_penalty is None:
        raise OptionError(
            f"{path}: has no <unk>, so an unknown word would cost 230 nats, which `lodr` turns "
            "into a gain; give `unk_penalty` (10, say), or make the model with <unk>"
        )
    highest = _highest_id(ngram)
    if highest is None:
        return Lodr(ngram)
    if lm is None:
        raise OptionError(f"{path}: is over token ids, and no recurrent model has such ids")
    if highest >= lm.vocab_size:
        raise ModelError(
            f"{path}: has the token id {highest}, and {lm.path} has {lm.vocab_size} tokens; make "
            "the n-gram with the tokenizer of the model"
        )
    return Lodr(ngram, lm.tokenizer)


def _highest_id(ngram: LanguageModel) -> int | None:
    """The largest token id of a model over ids; None if its tokens are words."""
    words = ngram.tokenizer.tokens(range(len(CONTROL), ngram.vocab_size))
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        return None
    return max(map(int, words))
