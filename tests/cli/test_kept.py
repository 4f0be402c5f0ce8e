"""`lmscore filter --output FILE --resume`: it becomes what it would have been."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmscore.cli.kept import Kept
from lmscore.cli.outfile import record_file
from lmscore.corpus.reading import Record
from lmscore.errors import InputError
from tests.cli.conftest import PROGRAM, Run, finish, start

TEXT = "".join(f"the cat w{number % 9} sat\n" + "\n" * (number % 3) for number in range(60))
BOUNDS = ("--max-ppl", "57")


def go_on(path: Path, lines: list[bytes], good: set[bytes]) -> tuple[int, list[bytes]]:
    """What `lmscore filter` does; how many lines it took as done, and what it rejected."""
    rejected: list[bytes] = []
    with record_file(path, resume=True) as out:
        earlier = Kept(out)
        for record in earlier.skip(
            (Record("", raw=line) for line in lines),
            lambda record: rejected.append(record.raw),
            bar=False,
        ):
            if record.raw not in good:
                rejected.append(record.raw)
            elif not earlier.has(record):
                out.write_bytes(record.raw)
        earlier.check_end()
    return earlier.count, rejected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from([b"a\n", b"bc\n", b"\n", b"\xff\r\n", b"  \n"]), max_size=9),
    good=st.sets(st.sampled_from([b"a\n", b"bc\n", b"\n", b"\xff\r\n"])),
    data=st.data(),
)
def test_cut_anywhere(
    tmp_path: Path, lines: list[bytes], good: set[bytes], data: st.DataObject
) -> None:
    path = tmp_path / "kept"
    path.unlink(missing_ok=True)
    _, rejected = go_on(path, lines, good)
    whole = path.read_bytes()
    assert whole == b"".join(line for line in lines if line in good)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    count, again = go_on(path, lines, good)
    assert path.read_bytes() == whole
    assert again == rejected
    assert count >= max(0, whole[:cut].count(b"\n") - 1)


def test_other_input(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"a\nb\nc\nto")
    for lines in ([b"a\n", b"c\n"], [b"b\n", b"a\n", b"c\n"], []):
        with pytest.raises(InputError, match=r"kept: 'b|a': the input has no such line there; "):
            go_on(path, lines, {b"a\n", b"b\n", b"c\n"})
        assert path.read_bytes() == b"a\nb\nc\nto"


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_resume(run: Run, tmp_path: Path, context: str) -> None:
    options = ("filter", *BOUNDS, "--context", context)
    whole, others = tmp_path / "whole", tmp_path / "others"
    first = run(*options, "-o", whole, "--rejected", others, stdin=TEXT)
    assert (first.status, first.out) == (0, "")
    assert whole.read_text() == run(*options, stdin=TEXT).out
    kept = whole.read_bytes()
    assert 10 < kept.count(b"\n") < 80
    for cut in (0, 1, len(kept) // 2, len(kept) - 1, len(kept)):
        path, rest = tmp_path / f"kept{cut}", tmp_path / f"others{cut}"
        path.write_bytes(kept[:cut])
        result = run(*options, "-o", path, "--resume", "--rejected", rest, stdin=TEXT)
        assert result.status == 0
        assert path.read_bytes() == kept
        assert rest.read_bytes() == others.read_bytes()
        resumed = context == "sentence" and kept[:cut].count(b"\n") > 1
        assert ("resumed after " in result.err) == resumed


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_other_bounds(run: Run, tmp_path: Path, context: str) -> None:
    path = tmp_path / "kept"
    run("filter", *BOUNDS, "--context", context, "-o", path, stdin=TEXT)
    before = path.read_bytes()
    options = ("--max-ppl", "3", "--context", context, "-o", path, "--resume")
    result = run("filter", *options, stdin=TEXT)
    assert result.status == 1
    assert "it is not kept this time; --resume goes on with the same input, model" in result.err
    assert path.read_bytes() == before
    path.write_text("".join(path.read_text().splitlines(keepends=True)[5:]))
    result = run("filter", *BOUNDS, "--context", "document", "-o", path, "--resume", stdin=TEXT)
    assert "another line is kept before it this time; --resume" in result.err


def test_an_output_without_resume(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("something\n")
    result = run("filter", *BOUNDS, "-o", path, stdin=TEXT)
    assert result.status == 1
    assert "there is something in it already; go on with it by --resume" in result.err
    assert path.read_text() == "something\n"


def test_wrong_options(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    result = run("filter", *BOUNDS, "--resume", stdin=TEXT)
    assert result.status == 2
    assert "--resume goes on with a file: name it with --output" in result.err
    result = run("filter", *BOUNDS, "-o", path, "--rejected", path, stdin=TEXT)
    assert result.status == 2
    assert "--output and --rejected must be two files" in result.err
    other = tmp_path / "there" / ".." / "kept"
    other.parent.parent.mkdir()
    assert run("filter", *BOUNDS, "-o", path, "--rejected", other, stdin=TEXT).status == 2


@pytest.mark.parametrize("verb", [("filter", *BOUNDS), ("score",)])
def test_an_output_that_is_read(run: Run, tmp_path: Path, verb: tuple[str, ...]) -> None:
    path = tmp_path / "text"
    path.write_text(TEXT)
    result = run(*verb, path, "-o", tmp_path / "." / "text", "--resume")
    assert result.status == 1
    assert f"{path}: is read already; write to another file" in result.err
    assert path.read_text() == TEXT


def test_the_rejected_do_not_take_the_place_of_all(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text(TEXT)
    result = run("filter", *BOUNDS, path, "--rejected", path)
    assert (result.status, result.out) == (1, "")
    assert f"{path}: is read already; write to another file" in result.err
    assert path.read_text() == TEXT


def test_nor_of_what_the_shell_reads(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text(TEXT)
    command = [*PROGRAM, "filter", *BOUNDS, "--rejected", str(path)]
    with path.open("rb") as file:
        ended = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"{path}: is read already; write to another file" in ended.stderr
    assert path.read_text() == TEXT


@pytest.mark.parametrize("verb", [("filter", *BOUNDS), ("score",)])
def test_a_name_with_an_at_sign_is_a_name(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("@text").write_text(TEXT)
    assert run(*verb, "@text", "-o", "out").status == 0
    assert Path("out").read_text() == run(*verb, "@text").out


@pytest.mark.parametrize("verb", [("filter", *BOUNDS), ("score",)])
def test_standard_output_has_a_name(run: Run, verb: tuple[str, ...]) -> None:
    expected = run(*verb, stdin=TEXT).out
    assert run(*verb, "-o", "-", stdin=TEXT).out == expected
    assert not Path("-").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_nothing_is_rejected_where_what_is_kept_is_lost(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        program = start("filter", *BOUNDS, "--rejected", str(tmp_path / "rejected"), stdout=full)
        assert finish(program, TEXT.encode()).status == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("end", ["SIGINT", "SIGKILL"])
def test_a_process_that_ends_early(tmp_path: Path, end: str) -> None:
    path, text = tmp_path / "kept", (TEXT * 100).encode()
    program = start("filter", "-q", *BOUNDS, "-o", str(path))
    assert program.stdin
    program.stdin.write(text[: 3 * len(text) // 4])
    for _ in range(20_000):
        if path.exists() and path.stat().st_size > 5_000:
            break
        time.sleep(0.001)
    program.send_signal(getattr(signal, end))
    assert finish(program).status != 0
    assert path.stat().st_size > 5_000
    again = finish(start("filter", "-q", *BOUNDS, "-o", str(path), "--resume"), text)
    assert again.status == 0
    assert path.read_text() == finish(start("filter", "-q", *BOUNDS), text).out
