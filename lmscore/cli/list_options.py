"""The options that verbs on n-best lists and lattices share, and the objects they stand for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.outfile import check_new, check_not_read
from lmscore.cli.records import words_of_file
from lmscore.cli.usage import UsageError, command_line
from lmscore.files import expanded_paths, names_directory, open_output, read_lines

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


@dataclass(frozen=True, kw_only=True)
class ListModels(options.ModelOptions):
    """The models that score n-best lists: one, several, or a mixture of several."""

    feature: options.Feature = "lmscore"
    lm: Annotated[
        list[str] | None,
        typer.Option(
            "--lm",
            metavar="[NAME=]PATH",
            help="A model directory, or an n-gram model (ARPA, or a KenLM binary of your own: a "
            "stranger's may crash), in place of --model; given again, each is a feature of its own "
            "name.",
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
    lodr: options.LodrModel = None
    unnormalized: options.Unnormalized = False
    eos: Annotated[
        bool, typer.Option("--eos/--no-eos", help="Score the end of every hypothesis, </s>.")
    ] = True

    def feature_names(self) -> list[str]:
        """The names of the models' features; raises UsageError if the options are not valid.

        The one of --lodr is not among them.
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
                lodr=self.lodr,
            )
        return [self.feature] if self.mix or not named else list(named)

    def open(self, prepare: Callable[[str], str], errors: names.Utf8Errors) -> list[ListScorer]:
        """Open the models; raises what `open_scorers` raises.

        Args:
            prepare: a function from a text to the text that a model scores.
            errors: how to treat invalid UTF-8 in --mix-text.
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
            trust=self.trust,
            unnormalized=self.unnormalized,
            unk_penalty=self.unk_penalty,
            lodr=self.lodr,
        )

    def _shares(self) -> list[float] | None:
        if self.mix_weights is None:
            return None
        return [number("--mix-weights", share) for share in self.mix_weights.split(",")]


@dataclass(frozen=True, kw_only=True)
class SeenText:
    """The changes to a text before a model scores it."""

    join: Annotated[
        names.SubwordMark | None,
        typer.Option(help="Join subwords for the model: the mark they bear.", show_default=False),
    ] = None
    lowercase: options.Lowercase = False
    case: options.Case = "keep"
    remove: options.Remove = None

    @property
    def is_lower(self) -> bool:
        """Whether the text is lower-cased for the model, whatever it is."""
        return self.lowercase or self.case == "lower"

    def check(self) -> None:
        """Raise UsageError for contradictions, or a --remove that is not one word."""
        if self.lowercase and self.case != "keep":
            raise UsageError("--lowercase is --case lower: give one")
        from lmscore.runtime.rescoring.lists import preparation

        with command_line():
            preparation(remove={word for word in self.remove or [] if not _names_file(word)})

    def preparation(
        self, errors: names.Utf8Errors, *, seen: bool = True, lower: bool = False
    ) -> Callable[[str], str]:
        """A function from the text of a hypothesis to the text that a model scores.

        Args:
            errors: how to treat invalid UTF-8 in files with words.
            seen: False for a comparison with references: the text is not lower-cased.
            lower: whether it is lower-cased, whatever the options say.

        Raises:
            InputFileError: a file with words cannot be read.
            OptionError: a word to remove is not one word.
        """
        from lmscore.runtime.rescoring.lists import preparation

        return preparation(
            join=self.join, remove=self.removed(errors), lowercase=lower or (self.is_lower and seen)
        )

    def removed(self, errors: names.Utf8Errors) -> frozenset[str]:
        """The words of --remove, those in files among them; raises InputFileError."""
        return frozenset(_words(self.remove or [], errors))


@dataclass(frozen=True, kw_only=True)
class PosteriorOptions:
    """The options of decisions that stand on posterior probabilities."""

    mbr: Annotated[
        bool,
        typer.Option(
            "--mbr",
            help="Choose the text with the fewest expected word errors, of the 100 best, instead "
            "of the one with the highest score.",
        ),
    ] = False
    confidence: Annotated[
        bool,
        typer.Option(
            "--confidence", help="With --best: a last column, the probability of every word."
        ),
    ] = False
    posterior_scale: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="What scores are divided by for the probabilities. Default: what the LM counts.",
        ),
    ] = None

    @property
    def are_wanted(self) -> bool:
        """Whether a decision needs probabilities."""
        return self.mbr or self.confidence

    def check(self, *, best: bool, chooses: bool) -> None:
        """Raise UsageError for options that do not go together.

        Args:
            best: whether --best prints texts.
            chooses: whether the choice among texts is seen at all.
        """
        if self.confidence and not best:
            raise UsageError("--confidence goes with --best")
        if self.mbr and not chooses:
            raise UsageError("--mbr chooses: it goes with --best, --rerank or --metric")
        self.check_scale()

    def check_scale(self) -> None:
        """Raise UsageError for a scale of probabilities that is none, or that nothing asks for."""
        if self.posterior_scale is None:
            return
        if not self.are_wanted:
            raise UsageError("--posterior-scale goes with --mbr or --confidence")
        if not (math.isfinite(self.posterior_scale) and self.posterior_scale > 0):
            raise UsageError(f"--posterior-scale must be above 0, not {self.posterior_scale}")


@dataclass(frozen=True, kw_only=True)
class PrefixOptions:
    """The options for hypotheses that follow a text: translations, corrections."""

    prefixes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What the hypotheses translate, correct or continue: a line for each list, as in "
            "--references, which is read before them, so that P(hypothesis | line) is scored.",
            rich_help_panel="The model",
        ),
    ] = None
    first_as_prefix: Annotated[
        bool,
        typer.Option(
            "--first-as-prefix",
            help="The first hypothesis of each list is that text.",
            rich_help_panel="The model",
        ),
    ] = False
    channel: Annotated[
        bool,
        typer.Option(
            "--channel",
            help="Score the text after each hypothesis instead: P(line | hypothesis), a noisy "
            "channel.",
            rich_help_panel="The model",
        ),
    ] = False

    @property
    def are_wanted(self) -> bool:
        """Whether the hypotheses follow a text."""
        return self.prefixes is not None or self.first_as_prefix

    def check(self, models: ListModels, *, document: bool) -> None:
        """Raise UsageError for options that do not go together."""
        if self.prefixes is not None and self.first_as_prefix:
            raise UsageError("--prefixes or --first-as-prefix: hypotheses follow one text")
        if not self.are_wanted:
            if self.channel:
                raise UsageError("--channel goes with --prefixes or --first-as-prefix")
            return
        if len(models.lm or []) > 1 or models.lodr is not None:
            raise UsageError(
                "a prefix is for one model alone; the lists come back with its score, and the next "
                "run adds another"
            )
        if document:
            raise UsageError("--context document carries a state from list to list: no prefix then")

    def given_to(
        self, found: Iterator[NBestList], lists: ListInput, *, by_line: bool
    ) -> Iterator[NBestList]:
        """The lists with their texts; raises what `with_prefixes` raises.

        `by_line` says whether the ids of the lists count the lines.
        """
        from lmscore.runtime.rescoring.lists import with_first_as_prefix, with_prefixes

        if self.prefixes is not None:
            return with_prefixes(
                found,
                self.prefixes,
                by_line=by_line,
                first_id=lists.first_id,
                errors=lists.errors,
            )
        return with_first_as_prefix(found) if self.first_as_prefix else found


def assignments(option: str, values: Iterable[str] | None) -> dict[str, str]:
    """The values of an option NAME=VALUE, by name.

    Raises:
        UsageError: a name or a value is missing, or a name is given twice.
    """
    found: dict[str, str] = {}
    for given in values or ():
        name, sign, value = given.partition("=")
        if not (name and sign and value):
            raise UsageError(f"{option} {given!r}: expected NAME=VALUE")
        if name in found:
            raise UsageError(f"{option} {name!r} is given twice")
        found[name] = value
    return found


def note_mixtures(scorers: Iterable[ListScorer]) -> None:
    """Print the weights and the perplexity of each fitted mixture on standard error."""
    from lmscore.runtime.rescoring.models import Mixture

    for scorer in scorers:
        if isinstance(scorer, Mixture) and scorer.fit is not None:
            streams.note(f"{scorer.name} = {scorer}")


def number(option: str, value: str) -> float:
    """The value of an option as a number; raises UsageError if it is no number."""
    try:
        return float(value)
    except ValueError as error:
        raise UsageError(f"{option} {value!r}: expected a number") from error


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
    # A pipe of paths can be read only once, and is read elsewhere.
    known = [p for p in paths if not p.startswith("@") or Path(p[1:]).is_file()]
    read = list(map(str, expanded_paths(known)))
    if not may_replace:
        check_not_read(output, read)
    places = {os.path.realpath(file) for file in read}
    is_directory = names_directory(output)
    names = [Path(output, Path(file).name) for file in read] if is_directory else [Path(output)]
    for path in names:
        if os.path.realpath(path) not in places:
            check_new(path)


def write_texts(texts: Iterable[str], path: str | None, *, flushed: bool = False) -> None:
    """Write texts one after another to a file, or to standard output if `path` is None.

    `flushed` passes each on to the reader of standard output at once.
    """
    with nullcontext() if path is None else open_output(path) as file:
        write: Callable[[bytes], object] = streams.write_bytes if file is None else file.write
        for text in texts:
            write(text.encode())
            if flushed and file is None:
                streams.flush()


def _words(values: Iterable[str], errors: names.Utf8Errors) -> Iterator[str]:
    for value in values:
        if _names_file(value):
            yield from words_of_file(value[1:], errors=errors)
        else:
            yield value


def _names_file(value: str) -> bool:
    return value.startswith("@") and len(value) > 1
