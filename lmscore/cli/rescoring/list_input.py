"""The options of verbs that read n-best lists, and the lists they stand for."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.option_values import assignments
from lmscore.cli.outfile import check_new, check_not_read
from lmscore.cli.usage import UsageError, command_line
from lmscore.files import names_directory

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.formats import Format
    from lmscore.runtime.rescoring.lists import NBestList


ListOutput = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="Write to this file, .gz and .xz compressed, or into this directory (one that is "
        "there, or ends in /; not for kaldi-lattice), under the names of the files read. "
        "Default: standard output (-).",
        callback=options.unless_standard_output,
    ),
]


@dataclass(frozen=True, kw_only=True)
class ListInput:
    """The options of verbs that read n-best lists."""

    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="N-best lists, all in one format; a directory stands for its files, @FILE for the "
            "paths in it; gzip and xz are unpacked. Default: standard input (-).",
            show_default=False,
        ),
    ] = None
    input_format: Annotated[
        str | None,
        typer.Option(
            "--input-format",
            metavar="FORMAT",
            help="The format of the lists, of those in docs/formats.md. Default: told from the "
            "content.",
            show_default=False,
        ),
    ] = None
    references: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What was really said, a line for each list: id and text (Kaldi, trn, stm, a "
            "manifest); text alone for moses and nemo. Default: the references in the lists.",
        ),
    ] = None
    missing_list: Annotated[
        names.MissingList,
        typer.Option(
            help="A reference without a list: an error, nothing, or a list that found nothing."
        ),
    ] = "stop"
    first_id: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="moses, nematus: the list that the first reference belongs to."
        ),
    ] = 0
    costs: Annotated[
        bool, typer.Option("--costs", help="The decoder's own scores are costs: lower is better.")
    ] = False
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="They are probabilities, between 0 and 1.")
    ] = False
    beam_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="nemo, plain: how many rows a list has.")
    ] = None
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--scores",
            metavar="NAME=FILE",
            help="kaldi: an archive of costs that goes with the lists; may be given again.",
            show_default=False,
        ),
    ] = None
    symbols: Annotated[
        Path | None,
        typer.Option("--words", metavar="FILE", help="kaldi: words.txt, where words are numbers."),
    ] = None
    mapping: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="PART=PATH ...",
            help="Where lists are in JSON of another kind: 'list=results[].alternatives "
            "text=transcript score=confidence id=utt ref=said'; docs/formats.md has those of many "
            "tools.",
        ),
    ] = None
    max_hypotheses: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Take the first N hypotheses of each list, and leave out the others.",
        ),
    ] = None
    errors: options.Utf8Errors = "strict"

    @property
    def paths(self) -> list[str]:
        """The files to read, by default standard input."""
        return self.files or ["-"]

    def check(self) -> None:
        """Raise UsageError if the options contradict each other or the named format."""
        assignments("--scores", self.scores)
        if self.costs and self.probabilities:
            raise UsageError("--costs or --probabilities: scores are one or the other")
        from lmscore.runtime.rescoring.formats import FieldMapping, format_named

        if self.mapping is not None:
            with command_line():
                FieldMapping.parsed(self.mapping)
            if self.input_format is not None:
                raise UsageError("--map is for JSON of another kind: leave out --input-format")
        if self.input_format is None:
            return
        with command_line():
            known = format_named(self.input_format)
        for option, value in self._format_options().items():
            flag = "--words" if option == "symbols" else f"--{option.replace('_', '-')}"
            if value is not None and option not in known.options:
                raise UsageError(f"{flag} is not for {known.name} lists")
            if value is None and option in known.needs:
                raise UsageError(f"--input-format {known.name} needs {flag}")

    @property
    def score_kind(self) -> names.ScoreKind:
        """What the decoder's own scores are."""
        if self.costs:
            return "costs"
        return "probabilities" if self.probabilities else "log-probabilities"

    def note_missing_scores(self, first: NBestList | None) -> None:
        """Say which scores of --map are left out, for some hypothesis has none.

        Args:
            first: a list with hypotheses, as it was read.
        """
        from lmscore.runtime.rescoring.formats import FieldMapping

        if self.mapping is None or first is None:
            return
        missing = FieldMapping.parsed(self.mapping).scores.keys() - first.hypotheses[0].features
        if missing:
            names = ", ".join(sorted(missing))
            streams.note(f"some hypotheses have no {names}, which is left out everywhere")

    def _format_options(self) -> dict[str, object]:
        """The options that only some formats read, by the library's names."""
        return {
            "beam_size": self.beam_size,
            "scores": self.scores,
            "symbols": self.symbols,
        }

    def read(
        self, remove: Collection[str] = (), *, line_buffered: bool = False
    ) -> tuple[Format, Iterator[NBestList]]:
        """Open the lists; raises what `lmscore.runtime.rescoring.formats.read` raises.

        Args:
            remove: words that are not scored, which counts of words leave out.
            line_buffered: read no line before it is asked for.
        """
        from lmscore.runtime.rescoring.formats import read

        return read(
            self.paths,
            self.input_format,
            references=self.references,
            first_id=self.first_id,
            missing_list=self.missing_list,
            score_kind=self.score_kind,
            beam_size=self.beam_size,
            scores=assignments("--scores", self.scores),
            symbols=self.symbols,
            remove=remove,
            max_hypotheses=self.max_hypotheses,
            mapping=self.mapping,
            errors=self.errors,
            line_buffered=line_buffered,
        )


def check_lists_stay(
    output: str | Path | None, paths: Iterable[str], *, may_replace: bool = False
) -> None:
    """Raise an error if an output would replace a file that holds something.

    Args:
        output: a file, or a directory for files with the names of those that are read.
        paths: what is read.
        may_replace: whether the output may take the place of what is read.

    Raises:
        OptionError: a file is there already, or is one of those that are read.
        InputFileError: a file with paths cannot be read.
    """
    if output is None:
        return
    from lmscore.runtime.rescoring.formats import list_files, place_below

    # A pipe of paths can be read only once, and is read elsewhere.
    known = [p for p in paths if not p.startswith("@") or Path(p[1:]).is_file()]
    read = list(map(str, list_files(known)))
    if not may_replace:
        check_not_read(output, read)
    places = {os.path.realpath(file) for file in read}
    names = [Path(output)]
    if names_directory(output):
        names = [Path(output, place_below(file) or Path(file).name) for file in read]
    for path in names:
        if os.path.realpath(path) not in places:
            check_new(path)
