"""Many requests at once get what each would get alone, and nobody else's answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError
from lmscore.runtime.decoding import Prompt, SamplingOptions
from lmscore.runtime.model import LanguageModel
from lmscore.serve import batching
from lmscore.serve.batching import Batcher, ItemError, patience
from lmscore.serve.continuous import Completion, Decoder
from lmscore.serve.scores import Measuring, Once, Scoring, Text
from tests.models import WORDS

TEXTS = st.lists(st.sampled_from([*WORDS, "Zebra"]), max_size=8).map(" ".join)
PLAIN = Scoring(bos=True, eos=True, per="token", prefixed=False, joiner=" ")
KINDS = st.sampled_from(
    [
        PLAIN,
        Scoring(bos=True, eos=False, per="word", prefixed=True, joiner=" "),
        Scoring(bos=False, eos=True, per="sentence", prefixed=False, joiner=" "),
        Measuring(2, words=True),
    ]
)


@pytest.fixture(scope="module")
def batcher(lm_int8: LanguageModel) -> Iterator[Batcher]:
    batcher = Batcher(lm_int8, budget=20)
    yield batcher
    batcher.stop()
    batcher.join()


def ask(batcher: Batcher, requests: Sequence[tuple[Any, Sequence[Any]]]) -> list[Any]:
    """The outcomes of requests that are all submitted before the first is answered."""

    async def everyone() -> list[Any]:
        asked = [batcher.run(kind, items, [4] * len(items)) for kind, items in requests]
        return list(await asyncio.gather(*asked, return_exceptions=True))

    return asyncio.run(everyone())


@given(
    requests=st.lists(
        st.tuples(KINDS, st.lists(st.builds(Text, TEXTS, TEXTS), min_size=1, max_size=6)),
        min_size=1,
        max_size=6,
    )
)
def test_together_as_alone(
    batcher: Batcher, lm_int8: LanguageModel, requests: list[tuple[Any, list[Text]]]
) -> None:
    found = ask(batcher, requests)
    assert found == [[kind.run(lm_int8, [one])[0] for one in items] for kind, items in requests]
    assert batcher.unfinished == 0


def completions(lm: LanguageModel, wanted: Sequence[tuple[str, int, int, int]]) -> list[Completion]:
    made = []
    for text, n, max_tokens, seed in wanted:
        prompt = Prompt.read(lm.tokenizer, text)
        options = SamplingOptions(num_samples=n, max_tokens=max_tokens, seed=seed)
        ids = np.insert(prompt.ids, 0, lm.config.bos_token_id)
        made.append(Completion(ids, prompt, options, alternatives=1))
    return made


WANTED = st.lists(
    st.tuples(TEXTS, st.integers(1, 3), st.integers(1, 9), st.integers(0, 5)),
    min_size=1,
    max_size=6,
)


@given(requests=st.lists(WANTED, min_size=1, max_size=3))
def test_completions_step_together_as_alone(
    batcher: Batcher, lm_int8: LanguageModel, requests: list[list[tuple[str, int, int, int]]]
) -> None:
    asked = [completions(lm_int8, wanted) for wanted in requests]

    async def everyone() -> None:
        await asyncio.gather(*map(batcher.complete, asked))

    asyncio.run(everyone())
    for made, wanted in zip(asked, requests, strict=True):
        for completion, (text, n, max_tokens, seed) in zip(made, wanted, strict=True):
            alone = lm_int8.sample(text, num_samples=n, max_tokens=max_tokens, seed=seed)
            assert [completion.samples[number] for number in range(n)] == alone


def test_a_finished_row_makes_room(lm_int8: LanguageModel) -> None:
    decoder = Decoder(lm_int8, budget=100, rows=2)
    made = completions(lm_int8, [("the cat", 5, 3, 1), ("so", 1, 1, 2)])
    decoder.add(made)
    most = 0
    for _ in range(100):
        decoder.step()
        most = max(most, decoder.num_live)
    assert most <= 2
    assert all(completion.is_finished for completion in made)


@dataclass(frozen=True)
class Hold:
    """A kind that holds the model until it may go on, and records the sizes of its runs."""

    may_go_on: threading.Event
    runs: list[int]

    def __hash__(self) -> int:
        return id(self)

    def run(self, lm: LanguageModel, items: Sequence[Any]) -> Sequence[Any]:
        self.runs.append(len(items))
        assert self.may_go_on.wait(10)
        return list(items)


def test_what_arrives_during_a_run_forms_the_next(batcher: Batcher) -> None:
    hold = Hold(threading.Event(), [])

    async def everyone() -> list[Any]:
        first = asyncio.ensure_future(batcher.run(hold, ["first"], [1]))
        while not hold.runs:
            await asyncio.sleep(0)
        others = [asyncio.ensure_future(batcher.run(hold, [n], [1])) for n in range(5)]
        await asyncio.sleep(0.01)
        hold.may_go_on.set()
        return list(await asyncio.gather(first, *others))

    assert asyncio.run(everyone()) == [["first"], [0], [1], [2], [3], [4]]
    assert hold.runs == [1, 5]


def test_clients_that_ask_again_share_the_next_run(
    lm_int8: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "patience", lambda _: 60.0)
    batcher, hold = Batcher(lm_int8), Hold(threading.Event(), [])

    async def client(number: int, times: int) -> None:
        for _ in range(times):
            assert await batcher.run(hold, [number], [1]) == [number]

    async def everyone() -> None:
        clients = [asyncio.ensure_future(client(0, 3))]
        while not hold.runs:
            await asyncio.sleep(0.001)
        clients += [asyncio.ensure_future(client(number, 2)) for number in range(1, 4)]
        while batcher.unfinished < 4:
            await asyncio.sleep(0.001)
        hold.may_go_on.set()
        await asyncio.gather(*clients)

    asyncio.run(everyone())
    batcher.stop()  # nobody is waited for any more
    batcher.join()
    assert hold.runs == [1, 4, 4]


def test_a_run_is_put_off_for_a_short_time(lm_int8: LanguageModel) -> None:
    assert patience(0.004) == 0.002
    assert patience(60) == 0.01
    batcher, hold = Batcher(lm_int8), Hold(threading.Event(), [])

    async def everyone() -> None:
        first = asyncio.ensure_future(batcher.run(hold, ["first"], [1]))
        while not hold.runs:
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(batcher.run(hold, ["second"], [1]))
        await asyncio.sleep(0)
        hold.may_go_on.set()
        async with asyncio.timeout(60):  # the first does not ask again
            await asyncio.gather(first, second)

    asyncio.run(everyone())
    batcher.stop()
    batcher.join()
    assert hold.runs == [1, 1]


def test_a_long_request_lets_others_go_first(batcher: Batcher) -> None:
    hold = Hold(threading.Event(), [])
    hold.may_go_on.set()
    order: list[str] = []

    async def one(name: str, count: int) -> None:
        await batcher.run(hold, list(range(count)), [4] * count)
        order.append(name)

    async def everyone() -> None:
        await asyncio.gather(one("long", 100), one("short", 1))

    asyncio.run(everyone())
    assert order == ["short", "long"]


def test_a_refused_text_is_its_owner_s_alone(lm_int8: LanguageModel, batcher: Batcher) -> None:
    good, bad = Text("the cat", ""), Text("the \ud800", "")
    fine, refused = ask(batcher, [(PLAIN, [good, good]), (PLAIN, [good, bad, good])])
    assert fine == [lm_int8.score("the cat")] * 2
    assert isinstance(refused, ItemError)
    assert refused.number == 1
    assert isinstance(refused.reason, InputError)


def test_a_failing_call_fails_alone(batcher: Batcher) -> None:
    def call(lm: LanguageModel) -> None:
        raise OSError("gone")

    refused, fine = ask(batcher, [(Once(call), [None]), (Once(lambda lm: lm.variant), [None])])
    assert isinstance(refused.reason, OSError)
    assert fine == ["int8"]


def test_who_goes_away_frees_the_work(lm_int8: LanguageModel, batcher: Batcher) -> None:
    made = completions(lm_int8, [("the", 2, 10**6, 1)])
    hold = Hold(threading.Event(), [])

    async def leave() -> None:
        tasks = [
            asyncio.ensure_future(batcher.complete(made)),
            asyncio.ensure_future(batcher.run(hold, list(range(1000)), [4] * 1000)),
        ]
        while not hold.runs:
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        hold.may_go_on.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(leave())
    assert ask(batcher, [(PLAIN, [Text("the", "")])]) == [[lm_int8.score("the")]]
    assert len(hold.runs) < 3
    assert not made[0].is_wanted
    assert batcher.unfinished == 0


def test_a_request_after_the_end_is_still_done(lm_int8: LanguageModel) -> None:
    batcher = Batcher(lm_int8)
    batcher.stop()
    batcher.join()
    for _ in range(3):
        assert ask(batcher, [(PLAIN, [Text("the", "")])]) == [[lm_int8.score("the")]]
        batcher.join()


def test_stopping_finishes_what_was_submitted(lm_int8: LanguageModel) -> None:
    batcher = Batcher(lm_int8, budget=8)

    async def last() -> list[Any]:
        waiting = asyncio.ensure_future(batcher.run(PLAIN, [Text("the", "")] * 20, [4] * 20))
        await asyncio.sleep(0)
        batcher.stop()
        return await waiting

    assert asyncio.run(last()) == [lm_int8.score("the")] * 20
    batcher.join()
