"""Ray on this machine: shards by actors, tables by `map_batches`, and an actor that is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lmscore.corpus import TextScorer
from tests.cli.conftest import Run, run  # noqa: F401  # a fixture

ray: Any = pytest.importorskip("ray")
pa: Any = pytest.importorskip("pyarrow")

FILES, ROWS = 20, 10_000
WORDS = "the cat sat on a mat so long and bye zebra".split()
BOUND = ("filter", "--max-ppl", "60", "--score-field", "ppl")

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """200,000 rows."""
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("in")
    for file in range(FILES):
        numbers = range(file * ROWS, (file + 1) * ROWS)
        texts = [" ".join(WORDS[(n // 11**k) % 11] for k in range(1 + n % 5)) for n in numbers]
        table = pa.table({"id": list(numbers), "text": texts})
        pq.write_table(table, folder / f"{file:02}.parquet")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def expected(
    inputs: list[Path], model_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What the command writes without Ray."""
    from lmscore.cli import main

    out = tmp_path_factory.mktemp("expected") / "out"
    arguments = [*BOUND, "-q", "-m", model_path, *inputs, "--output-dir", out]
    assert main(list(map(str, arguments))) == 0
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def when_there(path: Callable[[], bool], action: Callable[[], None]) -> threading.Thread:
    """A thread that acts once something is there."""

    def watch() -> None:
        deadline = time.monotonic() + 300
        while not path() and time.monotonic() < deadline:
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def actors() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::") and b"_Actor)" in command:
            found.append(int(folder.name))
    return found


def test_files_equal_those_of_the_command(
    run: Run,  # noqa: F811
    inputs: list[Path],
    model_path: Path,
    tmp_path: Path,
    expected: dict[str, bytes],
) -> None:
    out = tmp_path / "out"
    options = ("-m", model_path, "--output-dir", out, "--engine", "ray", "--jobs", "2")
    result = run(*BOUND, *options, *inputs)
    assert result.status == 0, result.err
    assert contents(out) == expected
    assert f"of {FILES * ROWS} lines" in result.err


def test_an_actor_that_is_killed(
    run: Run,  # noqa: F811
    inputs: list[Path],
    model_path: Path,
    tmp_path: Path,
    expected: dict[str, bytes],
) -> None:
    out = tmp_path / "out"
    killed: list[int] = []

    def kill() -> None:
        for pid in actors()[:1]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    watcher = when_there(lambda: len(list(out.glob("*.parquet"))) > 1, kill)
    options = ("-m", model_path, "--output-dir", out, "--engine", "ray", "--jobs", "2")
    result = run(*BOUND, *options, *inputs)
    watcher.join()
    assert len(killed) == 1
    assert result.status == 0, result.err
    assert contents(out) == expected


def test_an_error_is_the_command_s(
    run: Run,  # noqa: F811
    model_path: Path,
    tmp_path: Path,
) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["the cat", None]}), tmp_path / "a.parquet")
    options = ("-m", model_path, "--output-dir", tmp_path / "out", "--engine", "ray")
    result = run(*BOUND, *options, tmp_path / "a.parquet")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "a.parquet, row 2: field 'text' is null" in result.err
    assert not list((tmp_path / "out").iterdir())


def test_a_dataset_of_one_s_own(inputs: list[Path], model_path: Path) -> None:
    dataset = ray.data.read_parquet([str(path) for path in inputs[:2]])
    scored = dataset.map_batches(
        TextScorer,
        fn_constructor_args=(str(model_path),),
        fn_constructor_kwargs={"columns": ["log_prob"]},
        batch_format="pyarrow",
        batch_size=1000,
        compute=ray.data.ActorPoolStrategy(size=1),
        num_cpus=0.5,
    )
    found = {row["id"]: row["log_prob"] for row in scored.iter_rows()}
    rows = [row for path in inputs[:2] for row in pa.parquet.read_table(path).to_pylist()]
    alone = TextScorer(model_path)({"text": [row["text"] for row in rows]})["log_prob"]
    assert found == {row["id"]: value for row, value in zip(rows, alone.tolist(), strict=True)}
