"""What `lmscore score` is asked to compute for each record."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lmscore.bundle import Context
from lmscore.cli.prefixes import Prefixes
from lmscore.cli.scored_records import describe, measure_records, score_both_ways, score_records
from lmscore.names import Per, Segmentation, Split

if TYPE_CHECKING:
    from lmscore.corpus.reading import Record
    from lmscore.runtime.bidirectional import BidirectionalModel
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.scoring import Score, TextMeasures


@dataclass(frozen=True, kw_only=True)
class AskedScores:
    """The options of `score` that decide how records are scored."""

    per: Per
    bos: bool
    eos: bool
    context: Context | None
    prefixes: Prefixes
    split: Split
    language: str
    segmentation: Segmentation
    document_of: Callable[[Record], Hashable]
    alternatives: int
    line_buffered: bool
    is_report: bool  # of another tool, whose words need tokens
    is_page: bool  # a page of HTML, which shows words

    def scorer(
        self,
        lm: LanguageModel,
        both: BidirectionalModel | None,
        oov_cost: float | LanguageModel | None,
        flush: Callable[[], None],
    ) -> Scorer:
        """What scores records by a model, or by one of each direction; `flush` is the output's.

        Raises OptionError for an option that the context of the model leaves without effect.
        """
        self.prefixes.check_context(self.context or lm.config.context)
        return Scorer(self, lm, both, oov_cost, flush)


@dataclass(frozen=True)
class Scorer:
    """A model, or a pair of them, and what is asked of it."""

    asked: AskedScores
    lm: LanguageModel
    both: BidirectionalModel | None
    oov_cost: float | LanguageModel | None
    flush: Callable[[], None]

    @property
    def name(self) -> str:
        """The model, and how it scores, for a summary."""
        return describe(
            self.lm, self.asked.context, self.both, self.oov_cost, self.asked.segmentation
        )

    def measured(self, records: Iterable[Record]) -> Iterator[tuple[Record, TextMeasures]]:
        """Score records, and measure their distributions."""
        asked = self.asked
        measure = (
            partial(self.lm.measure_stream, segmentation=asked.segmentation)
            if self.both is None
            else self.both.measure_stream
        )
        return measure_records(
            partial(
                measure,
                alternatives=asked.alternatives,
                words=asked.per == "word" or asked.is_page,
            ),
            records,
            line_buffered=asked.line_buffered,
            flush=self.flush,
        )

    def scores(self, records: Iterable[Record]) -> Iterator[tuple[Record, Score]]:
        """Score records, in their order."""
        from lmscore.runtime.scoring import needs_words

        asked = self.asked
        by_word = asked.per == "word"
        if self.both is not None:
            return score_both_ways(
                self.both,
                records,
                tokens=asked.per == "token",
                words=by_word,
                line_buffered=asked.line_buffered,
                flush=self.flush,
            )
        return score_records(
            self.lm,
            records,
            bos=asked.bos,
            eos=asked.eos,
            context=asked.context,
            tokens=asked.per == "token" or (asked.is_report and by_word),
            words=by_word or asked.is_page or (asked.is_report and needs_words(self.lm.config)),
            prefix=asked.prefixes.prefix,
            own_prefixes=asked.prefixes.are_own,
            joiner=asked.prefixes.joiner,
            split=asked.split,
            language=asked.language,
            oov_cost=self.oov_cost,
            segmentation=asked.segmentation,
            document_of=asked.document_of,
            line_buffered=asked.line_buffered,
            flush=self.flush,
        )
