"""`lmscore serve`: what it refuses, and a real one that is asked and ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from lmscore.cli.verbs.serve import _Served
from lmscore.runtime.load import load
from tests.cli.conftest import Run, finish, start

# The process serves on a real socket.
pytest.importorskip("uvicorn")


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["--port", "70000"], 2, "--port"),
        (["--api-key", ""], 2, "--api-key is empty"),
        (["--max-waiting", "0"], 2, "--max-waiting"),
        (["--device", "tpu"], 2, "--device must be"),
        (["-m", "nowhere", "--port", "0"], 1, "nowhere"),
        (["-m", "a", "-m", "b", "--name", "x"], 2, "--name is given for some models only"),
        (["--host", "256.0.0.1"], 1, "cannot be listened on"),
        (["--host", "a..b"], 1, "host a..b, port 8000: cannot be listened on: "),
        (["--state-seconds", "inf"], 2, "--state-seconds is inf, expected a number of seconds"),
        (["--state-seconds", "nan"], 2, "--state-seconds"),
    ],
)
def test_errors(run: Run, argv: list[str], status: int, message: str) -> None:
    result = run("serve", *argv)
    assert (result.status, result.out) == (status, "")
    assert message in result.err


def test_a_port_that_is_taken(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert result.status == 1
    assert (
        f"host 127.0.0.1, port {port}: cannot be listened on: Address already in use" in result.err
    )


def test_a_tokenizer_that_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr("lmscore.load", lambda path, **given: asked.update(given, path=path))
    _Served([None], None, None, "auto", 2, True, None)._load_one(Path("a"))
    assert asked == {
        "path": Path("a"),
        "variant": None,
        "device": "auto",
        "threads": 2,
        "trust": True,
        "unk_penalty": None,
    }


def test_two_models_of_one_name(run: Run, model_path: Path) -> None:
    result = run("serve", "-m", model_path, "-m", model_path, "--port", "0")
    assert result.status == 1
    assert "two models are called 'model': give each a --name" in result.err


def ask(url: str, body: Any = None, key: str = "k") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_several_processes(model_path: Path) -> None:
    program = start("serve", "-m", str(model_path), "--port", "0", "--workers", "2")
    assert program.stderr is not None
    lines = [program.stderr.readline().decode() for _ in range(2)]
    url = lines[0].split()[-1]
    assert all(line.startswith("lmscore: serving model (int8, cpu) on http") for line in lines)
    for _ in range(8):
        ask(f"{url}/v1/score", {"input": "the cat"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(f"{url}/v1/states", {"prompt": "the"})
    counted = 'lmscore_requests_total{route="/v1/score",status="200"} 8.0'

    children = Path(f"/proc/{program.pid}/task/{program.pid}/children")
    if children.exists():  # one that is killed is replaced, and what it counted is kept
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        assert b"was killed: a new one" in program.stderr.readline()
        assert b"serving model" in program.stderr.readline()
    with urllib.request.urlopen(f"{url}/metrics") as page:
        assert counted in page.read().decode()
    program.send_signal(signal.SIGTERM)
    result = finish(program)
    assert (result.status, result.out, result.err) == (0, "", "")


def test_workers_end_with_a_parent_that_is_killed(model_path: Path) -> None:
    program = start("serve", "-m", str(model_path), "--port", "0", "--workers", "2")
    assert program.stderr is not None
    port = int(program.stderr.readline().decode().rpartition(":")[2])
    program.stderr.readline()
    program.kill()
    # This waits for the end of standard error, which the workers have open.
    assert finish(program).status == -signal.SIGKILL
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_workers_that_fail_end_the_server() -> None:
    result = finish(start("serve", "-m", "nowhere", "--port", "0", "--workers", "2"))
    assert result.status == 1
    assert "nowhere" in result.err
    assert "a worker ended by itself; its error stands above" in result.err


def test_a_real_server(model_path: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(model_path, tmp_path / "model"))
    options = ["-m", str(path), "--port", "0", "--name", "toy"]
    program = start("serve", *options, env={"LMSCORE_API_KEY": "k"})
    assert program.stderr is not None
    line = program.stderr.readline().decode()
    url = line.split()[-1]
    assert line.startswith("lmscore: serving toy (int8, cpu) on http://127.0.0.1:")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(f"{url}/v1/models", key="other")
    lm = load(model_path)
    score = ask(f"{url}/v1/score", {"input": "the cat"})["data"][0]
    assert score["log_prob"] == lm.score("the cat").log_prob

    # SIGHUP takes what is there now; without a model there, the old one goes on.
    directory = path / "config.json"
    directory.rename(path / "away")
    program.send_signal(signal.SIGHUP)
    assert "the old models go on" in program.stderr.readline().decode()
    assert ask(f"{url}/v1/score", {"input": "the cat"})["data"][0] == score
    (path / "away").rename(directory)
    program.send_signal(signal.SIGHUP)
    assert program.stderr.readline() == b"lmscore: loaded toy (int8, cpu) again\n"
    assert ask(f"{url}/v1/score", {"input": "the cat"})["data"][0] == score

    # What has begun when SIGTERM comes is finished, and nothing new is taken.
    answers = []

    def long() -> None:
        options = {"max_tokens": 3000, "seed": 1, "n": 8, "stop": ["never ever"]}
        answers.append(ask(f"{url}/v1/completions", {"prompt": "so", **options}))

    thread = threading.Thread(target=long)
    thread.start()
    metrics = urllib.request.Request(f"{url}/metrics", headers={"Authorization": "Bearer k"})
    while b'unfinished_requests{model="toy"} 1' not in urllib.request.urlopen(metrics).read():
        assert thread.is_alive()
    program.send_signal(signal.SIGTERM)
    thread.join()
    assert len(answers[0]["choices"]) == 8
    result = finish(program)
    assert (result.status, result.out, result.err) == (0, "", "")
    with pytest.raises(urllib.error.URLError):
        ask(f"{url}/health")
