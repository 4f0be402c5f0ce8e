"""/v1/next, /v1/choose and /v1/rescore answer what the library does."""

from __future__ import annotations

from typing import Any

import pytest

from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lists import Weights
from tests.serve.conftest import Client


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 3, "partial": "th"},
        {"unit": "token"},
        {"allowed": ["cat", "dog"]},
        {"merge": True, "unk": True},
    ],
)
def test_next_words(client: Client, lm_int8: LanguageModel, options: dict[str, Any]) -> None:
    texts = ["the cat", "", "so long"]
    found = client.post("/v1/next", input=texts, **options)["data"]
    keywords = dict(options)
    k = keywords.pop("k", 10)
    for text, one in zip(texts, found, strict=True):
        words = [(each["word"], each["probability"]) for each in one["words"]]
        assert words == lm_int8.next_words(text, k, **keywords)
        assert one["unit"] == options.get("unit", "word")


def test_choices(client: Client, lm_int8: LanguageModel) -> None:
    found = client.post("/v1/choose", left="the ", candidates=["cat", "dog", "mat"], right=" sat")
    expected = lm_int8.choose("the ", ["cat", "dog", "mat"], " sat")
    assert [(c["text"], c["index"], c["log_prob"], c["probability"]) for c in found["data"]] == [
        (choice.text, choice.number, choice.log_prob, choice.probability) for choice in expected
    ]


LISTS = [
    {
        "id": "u1",
        "hypotheses": [
            {"text": "the cat", "score": -2},
            {"text": "a dog", "score": -1.5, "x": "y"},
        ],
        "note": [1],
    },
    {"hypotheses": []},
]


def test_rescoring(client: Client, lm_int8: LanguageModel) -> None:
    plain, empty = client.post("/v1/rescore", lists=LISTS)["data"]
    scores = [round(lm_int8.score(text).log_prob, 6) for text in ("the cat", "a dog")]
    assert [one["lm"] for one in plain["hypotheses"]] == pytest.approx(scores, abs=2e-6)
    assert plain["note"] == [1]
    assert plain["hypotheses"][1]["x"] == "y"
    assert empty == {"hypotheses": []}

    weights = {"score": 1.0, "own": -3.0}
    ranked, _ = client.post(
        "/v1/rescore", lists=LISTS, feature="own", weights=weights, word_penalty=0.5, eos=False
    )["data"]
    assert Weights(weights, 0.5).features == weights
    expected = [one["score"] - 3 * one["own"] + 0.5 * 2 for one in ranked["hypotheses"]]
    assert [one["rescored"] for one in ranked["hypotheses"]] == pytest.approx(expected)
    assert expected == sorted(expected, reverse=True)


@pytest.mark.parametrize(
    ("path", "body", "message", "param"),
    [
        ("/v1/next", {"input": []}, "input is an empty list", "input"),
        ("/v1/next", {"input": "a", "k": 0}, "k: Expected int >= 1", "k"),
        ("/v1/next", {"input": "a", "unit": "line"}, "unit: Invalid enum value", "unit"),
        ("/v1/next", {"input": "a", "partial": "a b"}, "partial must be", "partial"),
        ("/v1/choose", {"candidates": []}, "candidates is an empty list", "candidates"),
        ("/v1/choose", {}, "the field 'candidates' is missing", "candidates"),
        (
            "/v1/rescore",
            {"lists": [{}]},
            "lists[0] has no list 'hypotheses'",
            "lists[0].hypotheses",
        ),
        (
            "/v1/rescore",
            {"lists": [{"hypotheses": [{"text": "a"}, {}]}]},
            'lists[0].hypotheses[1]: expected an object with a "text"',
            "lists[0].hypotheses[1]",
        ),
        ("/v1/rescore", {"lists": [], "word_penalty": 1}, "go with weights", None),
        (
            "/v1/rescore",
            {"lists": LISTS, "feature": "score"},
            "has a feature 'score' already",
            "feature",
        ),
        (
            "/v1/rescore",
            {"lists": LISTS, "feature": "text"},
            "has a feature 'text' already",
            "feature",
        ),
        ("/v1/rescore", {"lists": LISTS, "feature": ""}, "feature is empty", "feature"),
        (
            "/v1/rescore",
            {"lists": LISTS, "feature": "rescored", "weights": {"rescored": 1}},
            "has a feature 'rescored' already",
            "feature",
        ),
        (
            "/v1/rescore",
            {"lists": [{"hypotheses": [{"text": "a", "lm": "not a number"}]}]},
            "has a feature 'lm' already",
            "feature",
        ),
        (
            "/v1/rescore",
            {"lists": [{"hypotheses": [{"text": "a", "am": 10**400}]}]},
            "lists[0].hypotheses[0].am: a number beyond 1e308",
            "lists[0].hypotheses[0].am",
        ),
        ("/v1/rescore", {"lists": LISTS, "weights": {"no": 1}}, "no", None),
    ],
)
def test_errors(
    client: Client, path: str, body: dict[str, Any], message: str, param: str | None
) -> None:
    error = client.post(path, 400, **body)["error"]
    assert message in error["message"]
    assert param is None or error["param"] == param


def test_a_message_names_no_field_that_is_none(client: Client) -> None:
    error = client.post("/v1/next", 400, input="a", allowed=["a b"])["error"]
    assert error["message"].startswith("a word of allowed must be")
    assert error["param"] is None


def test_a_body_that_is_nested_too_deep(client: Client) -> None:
    deep = b'{"lists": [{"a": ' + b"[" * 9000 + b"]" * 9000 + b"}]}"
    answer = client.http.post("/v1/rescore", content=deep)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "the body is nested too deep"
