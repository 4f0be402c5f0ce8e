"""`lmscore choose`: which of several candidates fits into the gap of a text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmscore.cli import options, streams
from lmscore.cli.usage import UsageError
from lmscore.corpus.reading import (
    Line,
    ReadOptions,
    json_line,
    json_object,
    located_lines,
    text_field,
)
from lmscore.errors import InputError

if TYPE_CHECKING:
    from lmscore.runtime.scoring import Choice


def choose(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="A text with a gap, ___. Default: every line of the input.",
            show_default=False,
        ),
    ] = None,
    candidates: Annotated[
        list[str] | None,
        typer.Argument(metavar="CANDIDATE", help="What may fill the gap.", show_default=False),
    ] = None,
    *,
    files: options.Input = None,
    gap: Annotated[str, typer.Option(metavar="TEXT", help="What marks the gap.")] = "___",
    field: options.Field = None,
    candidates_field: Annotated[
        str, typer.Option(metavar="NAME", help="The key of the list of candidates.")
    ] = "candidates",
    answer_field: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The key of the right candidate, or of its number from 0."
        ),
    ] = "answer",
    output_format: options.Records = "tsv",
    model: options.ModelOptions,
    directions: options.DirectionOptions,
    errors: options.Utf8Errors = "strict",
    quiet: options.Quiet = False,
) -> None:
    """Choose the candidate that fits best into the gap of a text.

    Prints a row for each candidate, best first: its probability among the candidates, the
    log-probability of the whole text with it (nats), the candidate. The input is JSON Lines, an
    object with a text, its candidates and perhaps the answer; the number of its line comes first in
    a row. With --format jsonl an object per text, its fields kept. Where there are answers, the
    summary gives the accuracy. Every text is a sentence of its own. With --backward the
    log-probability is that of the candidate's words, given those before and those after them.
    """
    model, directions = directions.of_folder(model)
    directions.check()
    if text is not None and files is not None:
        raise UsageError("give a TEXT or --input, not both")
    if not gap:
        raise UsageError("--gap is empty")
    if text is not None and not candidates:
        raise UsageError("name the candidates after the TEXT")
    if text is not None and text.count(gap) != 1:
        raise UsageError(f"the TEXT must have one gap, {gap}; --gap names another mark")
    keys = (field or "text", candidates_field, answer_field)
    items = (
        [_Item("", text, list(candidates or ()), {"text": text})]
        if text is not None
        else _read(located_lines(files or ["-"], ReadOptions(errors=errors)), gap, keys)
    )
    lm = model.load()
    both = directions.join(lm, model)
    choose_in = lm.choose if both is None else both.choose
    right = answered = 0
    for number, item in enumerate(items, 1):
        left, _, after = item.text.partition(gap)
        found = choose_in(left, item.candidates, after)
        if item.answer is not None:
            answered += 1
            right += found[0].number == item.answer
        if output_format == "jsonl":
            streams.write(_object(item, found))
        else:
            key = f"{number}\t" if item.where else ""
            streams.write("".join(key + _row(choice) for choice in found))
        streams.flush()
    if answered and not quiet:
        share = 100 * right / answered
        streams.note(f"accuracy {share:.2f} %, {right} of {answered}")


@dataclass(frozen=True)
class _Item:
    """A text with a gap and the candidates for it."""

    where: str  # file and line; empty for the command line
    text: str
    candidates: list[str]
    fields: dict[str, Any]
    answer: int | None = None  # the number of the right candidate, from 0


def _read(lines: Iterator[Line], gap: str, keys: tuple[str, str, str]) -> Iterator[_Item]:
    field, candidates_field, answer_field = keys
    for line in lines:
        fields = json_object(line.text, line.where)
        text = text_field(fields, field, line.where)
        if text.count(gap) != 1:
            raise InputError(
                f"{line.where}: field {field!r} must have one gap, {gap}; --gap names another mark"
            )
        candidates = fields.get(candidates_field)
        if not isinstance(candidates, list) or not candidates:
            raise InputError(
                f"{line.where}: field {candidates_field!r} must be a list of candidates; name "
                "another: --candidates-field NAME"
            )
        for number, candidate in enumerate(candidates):
            text_field(
                {f"{candidates_field}[{number}]": candidate},
                f"{candidates_field}[{number}]",
                line.where,
                option="candidates_field",
            )
        answer = _answer(fields, answer_field, candidates, line.where)
        yield _Item(line.where, text, candidates, fields, answer)


def _answer(fields: dict[str, Any], key: str, candidates: list[str], where: str) -> int | None:
    """The number of the right candidate, if the object says which it is."""
    if key not in fields:
        return None
    answer = fields[key]
    if isinstance(answer, str) and answer in candidates:
        return candidates.index(answer)
    is_number = isinstance(answer, int) and not isinstance(answer, bool)
    if is_number and 0 <= answer < len(candidates):
        return int(answer)
    raise InputError(
        f"{where}: field {key!r} is {answer!r}, neither a candidate nor the number of one from 0"
    )


def _row(choice: Choice) -> str:
    escaped = choice.text.replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
    return f"{choice.probability:.4g}\t{choice.log_prob:.4f}\t{escaped}\n"


def _object(item: _Item, found: list[Choice]) -> str:
    choices = [
        {"text": one.text, "log_prob": one.log_prob, "probability": one.probability}
        for one in found
    ]
    result: dict[str, Any] = {**item.fields, "choice": found[0].text, "choices": choices}
    if item.answer is not None:
        result["correct"] = found[0].number == item.answer
    return json_line(result)
