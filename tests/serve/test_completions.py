"""POST /v1/completions: every number is the library's, and stands where it belongs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.model import LanguageModel
from tests.models import WORDS
from tests.serve.conftest import Client, client_of

PATH = "/v1/completions"
TEXTS = st.lists(st.sampled_from([*WORDS, "Zebra"]), max_size=8).map(" ".join)


def echo(client: Client, prompt: Any, **options: Any) -> list[dict[str, Any]]:
    answer = client.post(PATH, prompt=prompt, echo=True, logprobs=2, **options)
    choices: list[dict[str, Any]] = answer["choices"]
    return choices


@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_the_echo_of_a_text(client: Client, lm_int8: LanguageModel, texts: list[str]) -> None:
    for text, choice in zip(texts, echo(client, texts, max_tokens=0), strict=True):
        measured = lm_int8.measure(text, alternatives=2).tokens[:-1]
        logprobs = choice["logprobs"]
        assert choice["text"] == text
        assert choice["finish_reason"] == "length"
        assert logprobs["tokens"][0] == "<s>"
        assert logprobs["token_logprobs"] == [None, *(token.log_prob for token in measured)]
        assert logprobs["top_logprobs"][0] is None
        assert logprobs["text_offset"][0] == 0
        for token, text_of, top, start in zip(
            measured,
            logprobs["tokens"][1:],
            logprobs["top_logprobs"][1:],
            logprobs["text_offset"][1:],
            strict=True,
        ):
            # The text holds the token there, <unk> aside, which stands for another word.
            shown = text_of if token.text != "<unk>" else text[start : token.end]
            assert text[start:].startswith(shown)
            assert top[text_of] == token.log_prob
            best = sorted(top.values(), reverse=True)[:2]
            assert best == [log_prob for _, log_prob in token.alternatives]
            assert (token.log_prob == max(top.values())) == (token.rank == 1)


@given(ids=st.lists(st.integers(3, 59), min_size=1, max_size=8))
def test_the_echo_of_ids(client: Client, lm_int8: LanguageModel, ids: list[int]) -> None:
    bos = lm_int8.config.bos_token_id
    shown, hidden = echo(client, [[bos, *ids], ids], max_tokens=1, temperature=0)
    for choice, length in ((shown, len(ids) + 2), (hidden, len(ids) + 1)):
        for values in choice["logprobs"].values():
            assert len(values) == length
        assert choice["logprobs"]["token_logprobs"][0] is None
        assert choice["text"].startswith(lm_int8.decode(ids))
    # The model reads <s> either way.
    assert hidden["logprobs"]["token_logprobs"][1:] == shown["logprobs"]["token_logprobs"][2:]
    log_probs, state = lm_int8.step([bos], lm_int8.initial_state())
    for token, value in zip(ids, shown["logprobs"]["token_logprobs"][1:], strict=False):
        assert value == log_probs[0, token]
        log_probs, state = lm_int8.step([token], state)
    never = [bos, lm_int8.config.unk_token_id or 0]
    best = float(np.delete(log_probs[0], never).max())
    assert shown["logprobs"]["token_logprobs"][-1] == best


def test_tokens_of_bytes_and_spaces(bpe_client: Client, bpe_lm: LanguageModel) -> None:
    text = "the  cat \u00e9\U0001f41f so"
    (choice,) = echo(bpe_client, text, max_tokens=0)
    tokens, offsets = (choice["logprobs"][name][1:] for name in ("tokens", "text_offset"))
    assert any(token.startswith("bytes:\\x") for token in tokens)
    for token, start in zip(tokens, offsets, strict=True):
        assert token.startswith("bytes:") or text[start:].startswith(token)
    ids = bpe_lm.encode(text).tolist()
    (by_ids,) = echo(bpe_client, ids, max_tokens=0)
    assert by_ids["text"] == text
    assert by_ids["logprobs"]["tokens"] == tokens
    score = bpe_lm.score(text, eos=False)
    assert sum(choice["logprobs"]["token_logprobs"][1:]) == pytest.approx(score.log_prob)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 3},
        {"seed": 3, "n": 3},
        {"seed": 4, "temperature": 0.7, "top_p": 0.8, "top_k": 9, "min_p": 0.01},
        {"temperature": 0, "repetition_penalty": 1.3},
        {"seed": 5, "stop": ["cat", " you"]},
        {"seed": 5, "stop": "cat"},
    ],
)
@pytest.mark.parametrize("echoes", [False, True])
def test_continuations(
    client: Client, lm_int8: LanguageModel, options: dict[str, Any], echoes: bool
) -> None:
    n = options.get("n", 1)
    prompts = ["the cat", "so long and thanks", ""][: 8 // n]
    answer = client.post(PATH, prompt=prompts, echo=echoes, max_tokens=6, logprobs=0, **options)
    asked = {name: value for name, value in options.items() if name != "n"}
    if isinstance(asked.get("stop"), str):
        asked["stop"] = [asked["stop"]]
    expected = lm_int8.sample_batch(prompts, num_samples=n, max_tokens=6, **asked)
    flat = [(prompt, s) for prompt, some in zip(prompts, expected, strict=True) for s in some]
    reasons = {"eos": "stop", "stop": "stop", "length": "length"}
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(flat)))
    for choice, (prompt, sample) in zip(answer["choices"], flat, strict=True):
        lead = prompt if echoes else ""
        assert choice["text"] == lead + sample.text
        assert choice["finish_reason"] == reasons[sample.finish_reason]
        drawn = choice["logprobs"]["token_logprobs"][-len(sample.tokens) :] if sample.tokens else []
        assert drawn == [token.log_prob for token in sample.tokens]
        for token, start, top, value in zip(
            *(choice["logprobs"][name] for name in ("tokens", "text_offset", "top_logprobs")),
            choice["logprobs"]["token_logprobs"],
            strict=True,
        ):
            assert token in {"<s>", "</s>", "<unk>"} or choice["text"][start:].startswith(token)
            assert top is None or top == {token: value}
    drawn_tokens = sum(len(sample.tokens) for _, sample in flat)
    assert answer["usage"]["completion_tokens"] == drawn_tokens
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + drawn_tokens


@pytest.mark.parametrize("echoes", [False, True])
@pytest.mark.parametrize("max_tokens", [0, 9])
def test_a_stream_says_the_same(client: Client, echoes: bool, max_tokens: int) -> None:
    asked: dict[str, Any] = {
        "prompt": ["the cat", "so"],
        "n": 2,
        "seed": 8,
        "max_tokens": max_tokens,
        "logprobs": 1,
        "echo": echoes,
        "stop": ["w1 w2", "cat"],
    }
    whole = client.post(PATH, **asked)
    *events, last = client.events(PATH, **asked, stream_options={"include_usage": True})
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    assert {event["object"] for event in events} == {"text_completion"}
    for choice in whole["choices"]:
        parts = [
            one for event in events for one in event["choices"] if one["index"] == choice["index"]
        ]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert [part["finish_reason"] for part in parts] == [None] * (len(parts) - 1) + [
            choice["finish_reason"]
        ]
        for name in ("tokens", "token_logprobs", "top_logprobs"):
            joined = [value for part in parts for value in part["logprobs"][name]]
            assert joined == choice["logprobs"][name]


def test_a_stream_comes_in_pieces(client: Client) -> None:
    events = client.events(PATH, prompt="the cat", max_tokens=9, temperature=0)
    assert len(events) > 3
    assert not any("usage" in event for event in events)


def test_the_defaults_are_openai_s(client: Client, lm_int8: LanguageModel) -> None:
    answer = client.post(PATH, prompt="the", model="toy", seed=1)
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert answer["model"] == "toy"
    (choice,) = answer["choices"]
    assert choice["text"] == lm_int8.sample("the", max_tokens=16, seed=1)[0].text
    assert choice["logprobs"] is None


def test_neutral_values_of_what_is_not_there(client: Client) -> None:
    neutral: dict[str, Any] = {
        "best_of": 1,
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "logit_bias": {},
    }
    client.post(PATH, prompt="the", **neutral, suffix=None, user="me", max_tokens=1)


@pytest.mark.parametrize(
    ("body", "status", "param", "message"),
    [
        ({}, 400, "prompt", "the field 'prompt' is missing"),
        ({"prompt": "a", "foo": 1}, 400, "foo", "unknown field 'foo'; there are prompt, model"),
        ({"prompt": "a", "stream_options": {"x": 1}}, 400, "stream_options.x", "unknown field"),
        ({"prompt": "a", "logprobs": 21}, 400, "logprobs", "logprobs: Expected int <= 20"),
        ({"prompt": "a", "logprobs": True}, 400, "logprobs", "Expected"),
        ({"prompt": "a", "max_tokens": -1}, 400, "max_tokens", "Expected int >= 0"),
        ({"prompt": "a", "n": 0}, 400, "n", "Expected int >= 1"),
        ({"prompt": "a", "temperature": -1}, 400, "temperature", "temperature must be 0"),
        ({"prompt": "a", "top_p": 0}, 400, "top_p", "top_p must be in"),
        ({"prompt": "a", "stop": ""}, 400, "stop", "stop must be strings of one character"),
        ({"prompt": "a", "logit_bias": {"1": 2}}, 400, "logit_bias", "not supported"),
        ({"prompt": "a", "best_of": 2}, 400, "best_of", "not supported"),
        ({"prompt": "a", "model": "gpt"}, 404, "model", "no model 'gpt' here; there are toy"),
        ({"prompt": 7}, 400, "prompt", "Expected"),
        ({"prompt": []}, 400, "prompt", "empty list"),
        ({"prompt": ["a", 1]}, 400, "prompt", "must be a text, a list of texts"),
        ({"prompt": [[1], "a"]}, 400, "prompt", "must be a text, a list of texts"),
        ({"prompt": [1, 60]}, 400, "prompt[1]", "token id 60 is not in the vocabulary of 60"),
        ({"prompt": [[1], [-1]]}, 400, "prompt[1][0]", "token id -1 is not"),
        ({"prompt": ["the " * 501]}, 422, "prompt", "tokens in one request: 500 at most"),
        ({"prompt": "a", "max_tokens": 41}, 422, "max_tokens", "41 tokens in one request: 40"),
        ({"prompt": ["a", "b"], "n": 5}, 422, "n", "10 completions in one request: 8 at most"),
    ],
)
def test_errors(
    client: Client, body: dict[str, Any], status: int, param: str, message: str
) -> None:
    error = client.post(PATH, status, **body)["error"]
    assert message in error["message"]
    assert error["param"] == param
    assert set(error) == {"message", "type", "param", "code"}


def test_a_backward_model_continues_nothing(tmp_path: Any) -> None:
    from lmscore.runtime.load import load
    from tests.models import make_model

    path = make_model(tmp_path / "m", direction="backward", variants=["fp32"]).path
    for client in client_of(("back", load(path))):
        error = client.post(PATH, 400, prompt="the")["error"]
        assert "backward model" in error["message"]
        scored = client.post("/v1/score", input="the cat")["data"][0]
        assert scored["log_prob"] == pytest.approx(load(path).score("the cat").log_prob)


@pytest.mark.parametrize("lines", [["the cat sat", "so long"], ["a", "", "the cat"], ["the", ""]])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_of_documents(document_lm: LanguageModel, lines: list[str], end: str) -> None:
    prompt = end.join(lines)
    eos = document_lm.config.eos_token_id
    for client in client_of(("doc", document_lm)):
        (choice,) = echo(client, prompt, max_tokens=0)
        logprobs = choice["logprobs"]
        *before, last = document_lm.score_batch(lines)
        expected = [token.log_prob for score in before for token in score.tokens]
        expected += [token.log_prob for token in last.tokens if token.id != eos]
        assert logprobs["token_logprobs"][1:] == pytest.approx(expected, abs=1e-4)
        for token, start in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
            shown = end if token == "</s>" and start else token.removeprefix("</s>")
            assert token == "<unk>" or prompt[start:].startswith(shown)

        asked: dict[str, Any] = {"max_tokens": 40, "max_lines": 3, "seed": 4}
        samples = document_lm.sample(prompt, num_samples=8, **asked)
        assert any("\n" in sample.text for sample in samples)
        asked |= {"prompt": prompt, "n": 8, "logprobs": 1}
        choices = client.post(PATH, **asked)["choices"]
        events = client.events(PATH, **asked)
        for sample, whole in zip(samples, choices, strict=True):
            assert whole["text"] == sample.text
            assert whole["logprobs"]["token_logprobs"] == pytest.approx(
                [token.log_prob for token in sample.tokens], abs=1e-4
            )
            parts = [one for event in events for one in event["choices"]]
            parts = [part for part in parts if part["index"] == whole["index"]]
            assert "".join(part["text"] for part in parts) == sample.text
            for name in ("tokens", "text_offset"):
                joined = [value for part in parts for value in part["logprobs"][name]]
                assert joined == whole["logprobs"][name]


def test_lines_of_sentences(client: Client) -> None:
    error = client.post(PATH, 400, prompt="the", max_lines=2)["error"]
    assert "max_lines goes with a model of documents" in error["message"]


def test_a_model_of_documents(document_lm: LanguageModel) -> None:
    for client in client_of(("doc", document_lm)):
        (choice,) = echo(client, "the cat", max_tokens=0)
        assert choice["logprobs"]["tokens"][0] == "</s>"
        score = document_lm.score("the cat", eos=False)
        assert sum(choice["logprobs"]["token_logprobs"][1:]) == pytest.approx(score.log_prob)
