"""Prompts of requests: texts or ids, and what the model reads of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from lmscore.errors import InputError
from lmscore.runtime.decoding import Prompt, lines_of
from lmscore.runtime.text import Ids
from lmscore.serve.errors import ApiError
from lmscore.serve.served import ServedModel

GivenPrompt = str | list[str | int | list[int]]
"""The prompts of a request, as it gives them."""

Result = TypeVar("Result")

_LONG = 20_000  # characters or ids, which take some 30 ms to read


async def read_apart(prompt: GivenPrompt, work: Callable[[], Result]) -> Result:
    """The result of work that reads a prompt, in a thread if it is long: others are answered."""
    parts = [prompt] if isinstance(prompt, str) else prompt
    size = sum(1 if isinstance(part, int) else len(part) for part in parts)
    return await asyncio.to_thread(work) if size >= _LONG else work()


@dataclass(frozen=True)
class Echo:
    """The text of a prompt, and the tokens that are shown of it."""

    text: str
    tokens: Ids  # int64 [m]; with <s> where the model read one that the client can see
    starts: list[int]  # m, characters into the text


@dataclass(frozen=True)
class ParsedPrompt:
    """A prompt in tokens."""

    ids: Ids  # int64 [n + 1], what the model reads: <s> first, and before each line of a document
    prompt: Prompt
    echo: Echo


def parse_prompts(model: ServedModel, prompt: GivenPrompt) -> list[ParsedPrompt]:
    """The prompts of a request; raises ApiError, which names the place that is wrong."""
    return [_parse(model, part, place) for place, part in _places(prompt)]


def check_ids(model: ServedModel, ids: Sequence[int], place: str) -> None:
    """Raise ApiError if an id is not in the vocabulary."""
    for number, token in enumerate(ids):
        if not 0 <= token < model.lm.vocab_size:
            raise ApiError(
                400,
                f"token id {token} is not in the vocabulary of {model.lm.vocab_size}",
                param=f"{place}[{number}]",
            )


def _places(prompt: GivenPrompt) -> list[tuple[str, str | list[int]]]:
    """The prompts of a request, each a text or a list of ids, and the names of their places."""
    if isinstance(prompt, str):
        return [("prompt", prompt)]
    if not prompt:
        raise ApiError(400, "prompt is an empty list", param="prompt")
    ids = [part for part in prompt if isinstance(part, int)]
    if len(ids) == len(prompt):
        return [("prompt", ids)]
    if ids or len({type(part) for part in prompt}) > 1:
        raise ApiError(
            400,
            "prompt must be a text, a list of texts, of ids, or of lists of ids",
            param="prompt",
        )
    return [(f"prompt[{n}]", part) for n, part in enumerate(prompt) if not isinstance(part, int)]


def _parse(model: ServedModel, prompt: str | list[int], place: str) -> ParsedPrompt:
    if isinstance(prompt, str):
        try:
            return _parse_text(model, prompt)
        except InputError as error:
            raise ApiError(400, str(error).removeprefix("text 1: "), param=place) from error
    tokenizer, bos = model.lm.tokenizer, model.spelling.bos
    check_ids(model, prompt, place)
    given = np.array(prompt, np.int64)
    text, starts = model.spelling.read(given)
    ids = given if len(given) and given[0] == bos else np.insert(given, 0, bos)
    return ParsedPrompt(ids, Prompt.of(tokenizer, text, ids[1:]), Echo(text, given, starts))


def _parse_text(model: ServedModel, text: str) -> ParsedPrompt:
    """A text, each line of which a model of documents reads as a sentence; raises InputError."""
    tokenizer, bos = model.lm.tokenizer, model.spelling.bos
    rows: list[Ids] = []
    starts: list[int] = []
    begin = end = 0  # of a line
    for line in lines_of(text, model.lm.config):
        (encoded,) = tokenizer.encode_spans([line])
        rows.append(np.insert(encoded.ids, 0, bos))
        own = model.spelling.starts(line, encoded)
        starts += [end, *(begin + start for start in own)]  # the first is that of <s>
        end = begin + len(line)
        begin = end + (2 if text.startswith("\r\n", end) else 1)
    ids = np.concatenate(rows)
    last = Prompt.of(tokenizer, line, rows[-1][1:])
    read = replace(last, lead=ids[: -len(rows[-1])])
    return ParsedPrompt(ids, read, Echo(text, ids, starts))
