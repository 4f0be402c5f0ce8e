"""`lmscore pull`, `push` and `list`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lmscore.runtime.load import BUNDLED_MODELS
from tests.cli.conftest import Run
from tests.hub.conftest import files_of, hub
from tests.hub.server import FakeHub
from tests.hub.test_archives import tar

__all__ = ["hub"]  # a fixture


def test_from_one_machine_to_another(
    run: Run, hub: FakeHub, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = run("push", model_path, "org/name")
    assert (pushed.status, pushed.out, pushed.err) == (0, f"{hub.url}/org/name\n", "")
    pulled = run("pull", "org/name")
    assert (pulled.status, pulled.err) == (0, "")
    assert files_of(Path(pulled.out.strip())) == files_of(model_path)
    scored = run("score", "-m", "org/name", stdin="the cat\n")
    assert scored.out == run("score", "-m", model_path, stdin="the cat\n").out
    listed = json.loads(run("list", "--format", "json").out)
    assert [each["name"] for each in listed] == ["english", "english-small", "org/name"]
    assert listed[2]["path"] == pulled.out.strip()
    assert listed[2]["variants"] == ["fp32", "int8"]
    assert re.search(r"^org/name +1 x lstm", run("list").out, re.MULTILINE)


def test_an_archive_into_a_directory(
    run: Run, hub: FakeHub, model_path: Path, tmp_path: Path
) -> None:
    hub.files["/lm.tar.gz"] = tar(files_of(model_path))
    target = tmp_path / "mine"
    pulled = run("pull", f"{hub.url}/lm.tar.gz", "-o", target)
    assert (pulled.status, pulled.out) == (0, f"{target}\n")
    assert files_of(target) == files_of(model_path)
    again = run("pull", f"{hub.url}/lm.tar.gz", "-o", target)
    assert (again.status, again.out) == (1, "")
    assert again.err == f"lmscore: error: {target}: is there already\n"


@pytest.mark.parametrize("name", ["english", "english-small"])
def test_bundled_models_have_names(run: Run, name: str) -> None:
    first = run("info", "-m", name).out.splitlines()[0]
    assert first == f"model         {BUNDLED_MODELS / name}"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("pull", "mine"), 2, "mine is neither org/name nor a URL"),
        (("pull", "http://x/a#md5=1"), 2, "http://x/a: behind # only sha256=HEX can stand"),
        (("push", "{model}", "mine"), 2, "mine is no org/name of the Hub"),
        (("push", "{model}", "http://x/a"), 2, "http://x/a is no org/name of the Hub"),
        (("push", "{none}", "org/name"), 1, "none: no such directory"),
        (("info", "-m", "org/none"), 1, "org/none: no such directory, and no such repository"),
    ],
)
def test_errors(
    run: Run,
    hub: FakeHub,
    model_path: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    given = [word.format(model=model_path, none=tmp_path / "none") for word in words]
    result = run(*given)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert result.err.count("\n") == 1
