"""A run of `lmscore lattice`: in this process or in several, under a progress bar, with counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from lmscore.cli.rescoring.lattice_work import (
    LatticeCounts,
    LatticeResult,
    LatticeWork,
    LatticeWorker,
    shared_results,
)
from lmscore.cli.rescoring.text_form import SAMPLE, is_lowered, texts_of_lattices
from lmscore.cli.scored_records import input_progress, interactive
from lmscore.errors import LmscoreError, OptionError
from lmscore.files import expanded_paths

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.lattices import Lattice

_UNSCALED = (
    "{} lattices have neither language model scores nor a scale, so the acoustic scores outweigh "
    "the model; give --lm-scale (often 5 to 15), or tune it (lmscore tune, --weights)"
)


@dataclass
class LatticeRun:
    """Lattices rescored, and what was counted."""

    work: LatticeWork
    jobs: int = 1
    quiet: bool = False
    line_buffered: bool = False  # rescore each lattice before the next is read
    counts: LatticeCounts = field(default_factory=LatticeCounts, init=False)
    _models: str = field(default="", init=False)

    def results(
        self, lattices: Iterator[Lattice], paths: Sequence[str], *, data_on_stdout: bool
    ) -> Iterator[LatticeResult]:
        """The result of each lattice, in their order, under a progress bar.

        Args:
            lattices: those of the files.
            paths: the files, as the command line names them.
            data_on_stdout: whether data are printed on standard output.

        Raises:
            OptionError: standard input is to be shared out.
            DeviceError: a process was ended from outside.
            InputError, OptionError: as `rescore_lattice` and the format to write.
        """
        files = self._shared_files(paths)
        worker = self.work.begun()
        first, lattices = _ahead(lattices, self._sample_size(paths))
        worker = self._with_case(worker, first)
        self._models = worker.models
        found: Iterable[LatticeResult]
        if files is None:
            found = map(worker.result, lattices)
        else:
            threads = self.work.model.threads or max(1, _cores() // self.jobs)
            model = replace(self.work.model, threads=threads)
            found = shared_results(replace(worker.work, model=model), files, self.jobs)
        return self._shown(found, paths, data_on_stdout=data_on_stdout)

    def summary(self) -> Iterator[str]:
        """The lines on standard error at the end."""
        yield f"{self._models}: {self.counts}"
        search = self.work.search
        if self.counts.unscaled and search.lm_scale is None and search.acoustic_scale is None:
            yield _UNSCALED.format(self.counts.unscaled)

    def _sample_size(self, paths: Sequence[str]) -> int:
        """How many lattices are read before the first is rescored."""
        if self.line_buffered:
            return 1
        return 0 if interactive(paths) else SAMPLE

    def _shared_files(self, paths: Sequence[str]) -> list[str] | None:
        """The files to share out; None if this process does all the work."""
        if self.jobs == 1:
            return None
        files = list(map(str, expanded_paths(paths)))
        if "-" in files:
            raise OptionError("--jobs shares out files: name them, standard input is one stream")
        return files

    def _with_case(self, worker: LatticeWorker, first: Sequence[Lattice]) -> LatticeWorker:
        """The worker that lower-cases words if these lattices and the model ask for it."""
        from lmscore.runtime.rescoring.models import RecurrentScorer

        sample, work = texts_of_lattices(first), self.work
        scorers = [RecurrentScorer(work.output.feature, worker.lm)]
        lower = is_lowered(work.seen, sample, scorers, work.errors, quiet=self.quiet)
        return worker.lowered() if lower else worker

    def _shown(
        self, results: Iterable[LatticeResult], paths: Sequence[str], *, data_on_stdout: bool
    ) -> Iterator[LatticeResult]:
        done = 0
        with input_progress("rescoring", paths, data_on_stdout=data_on_stdout) as progress:
            for result in results:
                yield result
                self.counts += result.counts
                done += result.size
                rate = self.counts.lattices / progress.seconds
                progress.update(done, f"{rate:.2f} lattices/s")


def _ahead(lattices: Iterator[Lattice], count: int) -> tuple[Sequence[Lattice], Iterator[Lattice]]:
    """The first few lattices, and all of them; an error comes after the lattices before it."""
    first: list[Lattice] = []
    failures: list[LmscoreError] = []
    try:
        first.extend(islice(lattices, count))
    except LmscoreError as error:
        failures.append(error)

    def all_of_them() -> Iterator[Lattice]:
        yield from first
        for failure in failures:
            raise failure
        yield from lattices

    return first, all_of_them()


def _cores() -> int:
    from lmscore.runtime.engine import usable_cores

    return usable_cores()
