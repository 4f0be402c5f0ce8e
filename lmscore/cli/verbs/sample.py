"""`lmscore sample`: continuations of prompts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmscore.cli import options, streams
from lmscore.cli.records import TextInput, words_of_file
from lmscore.cli.scored_records import interactive, with_progress
from lmscore.cli.usage import UsageError, command_line
from lmscore.corpus.reading import Record, json_line
from lmscore.errors import LmscoreError

if TYPE_CHECKING:
    from lmscore.runtime.decoding import Sample
    from lmscore.runtime.model import LanguageModel

OutputFormat = Literal["text", "jsonl"]
Decode = Callable[[list[str]], "list[list[Sample]]"]

_WINDOW = 256  # prompts decoded at once: enough to fill batches, few enough to answer soon
_PROMPT = "type prompts, one per line; Ctrl-D ends it"


def sample(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT",
            help='The text to continue; "" is the beginning of a sentence. '
            "Default: every line of the input; where that is a terminal, an empty text.",
            show_default=False,
        ),
    ] = None,
    *,
    files: options.Input = None,
    num_samples: Annotated[
        int, typer.Option("-n", "--num-samples", metavar="N", min=1, help="Texts per prompt.")
    ] = 1,
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Cut a sample that has not ended by then.")
    ] = 100,
    max_lines: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="End after N lines, in models of documents: </s> ends a line."
        ),
    ] = 1,
    temperature: Annotated[
        float, typer.Option(metavar="T", min=0, help="Below 1 likelier texts; 0: the likeliest.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Draw from the K likeliest tokens.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="P", help="Draw from the likeliest tokens that make up P."),
    ] = None,
    min_p: Annotated[
        float | None,
        typer.Option(metavar="P", help="Draw from tokens P times as likely as the likeliest."),
    ] = None,
    repetition_penalty: Annotated[
        float, typer.Option(metavar="X", help="Above 1: avoid tokens that have occurred.")
    ] = 1.0,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Draw the same texts every time, prompt by prompt."),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End before this text; may be given again."),
    ] = None,
    allowed_words: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The only words that may come, white space between."),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(metavar="REGEX", help="What continuations must match.")
    ] = None,
    unk: Annotated[
        bool, typer.Option("--unk", help="Let <unk> come, where the vocabulary has it.")
    ] = False,
    beam_size: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Search for the N likeliest texts; print the best."),
    ] = None,
    length_penalty: Annotated[
        float, typer.Option(metavar="X", help="Of the search: 0 ranks by probability, 1 per token.")
    ] = 1.0,
    output_format: Annotated[OutputFormat, typer.Option("--format")] = "text",
    model: options.ModelOptions,
    input_format: options.Reading = None,
    field: options.Field = None,
    encoding: options.Encoding = None,
    errors: options.Utf8Errors = "strict",
    line_buffered: options.LineBuffered = False,
) -> None:
    r"""Continue prompts with texts that are drawn from the model, or the likeliest ones.

    Prints every prompt with its continuation, one per line; a line break inside shows as \n. A
    model of documents reads every line of a prompt (an argument, or a field of JSON Lines) and
    continues the last.
    With --format jsonl an object per continuation: prompt, sample (its number, from 0), text,
    log_prob (in nats, the model's own), num_tokens (</s> included where it ended so), and
    finish_reason: eos (</s>), length (--max-tokens) or stop.
    """
    if prompt is not None and files is not None:
        raise UsageError("give a PROMPT or --input, not both")
    drawing: dict[str, Any] = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
    }
    limits: dict[str, Any] = {"max_tokens": max_tokens, "max_lines": max_lines, "stop": stop or ()}
    _check_search(beam_size, num_samples, length_penalty, drawing)
    _check_values(beam_size, num_samples, length_penalty, drawing | limits)
    if pattern is not None:
        _check_pattern(pattern, allowed_words)
    if allowed_words is not None:
        limits["allowed_words"] = words_of_file(allowed_words, errors=errors)
    limits |= {"pattern": pattern, "unk": unk}
    if prompt is None and files is None and streams.is_terminal(sys.stdin):
        prompt = ""
    lm = model.load()
    if beam_size is not None:
        search = {"beam_size": beam_size, "length_penalty": length_penalty, **limits}
        decode: Decode = partial(_search, lm, num_results=num_samples, **search)
    elif prompt is not None and num_samples == 1 and output_format == "text":
        _write_stream(prompt, lm.stream(prompt, **drawing, **limits))
        return
    else:
        decode = partial(lm.sample_batch, num_samples=num_samples, **drawing, **limits)
    given = TextInput(
        files=files, input_format=input_format, field=field, encoding=encoding, errors=errors
    )
    for text, samples in _decoded(prompt, given, decode, line_buffered=line_buffered):
        for number, found in enumerate(samples):
            streams.write(_line(output_format, text, number, found))
        streams.flush()


def _search(lm: LanguageModel, prompts: list[str], **search: Any) -> list[list[Sample]]:
    return [lm.beam_search(prompt, **search) for prompt in prompts]


def _check_search(
    beam_size: int | None, num_samples: int, length_penalty: float, drawing: Mapping[str, object]
) -> None:
    """Raise UsageError for options that would have no effect, or for more texts than beams."""
    if beam_size is not None and num_samples > beam_size:
        raise UsageError(f"--num-samples {num_samples} needs a --beam-size as large")
    if beam_size is None and length_penalty != 1:
        raise UsageError("--length-penalty goes with --beam-size only")
    neutral = {"temperature": 1, "repetition_penalty": 1}
    for name, value in drawing.items():
        if beam_size is not None and value != neutral.get(name):
            option = name.replace("_", "-")
            raise UsageError(f"--{option} does not go with --beam-size: nothing is drawn")


def _check_values(
    beam_size: int | None, num_samples: int, length_penalty: float, values: Mapping[str, Any]
) -> None:
    """Raise UsageError for an impossible value."""
    from lmscore.runtime.decoding import BeamOptions, SamplingOptions

    with command_line():
        SamplingOptions(num_samples=num_samples, **values)
        if beam_size is not None:
            limits = {name: values[name] for name in ("max_tokens", "max_lines", "stop")}
            BeamOptions(beam_size, num_samples, length_penalty=length_penalty, **limits)


def _check_pattern(pattern: str, allowed_words: str | None) -> None:
    """Raise UsageError if the pattern is no regular expression, or not the only constraint."""
    from lmscore.runtime.decoding import check_pattern

    if allowed_words is not None:
        raise UsageError("--allowed-words and --pattern exclude each other")
    with command_line():
        check_pattern(pattern)


def _decoded(
    prompt: str | None, given: TextInput, decode: Decode, *, line_buffered: bool
) -> Iterator[tuple[str, list[Sample]]]:
    """The prompt, or the prompts of an input, each with its continuations."""
    if prompt is not None:
        yield prompt, decode([prompt])[0]
        return
    paths = given.paths
    typed = interactive(paths)
    if typed:
        streams.note(_PROMPT)
    records = given.records()
    pairs = (
        pair
        for window in _windows(records, 1 if typed or line_buffered else _WINDOW)
        for pair in zip(window, decode([record.text for record in window]), strict=True)
    )
    for record, samples in with_progress(pairs, paths, data_on_stdout=True):
        yield record.text, samples


def _windows(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Group records into lists; an error in the input is raised after the records before it."""
    window: list[Record] = []
    try:
        for record in records:
            window.append(record)
            if len(window) == size:
                yield window
                window = []
    except LmscoreError:
        if window:
            yield window
        raise
    if window:
        yield window


def _write_stream(prompt: str, pieces: Iterator[str]) -> None:
    """Write a text piece by piece, as it is generated."""
    streams.write(_one_line(prompt))
    streams.flush()
    for piece in pieces:
        streams.write(_one_line(piece))
        streams.flush()
    streams.write("\n")


def _line(output_format: OutputFormat, prompt: str, number: int, sample: Sample) -> str:
    if output_format == "text":
        return _one_line(prompt + sample.text) + "\n"
    return json_line(
        {
            "prompt": prompt,
            "sample": number,
            "text": sample.text,
            "log_prob": sample.log_prob,
            "num_tokens": len(sample.tokens),
            "finish_reason": sample.finish_reason,
        }
    )


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")
