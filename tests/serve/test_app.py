"""The routes beside completions: scores, tokens, models, health; keys, bounds and errors."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lmscore.errors import ModelError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.serve import (
    Limits,
    Models,
    completions,
    continuous,
    load_whole,
    make_app,
    prompts,
    states,
)
from lmscore.serve.app import ClientGoneError, unless_gone
from lmscore.serve.scores import Scoring, Text
from tests.cli.conftest import Run, run  # noqa: F401
from tests.runtime.ngram.golden import DATA
from tests.serve.conftest import Client, client_of

KIND = Scoring(bos=True, eos=True, per="sentence", prefixed=False, joiner=" ")
TEXTS = ["the cat sat", "", "Zebra  on \t the mat ", "so long"]


@pytest.mark.parametrize(
    ("flags", "body"),
    [
        ([], {}),
        (["--no-eos"], {"eos": False}),
        (["--no-bos"], {"bos": False}),
        (["--prefix", "the cat"], {"prefix": "the cat"}),
        (["--per", "token"], {"per": "token"}),
        (["--per", "word", "--no-eos"], {"per": "word", "eos": False}),
        (["--context", "document"], {"context": "document"}),
        (
            ["--per", "token", "--entropy", "--rank"],
            {"per": "token", "entropy": True, "rank": True},
        ),
        (["--per", "word", "--alternatives", "2"], {"per": "word", "alternatives": 2}),
        (["--oov-cost", "2.5", "--per", "word"], {"oov_cost": 2.5, "per": "word"}),
        (
            ["--segmentation", "characters", "--per", "word"],
            {"segmentation": "characters", "per": "word"},
        ),
        (
            ["--segmentation", "characters", "--per", "word", "--rank"],
            {"segmentation": "characters", "per": "word", "rank": True},
        ),
    ],
)
def test_the_records_of_the_command_line(
    client: Client,
    run: Run,  # noqa: F811
    model_path: Path,
    flags: list[str],
    body: dict[str, Any],
) -> None:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    options = ["--format", "jsonl", "--input-format", "jsonl", "-m", model_path, "-q", *flags]
    expected = run("score", *options, stdin=lines).objects
    for number, one in enumerate(expected):
        one.update(index=number)
        del one["perplexity"]  # the name of earlier versions
    answer = client.post("/v1/score", input=TEXTS, **body)
    assert answer["data"] == expected
    assert answer["usage"]["total_tokens"] == sum(one["num_tokens"] for one in expected)


def test_unknown_words_that_another_model_spells(
    lm_int8: LanguageModel, bpe_lm: LanguageModel
) -> None:
    texts = ["the Zebra sat", "the cat"]
    for client in client_of(("toy", lm_int8), ("bytes", bpe_lm)):
        found = client.post("/v1/score", input=texts, oov_cost="bytes")["data"]
        expected = lm_int8.score_batch(texts, oov_cost=bpe_lm)
        assert [one["log_prob"] for one in found] == [score.log_prob for score in expected]
        assert found[0]["log_prob"] < lm_int8.score(texts[0]).log_prob
        for cost, status, message in (
            ("toy", 400, "a model of words does not spell"),
            ("other", 404, "no model 'other' here; there are toy, bytes"),
            (-1, 400, "oov_cost must be a model of characters or subwords, or a number"),
        ):
            error = client.post("/v1/score", status, input="a", oov_cost=cost)["error"]
            assert message in error["message"]
            assert error["param"] in {"oov_cost", None}


def test_texts_that_are_split(client: Client, lm_int8: LanguageModel) -> None:
    text = "the cat sat\n\nso long\r\n"
    for context in ("sentence", "document"):
        options: Any = {"split": "lines", "context": context}
        (found,) = client.post("/v1/score", input=text, per="word", **options)["data"]
        score = lm_int8.score(text, words=True, **options)
        assert found["log_prob"] == score.log_prob
        spans = [(word["start"], word["end"]) for word in found["words"]]
        assert spans == [(word.start, word.end) for word in score.words]
    error = client.post("/v1/score", 400, input=text, split="lines", prefix="a")["error"]
    assert "split does not go with a prefix" in error["message"]
    asked = {"split": "lines", "per": "word", "rank": True}
    error = client.post("/v1/score", 400, input=text, **asked)["error"]
    assert (
        "rank is for whole sentences on their own: no bos, eos, prefix, split" in error["message"]
    )


def test_a_prefix_for_each_text(client: Client, lm_int8: LanguageModel) -> None:
    found = client.post("/v1/score", input=["cat", "dog"], prefix=["the", ""])["data"]
    assert [one["log_prob"] for one in found] == [
        lm_int8.score("cat", prefix="the").log_prob,
        lm_int8.score("dog").log_prob,
    ]


def test_tokens(client: Client, bpe_client: Client, bpe_lm: LanguageModel) -> None:
    ids = client.post("/tokenize", prompt="the cat")["tokens"]
    plain = client.post("/tokenize", prompt="the cat", add_special_tokens=False)["tokens"]
    assert ids == [1, *plain]
    assert client.post("/detokenize", tokens=ids) == {"prompt": "the cat"}
    assert client.post("/tokenize", prompt="<s>")["tokens"] == [1]
    assert client.post("/tokenize", prompt="</s>", add_special_tokens=False)["tokens"] == [2]
    # In a longer text they are text.
    typed = bpe_client.post("/tokenize", prompt="a</s>", add_special_tokens=False)["tokens"]
    assert typed == bpe_lm.encode("a</s>").tolist()
    info = client.get("/tokenizer_info")
    assert (info["bos_token"], info["eos_token"], info["unk_token"]) == ("<s>", "</s>", "<unk>")
    assert (info["bos_token_id"], info["eos_token_id"]) == (1, 2)


def test_models(client: Client) -> None:
    (model,) = client.get("/v1/models")["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("toy", "model", "lmscore")
    assert client.get("/v1/models/toy") == model
    error = client.get("/v1/models/other", 404)["error"]
    assert error["code"] == "model_not_found"


def test_several_models_by_name(lm_int8: LanguageModel, bpe_lm: LanguageModel) -> None:
    for client in client_of(("words", lm_int8), ("bytes", bpe_lm)):
        assert [one["id"] for one in client.get("/v1/models")["data"]] == ["words", "bytes"]
        for name, lm in (("words", lm_int8), ("bytes", bpe_lm), (None, lm_int8)):
            found = client.post("/v1/score", input="the cat", model=name)["data"][0]
            assert found["log_prob"] == lm.score("the cat").log_prob
        assert client.get("/tokenizer_info?model=bytes")["vocab_size"] == 300


def test_a_reload_drops_no_request(lm_int8: LanguageModel, bpe_lm: LanguageModel) -> None:
    models = Models({"words": lm_int8})
    old = models.find("words")

    async def ask() -> list[Any]:
        text = Text("the cat", "")
        before = asyncio.ensure_future(old.batcher.run(KIND, [text] * 50, [300] * 50))
        await asyncio.sleep(0)
        models.replace({"bytes": bpe_lm})
        late = await old.batcher.run(KIND, [text], [1])  # found its model before the reload
        return [*await before, *late]

    assert asyncio.run(ask()) == [lm_int8.score("the cat", tokens=False)] * 51
    assert [model.name for model in models] == ["bytes"]
    models.stop()
    old.batcher.join()


def test_a_directory_that_changes_while_it_is_loaded(model_path: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(model_path, tmp_path / "model"))
    assert load_whole(path, load).path == path

    def change(where: Path) -> LanguageModel:
        lm = load(where)
        (where / "config.json").touch()
        return lm

    with pytest.raises(ModelError, match="changed while it was loaded; load it again"):
        load_whole(path, change)


def test_health_and_metrics(client: Client) -> None:
    assert client.get("/health")["status"] == "ok"
    assert client.get("/ready") == {"status": "ready"}
    client.post("/v1/score", input="the cat")
    client.post("/v1/score", 400, input=[])
    client.get("/nothing", 404)
    page = client.http.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(page)}
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for sample in families["lmscore_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counted["/v1/score", "200"] >= 1
    assert counted["/v1/score", "400"] >= 1
    assert counted["other", "404"] >= 1
    assert families["lmscore_tokens_read"].samples[0].value > 0


def test_the_key(lm_int8: LanguageModel) -> None:
    for client in client_of(("toy", lm_int8), api_key="secret"):
        client.get("/health")
        for path in ("/v1/models", "/ready", "/metrics", "/tokenizer_info", "/nothing"):
            assert client.get(path, 401)["error"]["code"] == "invalid_api_key"
        for key in ("Bearer wrong", "secret", "Bearer s\u00e9"):
            headers = {b"Authorization": key.encode("latin-1")}
            answer = client.http.get("/v1/models", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        good = {"Authorization": "Bearer secret"}
        assert client.http.get("/v1/models", headers=good).status_code == 200


def test_bodies_that_are_too_large(client: Client) -> None:
    error = client.post("/v1/score", 413, input="a" * 20_001)["error"]
    assert error["message"] == "the body has more than 20000 bytes: send less at once"

    def chunks() -> Any:
        for _ in range(30):
            yield b" " * 1000

    answer = client.http.post("/v1/score", content=chunks())  # of undeclared length
    assert answer.status_code == 413


def test_too_many_requests(lm_int8: LanguageModel) -> None:
    for client in client_of(("toy", lm_int8), limits=Limits(waiting=0)):
        for path, body in (("/v1/score", {"input": "a"}), ("/v1/completions", {"prompt": "a"})):
            answer = client.http.post(path, json=body)
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["type"] == "rate_limit_error"
        client.get("/ready", 429)
        client.get("/health")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the body is no JSON"),
        (b'{"input":', "the body is no JSON"),
        (b'{"input": "\xff"}', "the body is no JSON"),
        (b'{"input": "\\ud800"}', "the body is no JSON"),
        (b'{"input": NaN}', "the body is no JSON"),
        (b"[]", "Expected object, got array"),
        (b'{"input": 1}', "input: Expected"),
        (b'{"input": ["a", 1]}', "input[1]: Expected str, got int"),
        (b'{"input": []}', "input is an empty list"),
        (b'{"input": "a", "per": "line"}', "per: Invalid enum value 'line'"),
        (b'{"input": ["a"], "prefix": []}', "1 texts and 0 prefixes"),
        (b'{"input": "a", "entropy": true}', "entropy is of tokens and words: set per"),
        (b'{"input": "a", "rank": true, "per": "word", "eos": false}', "rank is for whole"),
        (b'{"input": "a", "alternatives": 21, "per": "word"}', "alternatives: Expected int <= 20"),
    ],
)
def test_errors_of_scores(client: Client, content: bytes, message: str) -> None:
    answer = client.http.post("/v1/score", content=content)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


def test_wrong_methods(client: Client) -> None:
    answer = client.http.get("/v1/score")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"]["message"] == "GET is not for /v1/score"
    error = client.post("/detokenize", 400, tokens=[60])["error"]
    assert error["message"] == "token id 60 is not in the vocabulary"


def test_an_arpa_file_is_served(tmp_path: Path) -> None:
    path = Path(shutil.copy(DATA / "trigrams.arpa", tmp_path / "my.arpa"))
    lm = load_whole(path, load)
    for client in client_of(("my.arpa", lm)):
        assert client.get("/v1/models")["data"][0]["created"] == int(path.stat().st_mtime)
        found = client.post("/v1/score", input="the old cat", per="word", rank=True)["data"][0]
        assert found["log_prob"] == lm.score("the old cat").log_prob
        assert client.post("/v1/next", input="the old")["data"][0]["words"]
        answer = client.post("/v1/completions", prompt="the", max_tokens=3, seed=1)
        assert answer["choices"][0]["finish_reason"] in ("stop", "length")


def test_long_prompts_are_read_in_a_thread(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop, which short ones are read in, answers others meanwhile."""
    threads: list[int] = []

    def read(*given: Any) -> Any:
        threads.append(threading.get_ident())
        return prompts.parse_prompts(*given)

    monkeypatch.setattr(prompts, "_LONG", 9)
    for module in (completions, states):
        monkeypatch.setattr(module, "parse_prompts", read)
    found = [
        client.post(path, prompt=prompt)
        for path in ("/v1/completions", "/v1/states")
        for prompt in ("the cat", ["the cat", "the cat"], [[5] * 9], "so")
    ]
    assert [thread == threads[0] for thread in threads] == [True, False, False, True] * 2
    assert all(found)
    client.post(
        "/v1/states/drop", states=[one["state"] for each in found[4:] for one in each["data"]]
    )
    assert client.post("/tokenize", prompt="the cat the cat")["count"] == 5


@pytest.mark.parametrize("stream", [False, True])
def test_the_log_has_what_the_client_is_not_told(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(continuous, "choose_tokens", fail)
    answer = client.http.post("/v1/completions", json={"prompt": "a", "stream": stream})
    assert answer.status_code == (200 if stream else 500)
    assert "internal error; the server's log has details" in answer.text
    assert caplog.text.count("RuntimeError: a mistake of ours") == 1
    assert "in fail" in caplog.text


def test_the_log_says_where_an_item_failed(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Scoring, "run", fail)
    client.post("/v1/score", 500, input="a")
    assert "in fail" in caplog.text


@pytest.mark.parametrize(
    ("model", "prefix"), [({}, {}), ({"context": "document"}, {"prefix": "the cat"})]
)
def test_a_joiner_needs_a_place(
    client: Client, model: dict[str, str], prefix: dict[str, str]
) -> None:
    error = client.post("/v1/score", 400, input="a", joiner="-", **model, **prefix)["error"]
    assert error["message"].startswith("joiner stands between a prefix and its text in one sent")
    assert error["param"] == "joiner"


def test_half_a_body_is_no_error(lm_int8: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    models = Models({"toy": lm_int8})
    app = make_app(models)
    sent: list[Any] = []
    arriving = [
        {"type": "http.request", "body": b'{"input": "half', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return arriving.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": []}

    async def answer() -> None:
        await app({**scope, "query_string": b"", "root_path": ""}, receive, send)

    asyncio.run(answer())
    models.stop()
    assert sent[0]["status"] == 499
    assert caplog.text == ""


def test_who_goes_away_is_not_waited_for() -> None:
    class Gone:
        async def receive(self) -> dict[str, str]:
            return {"type": "http.disconnect"}

    async def leave() -> None:
        answer = asyncio.sleep(60)
        with pytest.raises(ClientGoneError):
            await unless_gone(Gone(), answer)  # type: ignore[arg-type]

    asyncio.run(leave())
