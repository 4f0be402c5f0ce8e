"""Repositories of the Hub: the client of other people, and a server of its protocol here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lmscore
from lmscore.errors import LmscoreError, ModelError, ModelNotFoundError, OutputFileError
from lmscore.hub import HubModel, fetch, kept, located, repositories, upload
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList, add_scores
from lmscore.runtime.rescoring.models import open_scorers
from tests.hub.conftest import files_of
from tests.hub.server import FakeHub
from tests.missing import hide_package


def test_a_model_is_fetched_once_and_found_without_a_server(
    hub: FakeHub, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["org/name"] = {"main": files_of(model_path) | {"notes.txt": b"x"}}
    lm = lmscore.load("org/name", variant="fp32")
    assert (
        lm.score("the cat").log_prob
        == lmscore.load(model_path, variant="fp32").score("the cat").log_prob
    )
    assert not (located("org/name") / "notes.txt").exists()
    hub.requests.clear()
    assert located("org/name") == located("org/name@main")
    assert hub.requests == []
    assert [stored.name for stored in kept()] == ["org/name"]


def test_revisions_and_newer_states(hub: FakeHub, model_path: Path, bpe_model_path: Path) -> None:
    first, second = files_of(model_path), files_of(bpe_model_path)
    hub.repositories["org/name"] = {"main": first, "v1": first}
    old = located("org/name")
    hub.repositories["org/name"]["main"] = second
    assert located("org/name") == old  # as it was fetched
    new = fetch(HubModel("org/name"))
    assert new != old
    assert located("org/name") == new
    assert json.loads((new / "config.json").read_bytes())["cell"] == "gru"
    assert located("org/name@v1") == old
    assert located(f"org/name@{hub.commit(first)}") == old


def test_a_damaged_model_is_refused(hub: FakeHub, model_path: Path) -> None:
    files = files_of(model_path)
    files["model_int8.onnx"] = files["model_int8.onnx"][:-1] + b"x"
    hub.repositories["org/name"] = {"main": files}
    with pytest.raises(ModelError, match=r"model_int8.onnx: does not match its sha256"):
        located("org/name")
    hub.repositories["org/empty"] = {"main": {"notes.txt": b""}}
    with pytest.raises(ModelNotFoundError, match=r"config.json is missing|no such directory"):
        located("org/empty")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("org/none", "org/none: no such directory, and no such repository on the Hub, or a priv"),
        ("org/name@v9", "org/name@v9: the repository has no such revision"),
    ],
)
def test_what_is_not_there(hub: FakeHub, model_path: Path, name: str, message: str) -> None:
    hub.repositories["org/name"] = {"main": files_of(model_path)}
    with pytest.raises(ModelNotFoundError, match=message) as caught:
        located(name)
    assert "\n" not in str(caught.value)


def test_without_a_connection(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelNotFoundError, match="the Hub cannot be reached"):
        located("org/name")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError, match=r"org/name: no such directory, and "):
        located("org/name")


def test_a_model_is_written(hub: FakeHub, model_path: Path, tmp_path: Path) -> None:
    url = upload(model_path, HubModel("org/name"))
    assert url == f"{hub.url}/org/name"
    assert hub.repositories["org/name"]["main"] == files_of(model_path)
    upload(model_path, HubModel("org/name", "v2"))
    assert hub.repositories["org/name"]["v2"] == files_of(model_path)
    with pytest.raises(OutputFileError, match=r"org/mine: (the Hub says 401|no such)") as caught:
        upload(model_path, HubModel("org/mine"), private=True)
    assert "\n" not in str(caught.value)
    hub.requests.clear()
    with pytest.raises(LmscoreError):
        upload(tmp_path, HubModel("org/name"))
    assert hub.requests == []


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_package(monkeypatch, "huggingface_hub")
    with pytest.raises(ImportError, match="install the extra 'hub'"):
        located("org/name")
    assert list(repositories.kept_snapshots()) == []


def test_models_that_rescore_have_names_too(hub: FakeHub, model_path: Path) -> None:
    hub.repositories["org/name"] = {"main": files_of(model_path)}
    (scorer,) = open_scorers(["org/name"], name="lmscore")
    (here,) = open_scorers([str(model_path)], name="lmscore")
    lists = [NBestList("1", (Hypothesis("the cat", {}), Hypothesis("the dog", {})))]
    first, second = (list(add_scores(lists, [each])) for each in (scorer, here))
    assert first == second
    with pytest.raises(ModelNotFoundError, match="org/none: no such directory, and no such repos"):
        open_scorers(["org/none"], name="lmscore")
