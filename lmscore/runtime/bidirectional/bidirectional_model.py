"""BidirectionalModel: a forward and a backward model as one that sees both sides of a word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import tee
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError, OptionError
from lmscore.names import FeatureUnit, Pool
from lmscore.runtime.arguments import check_count
from lmscore.runtime.bidirectional.conditionals import Conditionals, conditionals, log_sums
from lmscore.runtime.engine import Tensor
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import (
    Choice,
    Convention,
    Score,
    ScoredText,
    Summary,
    TextMeasures,
    boundary_tokens,
    candidate_texts,
    measured_texts,
    sum_scores,
    windows,
)
from lmscore.runtime.text import Ids, check_text, count_characters


class FeatureKeywords(TypedDict, total=False):
    """The options of `features_stream`."""

    unit: FeatureUnit
    pool: Pool
    layers: Sequence[int]
    window: int | None


_CANDIDATES = 1000  # of a gap, where the tokens of a model are pieces of words


def bidirectional(
    forward: LanguageModel, backward: LanguageModel, *, unigram: Iterable[str] | None = None
) -> BidirectionalModel:
    """Join a forward and a backward model: P(word | all words before and after it).

    The probability is proportional to the product of both models' probabilities.

    Args:
        forward, backward: with the same tokenizer, for all but `choose`.
        unigram: texts from which P(token) is estimated, with 1 added to each count; the product is
            divided by it, as Bayes' rule asks for if both sides are independent given the word.

    Raises:
        OptionError: a model reads the other way.
        InputError: a text of `unigram` is not a string that the model can read.
    """
    if not isinstance(forward, LanguageModel) or not isinstance(backward, LanguageModel):
        raise OptionError("bidirectional joins two models that lmscore.load gives")
    for model, direction in ((forward, "forward"), (backward, "backward")):
        if model.config.direction != direction:
            raise OptionError(
                f"{model.path}: reads {model.config.direction}, and is given as the {direction} "
                "model; train the other one with direction='backward' on the same text"
            )
    return BidirectionalModel(forward, backward, _log_unigram(forward, unigram))


def _log_unigram(model: LanguageModel, texts: Iterable[str] | None) -> Tensor | None:
    """Log P(token), float32 [V] nats, from counts to which 1 is added."""
    if texts is None:
        return None
    if isinstance(texts, str):
        raise InputError("unigram takes several texts, got one string; give a list")
    counts = np.ones(model.vocab_size)
    for window in windows(texts):
        rows = model.tokenizer.encode_rows(window.texts, first=window.first)
        counts += np.bincount(rows.ids, minlength=len(counts))
    return np.asarray(np.log(counts / counts.sum()), np.float32)


class BidirectionalModel:
    """Two models, one of each direction; `bidirectional` makes it. Threads may share it.

    Its scores are pseudo-log-likelihoods: the sum over tokens of log P(token | all other tokens).
    They are no log-probabilities of texts, and </s> is not among the tokens.
    """

    def __init__(
        self, forward: LanguageModel, backward: LanguageModel, unigram: Tensor | None
    ) -> None:
        """Use `lmscore.bidirectional`; unigram float32 [V] has log P(token), nats."""
        self.forward, self.backward = forward, backward
        self._unigram = unigram

    def score(self, text: str, *, tokens: bool = True, words: bool = False) -> Score:
        """The pseudo-log-likelihood of one text; as `score_stream`."""
        check_text(text, 1)
        (score,) = self.score_stream([text], tokens=tokens, words=words)
        return score

    def score_stream(
        self,
        texts: Iterable[str],
        *,
        tokens: bool = True,
        words: bool = False,
        window: int | None = None,
    ) -> Iterator[Score]:
        """Score texts as they come, each a sentence of its own, in bounded memory.

        Args:
            texts: one sentence each, of any length.
            tokens: fill `Score.tokens`.
            words: fill `Score.words`: the sums over the tokens of each word. In a word model exp of
                it is P(word | all other words), the confidence in a word; pieces of a word tell
                each other, so that a word of many pieces seems likelier than it is.
            window: texts read before the first of them is scored.

        Raises:
            InputError: an item is not a string that the model can read; says which.
            OptionError: the models have different tokenizers.
            ModelError: a model yields nan or inf.
        """
        for found, _ in self._scored(texts, tokens=tokens, words=words, window=window):
            yield from found

    def measure_stream(
        self,
        texts: Iterable[str],
        *,
        alternatives: int = 0,
        words: bool = False,
        window: int | None = None,
    ) -> Iterator[TextMeasures]:
        """Measure texts as `LanguageModel.measure_stream` does, given both sides of each token.

        A rank of 1 is a word that the model would have filled in.
        """
        scored = self._scored(texts, tokens=True, words=words, window=window, k=alternatives)
        for found, measured in scored:
            yield from measured_texts(
                found,
                measured,
                self.forward.tokenizer,
                backward=False,
                eos=False,
                characters=self.forward.tokenizer.spaceless,
            )

    def summarize(self, texts: Iterable[str]) -> Summary:
        """The totals over several texts; the perplexity is the pseudo-perplexity."""
        summary = Summary(eos=False)
        summary.extend(self.score_stream(texts, tokens=False))
        return summary

    def choose(self, left: str, candidates: Sequence[str], right: str = "") -> list[Choice]:
        """Which of several candidates fits between two texts: all of them, best first.

        As `LanguageModel.choose`, but `Choice.log_prob` (nats) is the sum of what both models say
        of the words that the candidate is part of: log P(words | words before), from the forward
        model, and log P(words | words after), from the backward one; word boundaries included.

        Raises:
            InputError: there is no candidate, or a text is not a string that the model can read.
            ModelError: a model yields nan or inf.
        """
        texts = candidate_texts(left, candidates, right)
        totals = np.zeros(len(texts))
        for model in (self.forward, self.backward):
            for number, score in enumerate(model.score_batch(texts, words=True, tokens=False)):
                end = len(texts[number]) - len(right)
                totals[number] += sum(
                    word.log_prob
                    for word in score.words
                    if word.start < max(end, len(left) + 1) and word.end > len(left)
                )
        if self._unigram is not None:
            rows = self.forward.tokenizer.encode_rows(list(candidates), name="candidate").split()
            totals -= [float(self._unigram[ids].sum()) for ids in rows]
        chances = np.exp(totals - log_sums(totals)).tolist()
        order = np.argsort(-totals, kind="stable").tolist()
        return [Choice(candidates[i], i, float(totals[i]), chances[i]) for i in order]

    def fill(self, left: str, right: str = "", k: int = 10) -> list[tuple[str, float]]:
        """The k likeliest words between two texts, and their probabilities, best first.

        In a word model they are normalised over the whole vocabulary, <unk> included. Where tokens
        are pieces of words, they are normalised over the 1000 words that the forward model finds
        likeliest.

        Raises:
            InputError: a text is not a string that the model can read.
            OptionError: k is below 1, or the models have different tokenizers.
            ModelError: a model yields nan or inf.
        """
        check_count("k", k)
        left, right = left.rstrip(), right.lstrip()
        tokenizer, config = self.forward.tokenizer, self.forward.config
        if boundary_tokens(tokenizer, config.bos_token_id) is not None:
            found = self.forward.next_words(left, _CANDIDATES, unit="word")
            space = " " if left else ""
            candidates = [space + word for word, _ in found if word != "</s>"]
            chosen = self.choose(left, candidates, f" {right}" if right else "")
            return [(choice.text.strip(), choice.probability) for choice in chosen[:k]]
        before, after = tokenizer.encode(left), tokenizer.encode(right)
        gap = np.array([0])  # any token: what both models say there does not depend on it
        (measured,) = self._conditionals([np.concatenate((before, gap, after))], k + 1)
        best, log_probs = (
            array[len(before)] for array in (measured.top_tokens, measured.top_log_probs)
        )
        # <s> and </s> are no words: they have no probability.
        known = (best != config.unk_token_id) & np.isfinite(log_probs)
        names = tokenizer.tokens(best[known].tolist())
        return list(zip(names, np.exp(log_probs[known]).tolist(), strict=True))[:k]

    def features_stream(
        self, texts: Iterable[str], **options: Unpack[FeatureKeywords]
    ) -> Iterator[NDArray[np.float32]]:
        """The features of both models beside each other; as `LanguageModel.features_stream`.

        Tokens of models with different tokenizers do not fit; words and sentences do.
        """
        first, second = tee(texts)
        models = zip(
            self.forward.features_stream(first, **options),
            self.backward.features_stream(second, **options),
            strict=True,
        )
        for parts in models:
            yield np.concatenate(parts, axis=-1)

    def _scored(
        self,
        texts: Iterable[str],
        *,
        tokens: bool,
        words: bool,
        window: int | None,
        k: int = 0,
    ) -> Iterator[tuple[list[Score], Conditionals]]:
        """The scores of each window of texts, and the measures of all of their tokens."""
        if isinstance(texts, str) or not isinstance(texts, Iterable):
            raise InputError(f"expected several texts, got {type(texts).__name__}")
        if window is not None:
            check_count("window", window)
        tokenizer = self.forward.tokenizer
        unk = self.forward.config.unk_token_id
        characters = tokenizer.spaceless
        convention = Convention(
            tokenizer, -1 if unk is None else unk, eos=False, characters=characters
        )
        for part in windows(texts, size=window):
            rows = tokenizer.encode_rows(part.texts, first=part.first).split()
            measured = self._conditionals(rows, k)
            whole = Conditionals.joined(measured)
            owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
            parts = [
                ScoredText(
                    convention, ids.astype(np.int32).tobytes(), m.log_probs.tobytes(), None, None
                )
                for ids, m in zip(rows, measured, strict=True)
            ]
            oov = np.concatenate(rows) == convention.unk_id
            log_probs = whole.log_probs
            found = sum_scores(
                part.texts,
                owners,
                log_probs,
                oov,
                parts=parts if tokens or words else (),
                tokens=tokens,
                words=words,
                num_ends=[0] * len(rows),
                num_words=list(map(count_characters, part.texts)) if characters else None,
            )
            yield found, whole

    def _conditionals(self, rows: Sequence[Ids], k: int) -> list[Conditionals]:
        """The measures of each row of ids, in their order."""
        hashes = {model.config.tokenizer_sha256 for model in (self.forward, self.backward)}
        if len(hashes) > 1:
            raise OptionError(
                f"{self.backward.path}: has another tokenizer than {self.forward.path}, so their "
                "tokens cannot be compared; train it with the same tokenizer: "
                f"tokenizer={str(self.forward.path / 'tokenizer.json')!r}"
            )
        engines = (self.forward.engine, self.backward.engine)
        found = conditionals(*engines, rows, unigram=self._unigram, alternatives=k)
        by_number = dict(found)
        return [by_number[number] for number in range(len(rows))]

    def __repr__(self) -> str:
        return f"BidirectionalModel({self.forward!r}, {self.backward!r})"
