"""`lmscore filter --output-dir`: a file for each file, by one process or several."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lmscore.cli.filtering import Settings
from lmscore.cli.options import ModelOptions
from lmscore.cli.records import TextInput
from lmscore.cli.selecting import Selecting
from lmscore.cli.shard_workers import Workers
from lmscore.cli.shards import _claimed, shards_of
from lmscore.corpus import Selection
from lmscore.errors import DeviceError
from tests.cli.conftest import Run

LINES = ["thanks for all the fish", "the zebra sat", "", "so long and bye bye", "the cat"]
BOUND = ("filter", "--max-ppl", "57")


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    """Files of three kinds, one without a record."""
    folder = tmp_path / "in"
    folder.mkdir()
    jsonl = "".join(json.dumps({"text": line}) + "\n" for line in LINES)
    (folder / "a.txt").write_text("".join(line + "\n" for line in LINES))
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(jsonl.encode()))
    (folder / "c.csv").write_text("text\nthe cat\nthe zebra sat\n")
    (folder / "d.csv").write_text("id,text\n")
    return sorted(folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: gzip.decompress(data) if path.suffix == ".gz" else data
        for path in sorted(folder.iterdir())
        for data in [path.read_bytes()]
    }


def test_each_file_has_an_output(run: Run, tmp_path: Path, inputs: list[Path]) -> None:
    out, others = tmp_path / "out", tmp_path / "others"
    result = run(*BOUND, *inputs, "--output-dir", out, "--rejected", others)
    assert (result.status, result.out) == (0, "")
    assert result.err.endswith("lmscore: 4 files written\n")
    for path in inputs[:3]:
        alone = run(*BOUND, path, "--rejected", tmp_path / "alone")
        assert contents(out)[path.name].decode() == alone.out
        assert contents(others)[path.name] == (tmp_path / "alone").read_bytes()
    assert (out / "d.csv").read_bytes() == (others / "d.csv").read_bytes() == b"id,text\n"
    again = run(*BOUND, *inputs, "--output-dir", out)
    assert again.status == 1
    assert f"{out}/a.txt: is there already; go on with the others by --resume" in again.err


def test_resume_by_file(run: Run, tmp_path: Path, inputs: list[Path]) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    run(*BOUND, *inputs, "--output-dir", whole)
    out.mkdir()
    (out / "a.txt").write_text("not looked at\n")
    (out / ".c.csv.partial").write_text("what a killed process left")
    result = run(*BOUND, *inputs, "--output-dir", out, "--resume")
    assert result.err.endswith("lmscore: 3 files written, 1 were there before\n")
    assert contents(out) == {**contents(whole), "a.txt": b"not looked at\n"}
    result = run(*BOUND, *inputs, "--output-dir", out, "--resume")
    assert result.err.endswith(
        "kept 0 of 0 lines, 0 of 0 words\nlmscore: 0 files written, 4 were there before\n"
    )


def test_two_processes(run: Run, tmp_path: Path, inputs: list[Path]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run(*BOUND, *inputs, "--output-dir", one)
    good = inputs[-1].read_bytes()
    inputs[-1].write_bytes(b"id,text\n1\n")
    given = (*BOUND, *inputs, "--output-dir", two, "--resume")
    result = run(*given, "--jobs", "2")
    assert result.status == 1
    assert "d.csv, line 2: expected 2 columns, got 1" in result.err
    assert contents(two).items() <= contents(one).items()
    inputs[-1].write_bytes(good)
    assert run(*given).status == 0
    assert contents(one) == contents(two)


def test_a_process_that_dies(tmp_path: Path, inputs: list[Path], model_path: Path) -> None:
    settings = Settings(
        model=ModelOptions(model=model_path), selecting=Selecting(max_ppl=57), text=TextInput()
    )
    shards = shards_of(list(map(str, inputs)), tmp_path / "out", None)
    with Workers(1, settings, Selection()) as workers:
        workers._workers[0].process.kill()
        with pytest.raises(DeviceError, match=r"out/a\.txt: the process .* has died; go on by"):
            list(workers.results(shards))


def test_a_file_that_another_process_writes(run: Run, tmp_path: Path, inputs: list[Path]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with _claimed(out / "a.txt") as file:
        assert file is not None
        with _claimed(out / "a.txt") as second:
            assert second is None
        result = run(*BOUND, *inputs, "--output-dir", out)
        assert result.err.endswith("3 files written, 1 are being written by other processes\n")
        file.write(b"whole")
    assert (out / "a.txt").read_bytes() == b"whole"
    with _claimed(out / "a.txt") as third:
        assert third is None
    assert not list(out.glob(".*"))


def test_files_that_cannot_be(run: Run, tmp_path: Path, inputs: list[Path]) -> None:
    twin = tmp_path / "a.txt"
    twin.write_text("the cat\n")
    for arguments, message in [
        ([*inputs, twin, "--output-dir", tmp_path / "out"], "would have the same output"),
        (["--output-dir", tmp_path / "out"], "standard input has no name"),
        ([*inputs, "--output-dir", inputs[0].parent], "would be its own output"),
    ]:
        result = run(*BOUND, *arguments, stdin="the cat\n")
        assert (result.status, result.out) == (2, "")
        assert message in result.err
    result = run(*BOUND, *inputs, "--output-dir", inputs[0])
    assert (result.status, result.out) == (1, "")
    assert "a.txt: cannot be created" in result.err
