"""The OpenAPI document, held against the routes: by schemathesis, and by answers that we know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from lmscore.runtime.model import LanguageModel
from lmscore.serve import Limits, Models, answers, make_app
from tests.serve.conftest import Client

PHASES = [Phase.explicit, Phase.generate]

KNOWN: list[tuple[str, dict[str, Any], type]] = [
    ("/v1/completions", {"prompt": "the", "max_tokens": 0}, answers.CompletionAnswer),
    (
        "/v1/completions",
        {"prompt": ["the", "a"], "echo": True, "logprobs": 2, "n": 2, "max_tokens": 3},
        answers.CompletionAnswer,
    ),
    ("/v1/score", {"input": ["the cat", ""]}, answers.ScoreAnswer),
    (
        "/v1/score",
        {"input": "a", "per": "token", "entropy": True, "alternatives": 2},
        answers.ScoreAnswer,
    ),
    ("/v1/score", {"input": "a", "per": "word", "rank": True}, answers.ScoreAnswer),
    ("/v1/next", {"input": "the", "k": 3}, answers.NextAnswer),
    ("/v1/choose", {"candidates": ["the", "a"]}, answers.ChooseAnswer),
    (
        "/v1/rescore",
        {"lists": [{"id": "u", "hypotheses": [{"text": "the"}]}], "weights": {"lm": 1}},
        answers.RescoreAnswer,
    ),
    ("/v1/states", {"prompt": ["the", "a"], "k": 2}, answers.StatesAnswer),
    ("/tokenize", {"prompt": "the"}, answers.TokenizeAnswer),
    ("/detokenize", {"tokens": [1]}, answers.DetokenizeAnswer),
]


@pytest.mark.parametrize(("path", "body", "kind"), KNOWN)
def test_answers_have_the_fields_of_the_document(
    client: Client, path: str, body: dict[str, Any], kind: type
) -> None:
    msgspec.convert(client.post(path, **body), kind)


def test_answers_to_get(client: Client) -> None:
    for path, kind in {
        "/v1/models": answers.ModelsAnswer,
        "/v1/models/toy": answers.ModelAnswer,
        "/tokenizer_info": answers.TokenizerInfo,
        "/health": answers.StatusAnswer,
        "/ready": answers.StatusAnswer,
    }.items():
        msgspec.convert(client.get(path), kind)
    for path in ("/v1/models/other", "/nowhere"):
        msgspec.convert(client.get(path, 404), answers.ErrorAnswer)
    stepped = client.post("/v1/states", prompt="the")["data"][0]["state"]
    found = client.post("/v1/states/step", states=[stepped], tokens=[1], targets=[[1, 2]])
    msgspec.convert(found, answers.StatesAnswer)
    msgspec.convert(client.post("/v1/states/drop", states=[stepped]), answers.DropAnswer)


def test_every_route_is_in_the_document(client: Client) -> None:
    document = client.get("/openapi.json")
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        *("/", "/openapi.json", "/health", "/ready", "/metrics", "/tokenizer_info"),
        *("/tokenize", "/detokenize", "/v1/models", "/v1/models/{name}"),
        *("/v1/completions", "/v1/score", "/v1/next", "/v1/choose", "/v1/rescore"),
        *("/v1/states", "/v1/states/step", "/v1/states/drop"),
    }
    fields = document["components"]["schemas"]["ScoreRequest"]["properties"]
    assert {"input", "per", "alternatives"} <= set(fields)
    assert document["paths"]["/health"]["get"]["security"] == []


@pytest.fixture(scope="module")
def schema(lm_int8: LanguageModel) -> Iterator[Any]:
    schemathesis: Any = pytest.importorskip("schemathesis")
    limits = Limits(tokens=200, new_tokens=4, samples=4, states=40)
    models = Models({"toy": lm_int8}, limits=limits)
    yield schemathesis.openapi.from_asgi("/openapi.json", make_app(models))
    models.stop()


POSTS = [
    *("/v1/completions", "/v1/score", "/v1/next", "/v1/choose", "/v1/rescore"),
    *("/v1/states", "/v1/states/step", "/v1/states/drop", "/tokenize", "/detokenize"),
]
GETS = [
    *("/tokenizer_info", "/v1/models/{name}", "/v1/models"),
    *("/health", "/ready", "/metrics", "/", "/openapi.json"),
]


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        *(("POST", path, mode) for path in POSTS for mode in ("positive", "negative")),
        *(("GET", path, "positive") for path in GETS),
    ],
)
def test_routes_by_schemathesis(schema: Any, method: str, path: str, mode: str) -> None:
    """What the document allows is answered as it says; what it forbids is refused as it says."""
    from schemathesis import GenerationMode, checks

    names = {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    }
    chosen = [check for check in checks.CHECKS.get_all() if check.__name__ in names]
    assert len(chosen) == len(names)

    @given(case=schema[path][method].as_strategy(generation_mode=GenerationMode(mode)))
    @settings(max_examples=8, phases=PHASES, suppress_health_check=[*HealthCheck])
    def run(case: Any) -> None:
        case.call_and_validate(checks=chosen)

    run()
