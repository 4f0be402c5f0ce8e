"""The options of verbs that read n-best lists or lattices, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.outfile import check_not_read
from lmscore.cli.usage import UsageError, command_line
from lmscore.files import expanded_paths, open_output, read_lines

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.formats import Format
    from lmscore.runtime.rescoring.lists import NBestList
    from lmscore.runtime.rescoring.models import ListScorer


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
    """Which n-best lists a verb reads, and how."""

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
        names.ListFormat | None,
        typer.Option(
            "--input-format",
            help="The format of the lists. Default: told from the content.",
            show_default=False,
        ),
    ] = None
    references: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What was really said, a line for each list: id and text; text alone for moses "
            "and nemo. Default: the references in the lists.",
        ),
    ] = None
    beam_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="nemo: how many rows a list has.")
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
    errors: options.Utf8Errors = "strict"

    @property
    def paths(self) -> list[str]:
        """What is read, standard input by default."""
        return self.files or ["-"]

    def check(self) -> None:
        """Raise UsageError if the options do not go together, or with a format that is named."""
        self._archives()
        if self.scores and self.input_format not in (None, "kaldi"):
            raise UsageError("--scores goes with --input-format kaldi")
        if self.beam_size is not None and self.input_format not in (None, "nemo"):
            raise UsageError("--beam-size goes with --input-format nemo")
        if self.beam_size is None and self.input_format == "nemo":
            raise UsageError("--input-format nemo needs --beam-size: how many rows a list has")

    def read(self) -> tuple[Format, Iterator[NBestList]]:
        """Open the lists; raises as `lmscore.runtime.rescoring.formats.read`."""
        from lmscore.runtime.rescoring.formats import read

        return read(
            self.paths,
            self.input_format,
            references=self.references,
            beam_size=self.beam_size,
            scores=self._archives(),
            errors=self.errors,
        )

    def _archives(self) -> dict[str, str]:
        return assignments("--scores", self.scores or [])


@dataclass(frozen=True, kw_only=True)
class ListModels(options.ModelOptions):
    """What n-best lists are scored with: a model, several, or a mixture of them."""

    feature: options.Feature = "lmscore"
    lm: Annotated[
        list[str] | None,
        typer.Option(
            "--lm",
            metavar="[NAME=]PATH",
            help="A model directory, or an n-gram model (ARPA or KenLM binary), in place of "
            "--model; given again, each is a feature of its own name.",
            show_default=False,
        ),
    ] = None
    mix: Annotated[
        names.Mix | None,
        typer.Option(
            help="Make one feature of all --lm: their words' probabilities, interpolated.",
            show_default=False,
        ),
    ] = None
    mix_weights: Annotated[
        str | None, typer.Option(metavar="W,W,...", help="What share each --lm has in it.")
    ] = None
    mix_text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text that no --lm has seen, to which the shares are fitted instead.",
        ),
    ] = None
    unnormalized: options.Unnormalized = False
    eos: Annotated[
        bool, typer.Option("--eos/--no-eos", help="Score the end of every hypothesis, </s>.")
    ] = True

    def feature_names(self) -> list[str]:
        """The names of the new features.

        Raises:
            UsageError: the options do not go together, or a value is impossible.
        """
        from lmscore.runtime.rescoring.models import check_models

        with command_line(lms="--lm", weights="--mix-weights", texts="--mix-text"):
            named = check_models(
                self.lm or [],
                model=self.model,
                name=self.feature,
                mix=self.mix,
                weights=self._shares(),
                texts=self.mix_text,
            )
        return [self.feature] if self.mix or not named else list(named)

    def open(self, prepare: Callable[[str], str], errors: names.Utf8Errors) -> list[ListScorer]:
        """Open the models; raises what `open_scorers` raises.

        Args:
            prepare: makes of a text the one that a model scores.
            errors: of --mix-text.
        """
        from lmscore.runtime.rescoring.models import open_scorers

        text = None if self.mix_text is None else read_lines(self.mix_text, errors=errors)
        return open_scorers(
            self.lm or [],
            model=self.model,
            name=self.feature,
            mix=self.mix,
            weights=self._shares(),
            texts=None if text is None else map(prepare, text),
            eos=self.eos,
            device=self.device,
            variant=self.variant,
            threads=self.threads,
            unnormalized=self.unnormalized,
        )

    def _shares(self) -> list[float] | None:
        if self.mix_weights is None:
            return None
        return [number("--mix-weights", share) for share in self.mix_weights.split(",")]


@dataclass(frozen=True, kw_only=True)
class SeenText:
    """What a model gets to see of a text."""

    join: Annotated[
        names.SubwordMark | None,
        typer.Option(help="Join subwords for the model: the mark they bear.", show_default=False),
    ] = None
    lowercase: options.Lowercase = False
    remove: options.Remove = None

    def check(self) -> None:
        """Raise UsageError if a word that --remove names on the command line is none."""
        from lmscore.runtime.rescoring.lists import preparation

        with command_line():
            preparation(remove={word for word in self.remove or [] if not _names_file(word)})

    def preparation(self, errors: names.Utf8Errors, *, seen: bool = True) -> Callable[[str], str]:
        """What makes of the text of a hypothesis the one that a model scores.

        Args:
            errors: of files with words.
            seen: False for what is compared with references, which is not lower-cased.

        Raises:
            InputFileError: a file with words cannot be read.
            OptionError: a word to remove is none.
        """
        from lmscore.runtime.rescoring.lists import preparation

        words = set(_words(self.remove or [], errors))
        return preparation(join=self.join, remove=words, lowercase=self.lowercase and seen)


def assignments(option: str, values: Iterable[str]) -> dict[str, str]:
    """What an option NAME=VALUE that may be given again has been given.

    Raises:
        UsageError: a value without a name, or a name twice.
    """
    found: dict[str, str] = {}
    for given in values:
        name, sign, value = given.partition("=")
        if not (name and sign and value):
            raise UsageError(f"{option} {given!r}: expected NAME=VALUE")
        if name in found:
            raise UsageError(f"{option} {name!r} is given twice")
        found[name] = value
    return found


def note_mixtures(scorers: Iterable[ListScorer]) -> None:
    """Say on standard error what fitting a mixture to a text has come to."""
    from lmscore.runtime.rescoring.models import Mixture

    for scorer in scorers:
        if isinstance(scorer, Mixture) and scorer.fit is not None:
            streams.note(f"{scorer.name} = {scorer}")


def number(option: str, value: str) -> float:
    """The number that an option was given.

    Raises:
        UsageError: it is none.
    """
    try:
        return float(value)
    except ValueError as error:
        raise UsageError(f"{option} {value!r}: expected a number") from error


def check_lists_stay(output: str | Path | None, paths: Iterable[str]) -> None:
    """Refuse to write what is no list over one that is read.

    Raises:
        OptionError: the output is one of the files that the paths stand for.
        InputFileError: a file with paths cannot be read.
    """
    # Paths that come down a pipe can be read but once, and not here.
    known = [p for p in paths if not p.startswith("@") or Path(p[1:]).is_file()]
    check_not_read(output, map(str, expanded_paths(known)))


def write_texts(texts: Iterable[str], path: str | None) -> None:
    """Write texts one behind the other, to a file or to standard output (None)."""
    with nullcontext() if path is None else open_output(path) as file:
        write: Callable[[bytes], object] = streams.write_bytes if file is None else file.write
        for text in texts:
            write(text.encode())


def _words(values: Iterable[str], errors: names.Utf8Errors) -> Iterator[str]:
    for value in values:
        if _names_file(value):
            for line in read_lines(value[1:], errors=errors):
                yield from line.split()
        else:
            yield value


def _names_file(value: str) -> bool:
    return value.startswith("@") and len(value) > 1
