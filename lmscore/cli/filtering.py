"""What `lmscore filter` does with records: scores them, chooses among them, writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lmscore.bundle import Context
from lmscore.cli import streams
from lmscore.cli.oov_costs import OovCosts
from lmscore.cli.options import ModelOptions
from lmscore.cli.records import TextInput
from lmscore.cli.scored_records import describe, score_records
from lmscore.cli.selecting import Selecting
from lmscore.corpus.reading import BadRecords, Record, read_records
from lmscore.errors import OptionError
from lmscore.files import input_name
from lmscore.names import Segmentation

if TYPE_CHECKING:
    from lmscore.corpus import Selection
    from lmscore.corpus.writing import RecordWriter
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.scoring import Score


class Figured(NamedTuple):
    """A score, and the figure that a record is kept by."""

    score: Score
    figure: float  # a perplexity, or a difference of cross-entropies in nats


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a filter; another process can be given them."""

    model: ModelOptions
    selecting: Selecting
    text: TextInput
    oov_costs: OovCosts = field(default_factory=OovCosts)
    segmentation: Segmentation = "auto"
    context: Context | None = None
    bos: bool = True
    eos: bool = True
    line_buffered: bool = False

    def load(self) -> Models:
        """Load the model, and the general one if there is one."""
        import lmscore

        lm = self.model.load()
        general = None
        if self.selecting.against is not None:
            general = lmscore.load(
                self.selecting.against,
                device=self.model.device,
                threads=self.model.threads,
                trust=self.model.trust,
                unk_penalty=self.model.unk_penalty,
            )
        return Models(self, lm, general, self.oov_costs.load(self.model))

    def writer(self, write: Callable[[bytes], object], *, begun: bool = False) -> RecordWriter:
        """A writer of the records that are kept."""
        from lmscore.corpus.writing import RecordWriter

        return RecordWriter(write, self.text.reading(), self.selecting.added, begun=begun)


@dataclass(frozen=True)
class Models:
    """The models of a filter."""

    settings: Settings
    lm: LanguageModel
    general: LanguageModel | None
    oov_cost: float | LanguageModel | None = None

    @property
    def context(self) -> Context:
        """How texts connect."""
        return self.settings.context or self.lm.config.context

    @property
    def segmentation(self) -> Segmentation:
        """What a word is; the first model says it for both, whose figures are compared."""
        given = self.settings.segmentation
        return self.lm.segmentation if given == "auto" else given

    def __str__(self) -> str:
        """Their names, and how they score."""
        described = describe(
            self.lm,
            self.settings.context,
            oov_cost=self.oov_cost,
            segmentation=self.segmentation,
        )
        if self.general is None:
            return described
        return f"{described} against {describe(self.general, self.context)}"

    def figured(
        self, records: Iterable[Record], *, flush: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Record, Figured]]:
        """Score records, in order, in constant memory; as `score_records`."""
        given = self.settings
        score = partial(
            score_records,
            bos=given.bos,
            eos=given.eos,
            context=self.context,
            split=given.text.splits(),
            language=given.text.language,
            oov_cost=self.oov_cost,
            segmentation=self.segmentation,
            document_of=given.text.document_of(),
            line_buffered=given.line_buffered,
            flush=flush,
        )
        figure = given.selecting.figure
        if self.general is None:
            for record, found in score(self.lm, records):
                yield record, Figured(found, figure(found, None))
            return
        first, second = tee(records)
        both = zip(score(self.lm, first), score(self.general, second), strict=True)
        for (record, found), (_, other) in both:
            yield record, Figured(found, figure(found, other))

    def selection(self, *, quiet: bool) -> Selection:
        """What to keep, by percentiles of a sample if they are asked for; the bounds are printed.

        Raises:
            OptionError: texts depend on the ones before them, or the input can be read once only.
            InputError: no text of the sample has a figure.
        """
        selecting = self.settings.selecting
        if not selecting.needs_sample:
            return selecting.selection(())
        if self.context == "document":
            raise OptionError(
                f"{self.lm.path}: percentiles are of texts on their own: --context sentence"
            )
        from lmscore.corpus import sorted_figures

        figures = sorted_figures(found.figure for _, found in self.figured(self._sample()))
        selection = selecting.selection(figures)
        if not quiet:
            for line in _bounds_found(selection, len(figures), selecting):
                streams.note(line)
        return selection

    def _sample(self) -> list[Record]:
        from lmscore.corpus import reservoir

        text, selecting = self.settings.text, self.settings.selecting
        paths = text.paths if selecting.sample is None else [selecting.sample]
        for path in paths:
            if path == "-" or not Path(path).is_file():
                raise OptionError(
                    f"{input_name(path)}: can be read once only, and a sample of it comes first: "
                    "write it to a file, or name a file for --sample"
                )
        rule = BadRecords("skip" if text.on_error == "skip" else "stop")
        records = rule.handled(read_records(paths, text.reading(), all_fields=False))
        return reservoir(records, selecting.sample_size, seed=selecting.seed)


def _bounds_found(selection: Selection, size: int, selecting: Selecting) -> Iterator[str]:
    """Lines for the user: what the sample gave, as options that need no sample."""
    of = "ppl" if selecting.against is None else "difference"
    if selecting.percentile is not None:
        bounds = {f"--min-{of}": selection.lowest, f"--max-{of}": selection.highest}
        finite = [
            f"{flag} {value!r}"
            for flag, value in bounds.items()
            if value is not None and math.isfinite(value)
        ]
        yield f"a sample of {size} records gives {' '.join(finite) or 'no bounds'}"
    if selecting.bucket_bounds is None and selection.thirds is not None:
        head, middle = selection.thirds
        yield f"a sample of {size} records gives --bucket-bounds {head!r},{middle!r}"
    if selection.draw is not None:
        yield f"a sample of {size} records has the median perplexity {selection.draw.median:.2f}"


@dataclass
class Tally:
    """The records that a filter has read and kept."""

    lines: int = 0
    words: int = 0
    kept_lines: int = 0
    kept_words: int = 0
    oovs: int = 0
    undefined: int = 0
    bad: int = 0  # could not be read

    def add(self, found: Figured, *, kept: bool) -> None:
        """Count one more record."""
        self.lines += 1
        self.words += found.score.num_words
        self.kept_lines += kept
        self.kept_words += kept * found.score.num_words
        self.oovs += found.score.num_oov
        self.undefined += math.isnan(found.figure)

    def __add__(self, other: Tally) -> Tally:
        mine, others = vars(self), vars(other)
        return Tally(**{name: mine[name] + others[name] for name in mine})

    def __str__(self) -> str:
        text = f"kept {self.kept_lines} of {self.lines} lines, "
        text += f"{self.kept_words} of {self.words} words"
        if self.oovs:
            text += f"; {self.oovs} {'OOV' if self.oovs == 1 else 'OOVs'}"
        if self.undefined:
            text += f"; {self.undefined} without a perplexity (nothing to divide by)"
        return text


def write_chosen(
    figured: Iterable[tuple[Record, Figured]],
    selecting: Selecting,
    selection: Selection,
    *,
    writer: RecordWriter,
    reject: Callable[[Record], object],
    has: Callable[[Record], bool] = lambda _: False,
) -> Tally:
    """Write the records that are kept, with the fields that are added, and reject the others.

    `has`: whether a record is in the output already.
    """
    tally = Tally()
    for record, found in figured:
        score = found.score
        kept = selection.keeps(found.figure, record.text, score.oov_rate)
        tally.add(found, kept=kept)
        writer.begin(record)
        if not kept and selecting.kept_field is None:
            reject(record)
        elif not has(record):
            writer.write(record, selecting.values(selection, found.figure, kept=kept))
    return tally
