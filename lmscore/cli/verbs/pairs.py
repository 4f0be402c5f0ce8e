"""`lmscore pairs`: which of two sentences is likelier, over minimal pairs."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmscore.cli import options, streams
from lmscore.cli.oov_costs import OovCosts
from lmscore.cli.scored_records import (
    describe,
    interactive,
    score_both_ways,
    score_records,
    with_progress,
)
from lmscore.cli.table import table
from lmscore.corpus.reading import (
    Line,
    ReadOptions,
    Record,
    json_line,
    json_object,
    located_lines,
    text_field,
)
from lmscore.errors import InputError
from lmscore.names import Unit

if TYPE_CHECKING:
    from lmscore.runtime.scoring import Score


def pairs(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="One pair per line; gzip and xz are unpacked. Default: standard input (-).",
            show_default=False,
        ),
    ] = None,
    *,
    input_format: Annotated[
        Literal["jsonl", "tsv", "lines"],
        typer.Option(
            help="jsonl: an object per line; tsv: good<TAB>bad, or id<TAB>good<TAB>bad; lines: the "
            "good sentence on one line, the bad one on the next."
        ),
    ] = "jsonl",
    good: Annotated[
        str, typer.Option(metavar="NAME", help="The key of the better sentence.")
    ] = "sentence_good",
    bad: Annotated[
        str, typer.Option(metavar="NAME", help="The key of the worse sentence.")
    ] = "sentence_bad",
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="A key to group by: UID for BLiMP.")
    ] = None,
    normalize: Annotated[
        Literal["none", Unit],
        typer.Option(help="Compare log-probabilities per token, word, character or byte."),
    ] = "none",
    output_format: options.Records = "tsv",
    model: options.ModelOptions,
    directions: options.DirectionOptions,
    oov_costs: OovCosts,
    max_oov: Annotated[
        float,
        typer.Option(
            metavar="P",
            min=0,
            max=1,
            help="The largest share of <unk> among the tokens of a sentence without </s>; pairs "
            "above it are printed, and left out of the accuracy.",
        ),
    ] = 1.0,
    bos: options.Bos = True,
    eos: options.Eos = True,
    errors: options.Utf8Errors = "strict",
    line_buffered: options.LineBuffered = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare the sentences of minimal pairs, such as BLiMP's.

    Without a header: log_prob_good, log_prob_bad (nats), 1 if the first is greater, 0 if not (and -
    for a pair that --max-oov leaves out), and the two sentences, with tabs between them, an id
    first where the input has one. With --format jsonl an object per pair, its fields kept.
    The summary gives the accuracy; a tie is not correct. Every sentence is scored on its own,
    whatever context the model was trained for. With --backward the scores are
    pseudo-log-likelihoods, of every token given all others.
    """
    model, directions = directions.of_folder(model)
    directions.check(no_bos=not bos, no_eos=not eos)
    oov_costs.check(backward=directions.backward)
    paths = files or ["-"]
    lines = located_lines(paths, ReadOptions(errors=errors))
    readers = {"jsonl": _from_jsonl, "tsv": _from_tsv, "lines": _from_lines}
    read = readers[input_format]
    lm = model.load()
    both, oov_cost = directions.join(lm, model), oov_costs.load(model)
    as_line = _jsonl if output_format == "jsonl" else _tsv
    tallies: dict[str | None, _Tally] = {}
    at_once = line_buffered or interactive(paths)
    scored = (
        partial(
            score_records,
            lm,
            bos=bos,
            eos=eos,
            context="sentence",
            oov_cost=oov_cost,
            line_buffered=at_once,
        )
        if both is None
        else partial(score_both_ways, both, line_buffered=at_once)
    )
    for pair, scores in _score_pairs(scored, read(lines, good, bad), paths):
        better, worse = (_normalized(score, normalize, pair) for score in scores)
        above = any(score.oov_rate > max_oov for score in scores)
        oovs = [score.num_oov for score in scores]
        result = Result(better, worse, oovs[0], oovs[1], above)
        tallies.setdefault(_group(pair, by), _Tally()).add(result)
        streams.write(as_line(pair, result))
    streams.flush()
    if not quiet:
        total = sum(tallies.values(), _Tally())
        streams.note(f"{describe(lm, 'sentence', both, oov_cost)}: {total}")
        for line in _groups(by, tallies) if by is not None else ():
            streams.note(line)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences, the first of which should be likelier, and the other fields of their line."""

    good: str
    bad: str
    where: str  # file and line, for errors
    fields: dict[str, Any]  # all fields of the line, the two sentences among them
    id: str | None = None  # of a tsv line


@dataclass(frozen=True, slots=True)
class Result:
    """The scores of the two sentences, in nats, and their unknown words."""

    good: float
    bad: float
    num_oov_good: int = 0
    num_oov_bad: int = 0
    is_left_out: bool = False  # for its unknown words

    @property
    def is_correct(self) -> bool:
        """Whether the good sentence has the higher score; a tie is not correct."""
        return self.good > self.bad

    @property
    def is_tie(self) -> bool:
        """Whether both sentences have the same score."""
        return self.good == self.bad


def _from_jsonl(lines: Iterable[Line], good: str, bad: str) -> Iterator[Pair]:
    for line in lines:
        fields = json_object(line.text, line.where)
        yield Pair(
            text_field(fields, good, line.where, option="good"),
            text_field(fields, bad, line.where, option="bad"),
            line.where,
            fields,
        )


def _from_tsv(lines: Iterable[Line], good: str, bad: str) -> Iterator[Pair]:
    """The pairs of tsv lines; the number of columns in the first line shows if there are ids."""
    names: tuple[str, ...] = ()
    for line in lines:
        columns = line.text.split("\t")
        names = names or (("id", good, bad) if len(columns) == 3 else (good, bad))
        if len(columns) != len(names):
            wanted = "<TAB>".join(names)
            raise InputError(f"{line.where}: expected {wanted}, got {len(columns)} columns")
        fields = dict(zip(names, columns, strict=True))
        yield Pair(columns[-2], columns[-1], line.where, fields, id=fields.get("id"))


def _from_lines(lines: Iterable[Line], good: str, bad: str) -> Iterator[Pair]:
    """The pairs of lines that follow each other."""
    rest = iter(lines)
    for first in rest:
        second = next(rest, None)
        if second is None:
            raise InputError(f"{first.where}: has no second sentence; lines come in pairs")
        yield Pair(first.text, second.text, first.where, {good: first.text, bad: second.text})


def _group(pair: Pair, by: str | None) -> str | None:
    if by is None:
        return None
    if by not in pair.fields:
        raise InputError(f"{pair.where}: no field {by!r} to group by; name another: --by NAME")
    value = pair.fields[by]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _score_pairs(
    score: Callable[[Iterator[Record]], Iterator[tuple[Record, Score]]],
    pairs: Iterable[Pair],
    paths: Sequence[str],
) -> Iterator[tuple[Pair, tuple[Score, Score]]]:
    """Score pairs, in order, in constant memory."""
    waiting: deque[Pair] = deque()

    def sentences() -> Iterator[Record]:
        for pair in pairs:
            waiting.append(pair)
            yield Record(pair.good)
            yield Record(pair.bad)

    shown = with_progress(score(sentences()), paths, data_on_stdout=True)
    for (_, good), (_, bad) in zip(shown, shown, strict=True):
        yield waiting.popleft(), (good, bad)


def _normalized(score: Score, unit: Literal["none", Unit], pair: Pair) -> float:
    if unit == "none":
        return score.log_prob
    units = score.count(unit)
    if not units:
        raise InputError(f"{pair.where}: a sentence without a {unit} has no score per {unit}")
    return score.log_prob / units


def _tsv(pair: Pair, result: Result) -> str:
    if any(character in text for character in "\t\n" for text in (pair.good, pair.bad)):
        raise InputError(f"{pair.where}: a sentence holds a tab or line break; use --format jsonl")
    shown = "-" if result.is_left_out else str(int(result.is_correct))
    columns = [f"{result.good:.4f}", f"{result.bad:.4f}", shown]
    ids = [] if pair.id is None else [pair.id]
    return "\t".join([*ids, *columns, pair.good, pair.bad]) + "\n"


def _jsonl(pair: Pair, result: Result) -> str:
    return json_line(
        {
            **pair.fields,
            "log_prob_good": result.good,
            "log_prob_bad": result.bad,
            "difference": result.good - result.bad,
            "correct": result.is_correct,
            "tie": result.is_tie,
            "num_oov_good": result.num_oov_good,
            "num_oov_bad": result.num_oov_bad,
            "left_out": result.is_left_out,
        }
    )


@dataclass
class _Tally:
    pairs: int = 0
    correct: int = 0
    ties: int = 0
    with_oovs: int = 0  # pairs in which a model of words does not know a word
    left_out: int = 0  # pairs with more unknown words than are allowed, which count no more

    def add(self, result: Result) -> None:
        if result.is_left_out:
            self.left_out += 1
            return
        self.pairs += 1
        self.correct += result.is_correct
        self.ties += result.is_tie
        self.with_oovs += result.num_oov_good + result.num_oov_bad > 0

    def __add__(self, other: _Tally) -> _Tally:
        mine, others = vars(self), vars(other)
        return _Tally(**{name: mine[name] + others[name] for name in mine})

    @property
    def accuracy(self) -> str:
        return f"{100 * self.correct / self.pairs:.2f} %" if self.pairs else "unknown"

    def __str__(self) -> str:
        text = f"accuracy {self.accuracy}, {self.correct} of {_plural(self.pairs, 'pair')}"
        if self.ties:
            text += f"; {_plural(self.ties, 'tie')}, not correct"
        if self.with_oovs:
            text += f"; {_plural(self.with_oovs, 'pair')} with OOVs"
        if self.left_out:
            text += f"; {_plural(self.left_out, 'pair')} left out, with more OOVs than --max-oov"
        return text


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _groups(by: str, tallies: dict[str | None, _Tally]) -> list[str]:
    header = (by, "accuracy", "correct", "pairs", "ties")
    rows = [(name, t.accuracy, t.correct, t.pairs, t.ties) for name, t in tallies.items()]
    return table([header, *rows]).splitlines()
