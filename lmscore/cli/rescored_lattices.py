"""The work of `lmscore lattice`: rescoring under a progress bar, counts, and n-best lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from lmscore.cli.scored_records import describe, input_progress
from lmscore.corpus.reading import json_line

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.rescoring.lattices import Lattice, LatticeOptions, RescoredLattice

SCORES = ("score", "acoustic", "lm", "other")
"""The names of scores in n-best lists, beside the new one."""

_DECIMALS = 6  # of the scores in n-best lists


class LatticeJob:
    """Rescores lattices, and counts for the summary."""

    def __init__(self, lm: LanguageModel, search: LatticeOptions) -> None:
        self._lm, self._search = lm, search
        self._lattices = self._expanded = self._read = self._changed = 0
        self.in_capitals = 0  # lattices whose words are
        self.unscaled = 0  # lattices without LM scores and without a scale

    def shown(
        self, lattices: Iterable[Lattice], paths: Sequence[str], *, data_on_stdout: bool
    ) -> Iterator[RescoredLattice]:
        """Rescore lattices under a progress bar."""
        done = 0
        with input_progress("rescoring", paths, data_on_stdout=data_on_stdout) as progress:
            for old in lattices:
                yield self._rescored(old)
                done += len((old.text or "").encode())
                progress.update(done, f"{self._lattices / progress.seconds:.2f} lattices/s")

    def _rescored(self, old: Lattice) -> RescoredLattice:
        from lmscore.runtime.rescoring.lattices import n_best, rescore_lattice
        from lmscore.runtime.rescoring.lists import TextForm

        found = rescore_lattice(self._lm, old, self._search)
        self._lattices += 1
        self.unscaled += _is_unscaled(old)
        self.in_capitals += TextForm.of_words(arc.word for arc in old.arcs).in_capitals
        self._expanded += found.num_tokens
        self._read += found.num_read
        self._changed += found.best.words != n_best(old, 1)[0].words
        return found

    def summary(self) -> str:
        """The line on standard error at the end."""
        return (
            f"{describe(self._lm, 'sentence')}: {self._lattices} lattices, "
            f"{self._expanded} partial hypotheses, {self._read} tokens read; "
            f"another best text in {self._changed} of {self._lattices}"
        )


def _is_unscaled(lattice: Lattice) -> bool:
    """Whether a lattice has acoustic scores, but no language model scores and no scale."""
    scores = [*(arc.scores for arc in lattice.arcs), *lattice.finals.values()]
    has_lm = any(score.lm for score in scores) or lattice.scales.lm != lattice.scales.acoustic
    return not has_lm and any(score.acoustic for score in scores)


def lists_line(found: RescoredLattice, n: int, feature: str) -> str:
    """The n best texts of a lattice as a line in the format jsonl."""
    hypotheses = []
    for path in found.n_best(n):
        parts = path.scores
        values = (path.total, parts.acoustic, parts.lm, parts.other, parts.new_lm)
        scores = dict(zip((*SCORES, feature), values, strict=True))
        rounded = {name: round(score, _DECIMALS) for name, score in scores.items()}
        hypotheses.append({"text": path.text, **rounded})
    return json_line({"id": found.lattice.id, "hypotheses": hypotheses})
