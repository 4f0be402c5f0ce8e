"""The work of `lmscore lattice`, which this process does or several others share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lmscore import names
from lmscore.cli.options import ModelOptions
from lmscore.cli.processes import in_processes
from lmscore.cli.rescoring.lattice_page import lattice_section
from lmscore.cli.rescoring.posterior_options import PosteriorOptions
from lmscore.cli.rescoring.seen_text import SeenText
from lmscore.cli.scored_records import describe
from lmscore.corpus.reading import json_line
from lmscore.errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.rescoring.lattices import (
        Lattice,
        LatticeOptions,
        RescoredLattice,
        WrittenLattice,
    )
    from lmscore.runtime.rescoring.models import Lodr

SCORES = ("score", "acoustic", "lm", "other", "lodr")
"""The names of scores in n-best lists, beside the new one; `lodr` is there if --lodr is given."""

_DECIMALS = 6  # of the scores in n-best lists


@dataclass(frozen=True)
class LatticeCounts:
    """What is counted for the summary; the counts of lattices add up."""

    lattices: int = 0
    expanded: int = 0  # partial hypotheses
    read: int = 0  # tokens of text
    changed: int = 0  # lattices with another best text
    unscaled: int = 0  # lattices without LM scores and without a scale

    def __add__(self, other: LatticeCounts) -> LatticeCounts:
        names = [field.name for field in fields(self)]
        return LatticeCounts(*(getattr(self, name) + getattr(other, name) for name in names))

    def __str__(self) -> str:
        """The counts, for people."""
        return (
            f"{self.lattices} lattices, {self.expanded} partial hypotheses, {self.read} tokens "
            f"read; another best text in {self.changed} of {self.lattices}"
        )


@dataclass(frozen=True)
class LatticeResult:
    """What comes out for one lattice."""

    id: str
    file: str  # that it was read from
    written: WrittenLattice
    counts: LatticeCounts
    size: int  # bytes of the lattice as it was read
    section: Element | None = None  # of a page


@dataclass(frozen=True, kw_only=True)
class LatticeOutput:
    """What is written for a lattice: the best text, the n best, or the lattice."""

    best: bool
    with_ids: bool
    posteriors: PosteriorOptions
    n_best: int | None
    feature: str
    lattice_format: str
    symbols: Path | None
    drawn: bool = False  # whether it has a section of a page, too


@dataclass(frozen=True, kw_only=True)
class LatticeWork:
    """The options of the work, which can be sent to another process."""

    model: ModelOptions
    lodr: Path | None
    search: LatticeOptions  # without the preparation of words
    seen: SeenText
    lower: bool = False  # whether words are lower-cased whatever the options say
    errors: names.Utf8Errors
    input_format: str
    symbols: Path | None
    output: LatticeOutput

    def begun(self) -> LatticeWorker:
        """The worker with its models loaded; raises what `ModelOptions.load_with_lodr` raises."""
        return LatticeWorker(self, *self.model.load_with_lodr(self.lodr))


class LatticeWorker:
    """Rescores lattices, and makes what is written of them.

    Attributes:
        work: the options.
        lm: the language model.
    """

    def __init__(self, work: LatticeWork, lm: LanguageModel, lodr: Lodr | None) -> None:
        """Take the work, and the models of its options."""
        from lmscore.runtime.rescoring.lattices import LatticeWriter

        self.work, self.lm, self._lodr = work, lm, lodr
        prepare = work.seen.preparation(work.errors, lower=work.lower)
        self._search = replace(work.search, prepare=prepare)
        output = work.output
        self._writer = LatticeWriter(output.lattice_format, symbols=output.symbols)

    @property
    def models(self) -> str:
        """The models, for people."""
        beside = "" if self._lodr is None else f", lodr {self._lodr}"
        return f"{describe(self.lm, 'sentence')}{beside}"

    def lowered(self) -> LatticeWorker:
        """The worker that lower-cases words for the models."""
        return LatticeWorker(replace(self.work, lower=True), self.lm, self._lodr)

    def __call__(self, path: str) -> list[LatticeResult]:
        """The results of a file; raises what reading and rescoring it raise."""
        from lmscore.runtime.rescoring.lattices import open_lattices

        work = self.work
        _, lattices = open_lattices(
            [path], work.input_format, symbols=work.symbols, errors=work.errors
        )
        return [self.result(lattice) for lattice in lattices]

    def result(self, old: Lattice) -> LatticeResult:
        """The result of a lattice; raises what `rescore_lattice` and writing it raise."""
        from lmscore.runtime.rescoring.lattices import n_best, rescore_lattice

        found = rescore_lattice(self.lm, old, self._search, lodr=self._lodr)
        before = n_best(old, 1)[0].words
        counts = LatticeCounts(
            lattices=1,
            expanded=found.num_tokens,
            read=found.num_read,
            changed=int(found.best.words != before),
            unscaled=int(_is_unscaled(old)),
        )
        section = lattice_section(before, found) if self.work.output.drawn else None
        size = len((old.text or "").encode())
        return LatticeResult(old.id, old.file, self._written(found), counts, size, section)

    def _written(self, found: RescoredLattice) -> WrittenLattice:
        from lmscore.runtime.rescoring.lattices import WrittenLattice

        output = self.work.output
        if output.best:
            return WrittenLattice("", _best_line(found, output))
        if output.n_best is not None:
            line = _lists_line(found, output.n_best, output.feature, has_lodr=bool(self._lodr))
            return WrittenLattice("", line)
        return self._writer.written(found.lattice)


def shared_results(work: LatticeWork, paths: Sequence[str], jobs: int) -> Iterator[LatticeResult]:
    """The results of some files, each rescored by one of `jobs` processes, in their order.

    Raises:
        InputError: a lattice cannot be used, or has the id of an earlier one; names the file.
        DeviceError: a process was ended from outside.
    """
    seen: set[str] = set()
    for path, results in in_processes(work.begun, paths, jobs):
        for result in results:
            if result.id in seen:
                raise InputError(
                    f"{path}: a second lattice {result.id!r}; give every lattice an id of its own"
                )
            seen.add(result.id)
            yield result


def _is_unscaled(lattice: Lattice) -> bool:
    """Whether a lattice has acoustic scores, but no language model scores and no scale."""
    scores = [*(arc.scores for arc in lattice.arcs), *lattice.finals.values()]
    has_lm = any(score.lm for score in scores) or lattice.scales.lm != lattice.scales.acoustic
    return not has_lm and any(score.acoustic for score in scores)


def _best_line(found: RescoredLattice, output: LatticeOutput) -> str:
    """The columns of a lattice: its id, the text, the probability of every word."""
    from lmscore.runtime.rescoring.lattices import least_risk_path, word_confidences

    lattice, scale = found.lattice, output.posteriors.posterior_scale
    is_mbr = output.posteriors.mbr
    path = least_risk_path(lattice, posterior_scale=scale) if is_mbr else found.best
    columns = [lattice.id, path.text] if output.with_ids else [path.text]
    if output.posteriors.confidence:
        shares = word_confidences(lattice, path, posterior_scale=scale)
        columns.append(" ".join(f"{share:.3f}" for share in shares))
    return "\t".join(columns) + "\n"


def _lists_line(found: RescoredLattice, n: int, feature: str, *, has_lodr: bool) -> str:
    """The n best texts of a lattice as a line in the format jsonl."""
    return json_line(
        {
            "id": found.lattice.id,
            "hypotheses": list(_hypotheses(found, n, feature, has_lodr=has_lodr)),
        }
    )


def _hypotheses(
    found: RescoredLattice, n: int, feature: str, *, has_lodr: bool
) -> Iterable[dict[str, object]]:
    for path in found.n_best(n):
        parts = path.scores
        values = (path.total, parts.acoustic, parts.lm, parts.other, parts.lodr, parts.new_lm)
        scores = dict(zip((*SCORES, feature), values, strict=True))
        if not has_lodr:
            del scores["lodr"]
        yield {
            "text": path.text,
            **{name: round(score, _DECIMALS) for name, score in scores.items()},
        }
