"""POST /v1/completions: prompts read, scored and continued, in the words of OpenAI's API."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from lmscore.runtime.decoding import Sample, SamplingOptions
from lmscore.runtime.engine import ReadPrompt
from lmscore.runtime.scoring import TokenScore
from lmscore.serve.continuous import Alternatives, Completion, Piece
from lmscore.serve.errors import as_api_error, log_failure
from lmscore.serve.prompts import Echo, parse_prompts
from lmscore.serve.requests import CompletionRequest, refuse_unsupported
from lmscore.serve.served import Limits, ServedModel

_DEFAULT_TOKENS = 16  # OpenAI's
_REASONS = {"eos": "stop", "stop": "stop", "length": "length"}


@dataclass(frozen=True)
class Job:
    """A request that was checked: what the model does for it, and how it is answered."""

    model: ServedModel
    body: CompletionRequest
    echoes: Sequence[Echo]
    completions: Sequence[Completion]
    id: str
    created: int
    _drops: dict[int, bool] = field(default_factory=dict, repr=False)  # of streamed choices

    @classmethod
    def of(cls, model: ServedModel, body: CompletionRequest, limits: Limits) -> Job:
        """Check a request, and read its prompts into tokens.

        Raises:
            ApiError: a field has an impossible value, or the request is too large.
            OptionError, InputError: a field has an impossible value.
        """
        refuse_unsupported(body)
        model.lm.check_forward()
        model.lm.check_lines(body.max_lines)
        prompts = parse_prompts(model, body.prompt)
        options = _sampling(body)
        limits.check("tokens", sum(len(one.ids) for one in prompts), limits.tokens, param="prompt")
        samples = len(prompts) * (body.n or 1)
        limits.check("completions", samples, limits.samples, param="n")
        if options is not None:
            limits.check("tokens", options.max_tokens, limits.new_tokens, param="max_tokens")
        completions = [
            Completion(
                one.ids,
                one.prompt,
                options,
                echo=body.logprobs if body.echo else None,
                alternatives=body.logprobs,
            )
            for one in prompts
        ]
        echoes = [one.echo for one in prompts]
        name = f"cmpl-{uuid.uuid4().hex}"
        return cls(model, body, echoes, completions, name, int(time.time()))

    async def answer(self) -> dict[str, Any]:
        """Do it, and return the body of the answer."""
        await self.model.batcher.complete(self.completions)
        choices: list[dict[str, Any]] = []
        for echo, completion in zip(self.echoes, self.completions, strict=True):
            choices += [
                self._choice(len(choices) + number, echo, completion, number)
                for number in range(self.body.n or 1)
            ]
        return {**self._head(), "choices": choices, "usage": self.usage()}

    async def events(self) -> AsyncIterator[bytes]:
        """Do it, and yield server-sent events with the text as it comes."""
        arrived: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        loop, n = asyncio.get_running_loop(), self.body.n or 1

        def put(choice: dict[str, Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(arrived.put_nowait, choice)

        for place, completion in enumerate(self.completions):
            completion.on_piece = partial(self._put_piece, put, place * n)
            if self.body.echo or completion.options is None:
                completion.on_read = partial(self._put_prompt, put, place)
        task = asyncio.create_task(self.model.batcher.complete(self.completions))
        task.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            while (choice := await arrived.get()) is not None:
                yield _event({**self._head(), "choices": [choice]})
            await task
            if self.body.stream_options and self.body.stream_options.include_usage:
                yield _event({**self._head(), "choices": [], "usage": self.usage()})
            yield b"data: [DONE]\n\n"
        except Exception as error:
            failure = as_api_error(error, "prompt")
            failure.__cause__ = error
            log_failure(failure)
            yield _event(failure.document())
        finally:
            task.cancel()

    def usage(self) -> dict[str, int]:
        """The tokens of the prompts that the client can see, and those that were drawn."""
        prompt = sum(len(echo.tokens) for echo in self.echoes)
        samples = [s for completion in self.completions for s in completion.samples.values()]
        drawn = sum(len(sample.tokens) for sample in samples)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": drawn,
            "total_tokens": prompt + drawn,
        }

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model.name,
        }

    def _choice(
        self, index: int, echo: Echo, completion: Completion, number: int
    ) -> dict[str, Any]:
        sample = completion.samples.get(number)  # None: only read
        text, logprobs = "", _Logprobs()
        if self.body.echo and completion.read is not None:
            text = echo.text
            self._add_prompt(logprobs, echo, completion.read)
        if sample is not None:
            drawn, drops = completion.drawn[number], completion.prompt.drops_space
            self._add_tokens(logprobs, sample.tokens, drawn, len(text), drops=drops)
            text += sample.text
        return self._shown(index, text, logprobs, sample)

    def _shown(
        self,
        index: int,
        text: str,
        logprobs: _Logprobs,
        sample: Sample | None,
        *,
        last: bool = True,
    ) -> dict[str, Any]:
        reason = _REASONS[sample.finish_reason] if sample else "length"
        return {
            "text": text,
            "index": index,
            "logprobs": None if self.body.logprobs is None else logprobs.document(),
            "finish_reason": reason if last else None,
        }

    def _put_prompt(self, put: Any, place: int, read: ReadPrompt) -> None:
        n, echo, logprobs = self.body.n or 1, self.echoes[place], _Logprobs()
        text = echo.text if self.body.echo else ""
        if self.body.echo:
            self._add_prompt(logprobs, echo, read)
        last = self.completions[place].options is None
        for number in range(n):
            put(self._shown(place * n + number, text, logprobs, None, last=last))

    def _put_piece(self, put: Any, first: int, number: int, piece: Piece) -> None:
        n = self.body.n or 1
        completion = self.completions[first // n]
        if not piece.text and not piece.tokens and piece.sample is None:
            return
        offset = len(self.echoes[first // n].text) if self.body.echo else 0
        logprobs = _Logprobs()
        drops = self._drops.get(first + number, completion.prompt.drops_space)
        self._drops[first + number] = self._add_tokens(
            logprobs, piece.tokens, piece.alternatives, offset, drops=drops
        )
        last = piece.sample is not None
        put(self._shown(first + number, piece.text, logprobs, piece.sample, last=last))

    def _add_prompt(self, logprobs: _Logprobs, echo: Echo, read: ReadPrompt) -> None:
        """Add the tokens of a prompt; the first of them has no probability."""
        if self.body.logprobs is None:
            return
        spelling = self.model.spelling
        hidden = len(read.log_probs) + 1 - len(echo.tokens)  # 1 where <s> is not shown
        drops = spelling.drops_first
        ids, values = echo.tokens.tolist(), read.log_probs.tolist()
        best = zip(read.top_tokens.tolist(), read.top_log_probs.tolist(), strict=True)
        alternatives = [list(zip(*pair, strict=True)) for pair in best]
        for place, (token, start) in enumerate(zip(ids, echo.starts, strict=True)):
            at = place + hidden - 1
            text = spelling.text(token, first=drops)
            if place == 0:
                logprobs.add(text, start, None, None)
            else:
                top = self._top(alternatives[at], token, values[at], first=drops)
                logprobs.add(text, start, values[at], top)
            drops = spelling.drops_after(token, drops=drops)

    def _add_tokens(
        self,
        logprobs: _Logprobs,
        tokens: Sequence[TokenScore],
        alternatives: Sequence[Alternatives],
        offset: int,
        *,
        drops: bool,
    ) -> bool:
        """Add drawn tokens; whether the space of the first, and of the one after, is not shown."""
        if self.body.logprobs is None:
            return drops
        spelling = self.model.spelling
        for token, best in zip(tokens, alternatives, strict=False):
            text = spelling.text(token.id, first=drops)
            top = self._top(best, token.id, token.log_prob, first=drops)
            logprobs.add(text, offset + token.start, token.log_prob, top)
            drops = spelling.drops_after(token.id, drops=drops)
        return drops

    def _top(
        self, best: Alternatives, token: int, log_prob: float, *, first: bool
    ) -> dict[str, float]:
        """The likeliest tokens by their texts, and the token itself, whose number is its own."""
        spelling = self.model.spelling
        top: dict[str, float] = {}
        for other, value in best:
            top.setdefault(spelling.text(other, first=first), value)
        top[spelling.text(token, first=first)] = log_prob
        return top


class _Logprobs:
    """The lists of a choice's `logprobs`."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.token_logprobs: list[float | None] = []
        self.top_logprobs: list[dict[str, float] | None] = []
        self.text_offset: list[int] = []

    def add(
        self, text: str, start: int, log_prob: float | None, top: dict[str, float] | None
    ) -> None:
        """Append a token."""
        self.tokens.append(text)
        self.text_offset.append(start)
        self.token_logprobs.append(log_prob)
        self.top_logprobs.append(top)

    def document(self) -> dict[str, Any]:
        """The object."""
        return dict(vars(self))


def _event(document: Any) -> bytes:
    return b"data: " + msgspec.json.encode(document) + b"\n\n"


def _sampling(body: CompletionRequest) -> SamplingOptions | None:
    """How to continue; None if nothing is to be drawn. Raises OptionError."""
    max_tokens = _DEFAULT_TOKENS if body.max_tokens is None else body.max_tokens
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    options = SamplingOptions(
        num_samples=body.n or 1,
        max_tokens=max(1, max_tokens),
        max_lines=body.max_lines,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        stop=stop,
        seed=body.seed,
    )
    return options if max_tokens else None
